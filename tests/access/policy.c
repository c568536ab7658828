/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Policy: verdicts, against the words of the design and against a naive reading; strangers;
 * binding. */
#include "groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/module.h>

#include "util/cleanup.h"

static const struct drpc_method hello_methods[] = {
	{ .id = 0, .name = "greeting" },
	{ .id = -3, .name = "farewell" },
};

static const struct drpc_module hello = { DRPC_MODULE_ABI, 0, "hello", hello_methods, 2 };

static struct drpc_verdict judge(const struct drpc_policy *policy, uid_t uid, int32_t method)
{
	const struct drpc_peer peer = { .uid = uid, .gid = 77 };

	return drpc_policy_judge(policy, &peer, method);
}

static void expect(const struct drpc_policy *policy, uid_t uid, int32_t method,
	enum drpc_decision decision, const char *rule, unsigned line, const char *reason)
{
	struct drpc_verdict v = judge(policy, uid, method);

	assert_int_equal(v.decision, decision);
	if (rule == NULL)
		assert_null(v.rule);
	else
		assert_string_equal(v.rule, rule);
	assert_int_equal(v.line, line);
	assert_string_equal(v.reason, reason);
	assert_string_equal(v.file, "t.policy");
}

static void test_policy_judge_denies_by_default(void **state)
{
	struct drpc_policy *policy = parse_right(HELLO);

	(void)state;
	expect(policy, 0, 0, DRPC_DENY, NULL, 0, "no rule allows"); /* root too */
	drpc_policy_free(policy);
}

static void test_policy_judge_denies_without_policy_or_peer(void **state)
{
	struct drpc_policy *policy = parse_right(HELLO "[allow all]\ncallers = *\nmethods = *\n");
	struct drpc_verdict v = judge(NULL, 0, 0);

	(void)state;
	assert_int_equal(v.decision, DRPC_DENY);
	assert_null(v.file);
	assert_non_null(v.reason);
	assert_int_equal(drpc_policy_judge(policy, NULL, 0).decision, DRPC_DENY);
	assert_false(drpc_policy_could_allow(policy, NULL));
	drpc_policy_free(policy);
}

static void test_policy_judge_names_the_rule_that_decided(void **state)
{
	struct drpc_policy *policy =
		parse_right(HELLO "[allow two]\ncallers = 1000-1999\nmethods = 1, 2\n"
				  "[deny one]\ncallers = 1500\nmethods = 2\n"
				  "[allow also]\ncallers = 1000\nmethods = 2\n");

	(void)state;
	expect(policy, 1000, 2, DRPC_ALLOW, "two", 4, "allowed");
	expect(policy, 1500, 1, DRPC_ALLOW, "two", 4, "allowed");
	expect(policy, 1500, 2, DRPC_DENY, "one", 7, "denied by a rule");
	expect(policy, 1000, 3, DRPC_DENY, NULL, 0, "no rule allows");
	expect(policy, 999, 1, DRPC_DENY, NULL, 0, "no rule allows");
	drpc_policy_free(policy);
}

static void test_policy_judge_lets_deny_win_in_any_order(void **state)
{
	static const char *const texts[] = {
		HELLO "[allow a]\ncallers = *\nmethods = *\n[deny d]\ncallers = 5\nmethods = *\n",
		HELLO "[deny d]\ncallers = 5\nmethods = *\n[allow a]\ncallers = *\nmethods = *\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct drpc_policy *policy = parse_right(texts[i]);

		assert_int_equal(judge(policy, 5, 0).decision, DRPC_DENY);
		assert_string_equal(judge(policy, 5, 0).rule, "d");
		assert_int_equal(judge(policy, 6, 0).decision, DRPC_ALLOW);
		drpc_policy_free(policy);
	}
}

static void test_policy_judge_denies_all_until_bound(void **state)
{
	struct drpc_policy *policy =
		parse_right(HELLO "[allow a]\ncallers = *\nmethods = *\n"
				  "[deny d]\ncallers = 5\nmethods = greeting\n");
	const struct drpc_peer peer = { .uid = 6 };

	(void)state;
	for (int32_t method = -3; method <= 3; method++)
		expect(policy, 6, method, DRPC_DENY, NULL, 0,
			"the policy's methods were not looked up in the module yet");
	assert_false(drpc_policy_could_allow(policy, &peer));
	assert_int_equal(drpc_policy_bind(policy, &hello, NULL), 0);
	expect(policy, 6, 0, DRPC_ALLOW, "a", 4, "allowed");
	expect(policy, 5, 0, DRPC_DENY, "d", 7, "denied by a rule");
	expect(policy, 5, -3, DRPC_ALLOW, "a", 4, "allowed");
	assert_true(drpc_policy_could_allow(policy, &peer));
	drpc_policy_free(policy);
}

static void expect_bind(const char *text, const struct drpc_module *module, const char *words)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = parse_right(text);

	assert_int_equal(drpc_policy_bind(policy, module, problems), -EINVAL);
	assert_int_equal(drpc_problems_count(problems), 1);
	assert_string_equal(drpc_problems_text(problems, 0), words);
	assert_int_equal(drpc_policy_bind(policy, module, NULL), -EINVAL);
	drpc_problems_free(problems);
	drpc_policy_free(policy);
}

static void test_policy_bind_refuses_another_module(void **state)
{
	const struct drpc_module renamed = { DRPC_MODULE_ABI, 0, "hallo", hello_methods, 2 };
	const struct drpc_module renumbered = { DRPC_MODULE_ABI, 7, "hello", hello_methods, 2 };

	(void)state;
	expect_bind(HELLO, &renamed,
		"t.policy:2: the module's name is not hello but hallo; change one of the two");
	expect_bind(HELLO, &renumbered,
		"t.policy:3: the module's id is not 0 but 7; change one of the two");
}

static void test_policy_bind_refuses_methods_that_are_not_the_modules(void **state)
{
	(void)state;
	expect_bind(HELLO "[deny d]\ncallers = *\nmethods = greeting,\n  goodbye\n", &hello,
		"t.policy:7: module hello has no method goodbye; it has: greeting (0), farewell (-3)");
	expect_bind(HELLO "[deny d]\ncallers = *\nmethods = 0, 1\n", &hello,
		"t.policy:6: module hello has no method 1; it has: greeting (0), farewell (-3)");
	expect_bind(HELLO "[deny d]\ncallers = *\nmethods = farewell, greeting, -3\n", &hello,
		"t.policy:6: method -3 is listed twice, by name and by id; remove one");
}

static void test_policy_bind_leaves_the_policy_when_it_fails(void **state)
{
	const struct drpc_module other = { DRPC_MODULE_ABI, 0, "other", NULL, 0 };
	struct drpc_policy *policy =
		parse_right(HELLO "[allow a]\ncallers = 5\nmethods = farewell, 0\n");

	(void)state;
	assert_int_equal(drpc_policy_bind(policy, &other, NULL), -EINVAL);
	assert_int_equal(judge(policy, 5, 0).decision, DRPC_DENY);
	assert_int_equal(drpc_policy_bind(policy, &hello, NULL), 0);
	assert_int_equal(drpc_policy_bind(policy, &other, NULL), -EINVAL);
	assert_int_equal(judge(policy, 5, 0).decision, DRPC_ALLOW);
	assert_int_equal(judge(policy, 5, -3).decision, DRPC_ALLOW);
	assert_int_equal(judge(policy, 5, 1).decision, DRPC_DENY);
	drpc_policy_free(policy);
}

static void test_policy_method_name_gives_each_name_once(void **state)
{
	struct drpc_policy *policy = parse_right(HELLO "[allow a]\ncallers = 5\nmethods = x, 7, y\n"
						       "[deny d]\ncallers = 6\nmethods = y, z\n");

	(void)state;
	assert_string_equal(drpc_policy_method_name(policy, 0), "x");
	assert_string_equal(drpc_policy_method_name(policy, 1), "y");
	assert_string_equal(drpc_policy_method_name(policy, 2), "z");
	assert_null(drpc_policy_method_name(policy, 3));
	drpc_policy_free(policy);
}

static void test_policy_rule_tells_what_matched(void **state)
{
	struct drpc_policy *policy =
		parse_right(HELLO "[allow a]\ncallers = root,\n  5-6\nmethods = 1, 2\n"
				  "[deny d]\ncallers = *\nmethods = *\n");
	const struct drpc_peer peer = { .uid = 5 };
	struct drpc_rule_match match;

	(void)state;
	assert_int_equal(drpc_policy_rule(policy, 0, &peer, 3, &match), 0);
	assert_int_equal(match.kind, DRPC_ALLOW);
	assert_string_equal(match.rule, "a");
	assert_int_equal(match.line, 4);
	assert_true(match.caller_matches);
	assert_false(match.method_matches);
	assert_string_equal(match.callers, "root, 5-6");
	assert_string_equal(match.methods, "1, 2");
	assert_int_equal(drpc_policy_rule(policy, 1, &peer, 3, &match), 0);
	assert_int_equal(match.kind, DRPC_DENY);
	assert_true(match.caller_matches && match.method_matches);
	assert_int_equal(drpc_policy_rule(policy, 2, &peer, 3, &match), -ENOENT);
	assert_int_equal(drpc_policy_rule(NULL, 0, &peer, 3, &match), -ENOENT);
	drpc_policy_free(policy);
}

static void expect_stranger(const char *rules, uid_t uid, bool stranger)
{
	char text[1024];
	struct drpc_policy *policy;
	const struct drpc_peer peer = { .uid = uid };

	snprintf(text, sizeof(text), HELLO "%s", rules);
	policy = parse_right(text);
	assert_int_equal(drpc_policy_could_allow(policy, &peer), !stranger);
	drpc_policy_free(policy);
}

static void test_policy_could_allow_knows_strangers(void **state)
{
	(void)state;
	expect_stranger("", 0, true);
	expect_stranger("[allow a]\ncallers = 5\nmethods = 1\n", 5, false);
	expect_stranger("[allow a]\ncallers = 5\nmethods = 1\n", 6, true);
	expect_stranger("[allow a]\ncallers = *\nmethods = *\n[deny d]\ncallers = 5\nmethods = *\n",
		5, true);
	expect_stranger("[deny d]\ncallers = 5\nmethods = *\n[allow a]\ncallers = *\nmethods = *\n",
		5, true);
	/* every method that is allowed is denied */
	expect_stranger(
		"[allow a]\ncallers = 5\nmethods = 1, 2\n"
		"[deny d]\ncallers = 5\nmethods = 1\n[deny e]\ncallers = 5\nmethods = 2, 3\n",
		5, true);
	expect_stranger(
		"[allow a]\ncallers = 5\nmethods = 1, 2\n[deny d]\ncallers = 5\nmethods = 1\n", 5,
		false);
	/* a list never denies all of the methods there could be */
	expect_stranger(
		"[allow a]\ncallers = 5\nmethods = *\n[deny d]\ncallers = 5\nmethods = 0, 1\n", 5,
		false);
}

/* A rule as a person would read it: lists, gone through from the beginning. */
struct naive_rule {
	bool deny;
	bool any_caller, any_method;
	uint32_t first, last; /* callers */
	uint32_t group;	      /* caller of this group too; 0: none */
	int32_t methods[3];
	int count;
};

static bool naive_matches(
	const struct naive_rule *rule, const struct drpc_peer *peer, int32_t method)
{
	bool caller = rule->any_caller || (peer->uid >= rule->first && peer->uid <= rule->last) ||
		      (rule->group != 0 &&
			      (peer->gid == rule->group || peer->few_groups[0] == rule->group));
	bool called = rule->any_method;

	for (int i = 0; i < rule->count; i++)
		called = called || rule->methods[i] == method;
	return caller && called;
}

static enum drpc_decision naive_judge(
	const struct naive_rule *rules, int count, const struct drpc_peer *peer, int32_t method)
{
	enum drpc_decision decision = DRPC_DENY;

	for (int i = 0; i < count; i++) {
		if (!rules[i].deny && naive_matches(&rules[i], peer, method))
			decision = DRPC_ALLOW;
	}
	for (int i = 0; i < count; i++) {
		if (rules[i].deny && naive_matches(&rules[i], peer, method))
			decision = DRPC_DENY;
	}
	return decision;
}

static void write_rule(FILE *file, int number, struct naive_rule *rule, unsigned *seed)
{
	rule->deny = rand_r(seed) % 3 == 0;
	rule->any_caller = rand_r(seed) % 6 == 0;
	rule->any_method = rand_r(seed) % 5 == 0;
	rule->first = (uint32_t)rand_r(seed) % 8;
	rule->last = rule->first + (uint32_t)rand_r(seed) % 3;
	rule->group = (uint32_t)rand_r(seed) % 4;
	rule->count = rule->any_method ? 0 : 1 + rand_r(seed) % 3;
	fprintf(file, "[%s r%d]\ncallers = ", rule->deny ? "deny" : "allow", number);
	if (rule->any_caller)
		fprintf(file, "*");
	else
		fprintf(file, "%u-%u", rule->first, rule->last);
	if (!rule->any_caller && rule->group != 0)
		fprintf(file, ", %%%u", rule->group);
	fprintf(file, "\nmethods = %s", rule->any_method ? "*" : "");
	for (int i = 0; i < rule->count; i++) {
		rule->methods[i] = (rand_r(seed) % 2 - 1) + 2 * i; /* different from one another */
		fprintf(file, "%s%d", i == 0 ? "" : ", ", rule->methods[i]);
	}
	fprintf(file, "\n");
}

static void compare(const struct drpc_policy *policy, const struct naive_rule *rules, int count)
{
	for (uint32_t i = 0; i < 12 * 4; i++) {
		const struct drpc_peer peer = {
			.uid = i % 12, .gid = 9, .group_count = 1, .few_groups = { i / 12 }
		};
		bool allows = false;

		for (int32_t method = -2; method <= 7; method++) {
			enum drpc_decision expected = naive_judge(rules, count, &peer, method);

			assert_int_equal(
				drpc_policy_judge(policy, &peer, method).decision, expected);
			allows = allows || expected == DRPC_ALLOW;
		}
		assert_int_equal(drpc_policy_could_allow(policy, &peer), allows);
	}
}

static void test_policy_judge_agrees_with_a_naive_reading(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct naive_rule rules[6] = { 0 };
		int count = rand_r(&seed) % 6;
		char *text = NULL;
		size_t size;
		FILE *file = open_memstream(&text, &size);
		struct drpc_policy *policy;

		fputs(HELLO, file);
		for (int i = 0; i < count; i++)
			write_rule(file, i, &rules[i], &seed);
		fclose(file);
		policy = parse_right(text);
		compare(policy, rules, count);
		drpc_policy_free(policy);
		free(text);
	}
}

int policy_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_judge_denies_by_default),
		cmocka_unit_test(test_policy_judge_denies_without_policy_or_peer),
		cmocka_unit_test(test_policy_judge_names_the_rule_that_decided),
		cmocka_unit_test(test_policy_judge_lets_deny_win_in_any_order),
		cmocka_unit_test(test_policy_judge_denies_all_until_bound),
		cmocka_unit_test(test_policy_bind_refuses_another_module),
		cmocka_unit_test(test_policy_bind_refuses_methods_that_are_not_the_modules),
		cmocka_unit_test(test_policy_bind_leaves_the_policy_when_it_fails),
		cmocka_unit_test(test_policy_method_name_gives_each_name_once),
		cmocka_unit_test(test_policy_rule_tells_what_matched),
		cmocka_unit_test(test_policy_could_allow_knows_strangers),
		cmocka_unit_test(test_policy_judge_agrees_with_a_naive_reading),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
