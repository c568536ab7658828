/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_policy: the text of a policy file, up to the first NUL (with a last byte of 0xff: all of
 * it); what follows, and the text itself, draw the callers. Whatever the parser accepts, the naive
 * one accepts, and both give the same verdicts for callers at and around every number in the file:
 * before the methods are looked up, and after. The rule that a verdict names is one that says so,
 * the explanation (drpc_policy_rule) agrees with the verdict, and could_allow says yes exactly when
 * some method is allowed. A refused file says what is wrong with it.
 *
 * Names of accounts come from the table in naive_policy.c, so that no system file is asked.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/module.h>

#include "access/policy_file.h"
#include "naive_policy.h"

enum { EDGES_MAX = 256, LISTED_MAX = 512, CALLERS = 24, GROUPS_MAX = 20 };

static const struct naive_method methods[] = {
	{ 0, "greeting" },
	{ 1, "echo" },
	{ 7, "read" },
	{ -1, "write" },
	{ INT32_MAX, "last" },
	{ INT32_MIN, "first" },
};
enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

/* What is asked of one policy. */
struct question {
	struct drpc_policy *policy;
	struct naive_policy *naive;
	bool is_bound;
	struct drpc_peer *peer;
	struct naive_caller caller;
};

static int find_user(void *data, const char *name, uint32_t *ret_uid)
{
	(void)data;
	return naive_account(name, false, ret_uid) ? 0 : -ENOENT;
}

static int find_group(void *data, const char *name, uint32_t *ret_gid)
{
	(void)data;
	return naive_account(name, true, ret_gid) ? 0 : -ENOENT;
}

static int never_called(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	return 0;
}

static bool naive_says(const struct question *q, int32_t method)
{
	if (!q->is_bound && naive_has_names(q->naive))
		return false;
	return naive_allows(q->naive, &q->caller, method, methods, METHODS);
}

/* The rule that a verdict names is there, of that kind, and about this question. */
static void check_deciding_rule(
	const struct question *q, const struct drpc_verdict *verdict, int32_t method)
{
	for (size_t i = 0; i < q->naive->rule_count; i++) {
		const struct naive_rule *rule = &q->naive->rules[i];

		if (strcmp(rule->name, verdict->rule) != 0)
			continue;
		REQUIRE(rule->line == verdict->line, "rule %s is in line %u, not in %u", rule->name,
			rule->line, verdict->line);
		REQUIRE(rule->is_deny == (verdict->decision == DRPC_DENY) &&
				naive_matches(rule, &q->caller, method, methods, METHODS),
			"rule %s did not decide this", rule->name);
		return;
	}
	fuzz_violated(__FILE__, __LINE__, "rule", "there is no rule %s", verdict->rule);
}

/* What the rules say one by one comes to the verdict. */
static void check_explanation(
	const struct question *q, const struct drpc_verdict *verdict, int32_t method)
{
	bool is_allowed = false;
	bool is_denied = false;
	struct drpc_rule_match match;
	size_t count = 0;

	while (drpc_policy_rule(q->policy, count, q->peer, method, &match) == 0) {
		bool matches = match.caller_matches && match.method_matches;

		is_denied = is_denied || (matches && match.kind == DRPC_DENY);
		is_allowed = is_allowed || (matches && match.kind == DRPC_ALLOW);
		count++;
	}
	REQUIRE(count == q->naive->rule_count, "%zu rules, there are %zu", count,
		q->naive->rule_count);
	REQUIRE((is_allowed && !is_denied) == (verdict->decision == DRPC_ALLOW),
		"the explanation of method %d is not the verdict", method);
}

static void ask(const struct question *q, int32_t method)
{
	struct drpc_verdict verdict = drpc_policy_judge(q->policy, q->peer, method);

	REQUIRE((verdict.decision == DRPC_ALLOW) == naive_says(q, method),
		"uid %u gid %u (%zu groups) method %d: the verdict is %s", q->caller.uid,
		q->caller.gid, q->caller.group_count, method,
		verdict.decision == DRPC_ALLOW ? "allow" : "deny");
	REQUIRE(verdict.reason != NULL && verdict.file != NULL, "a verdict without a reason");
	REQUIRE(verdict.decision == DRPC_DENY || verdict.rule != NULL, "allowed by no rule");
	if (verdict.rule != NULL)
		check_deciding_rule(q, &verdict, method);
	if (q->is_bound || !naive_has_names(q->naive))
		check_explanation(q, &verdict, method);
}

/* A method that no rule lists. */
static int32_t unlisted(const int32_t *listed, size_t count)
{
	int32_t method = 2;

	for (size_t i = 0; i < count; i++) {
		if (listed[i] == method) {
			method++;
			i = (size_t)-1;
		}
	}
	return method;
}

static void ask_about_methods(const struct question *q)
{
	static int32_t listed[LISTED_MAX];
	size_t count = naive_listed(q->naive, methods, METHODS, listed, LISTED_MAX);
	int32_t other = unlisted(listed, count);
	bool is_any = naive_says(q, other);

	ask(q, other);
	for (size_t i = 0; i < METHODS; i++)
		ask(q, methods[i].id);
	for (size_t i = 0; i < count; i++) {
		ask(q, listed[i]);
		is_any = is_any || naive_says(q, listed[i]);
	}
	if (count < LISTED_MAX)
		REQUIRE(drpc_policy_could_allow(q->policy, q->peer) == is_any,
			"uid %u gid %u: could_allow is wrong", q->caller.uid, q->caller.gid);
}

/* An id at, just before or just after a number of the file; or any. */
static uint32_t draw_id(uint64_t *seed, const uint32_t *edges, size_t count)
{
	uint64_t r = fuzz_random(seed);

	if (count == 0 || r % 8 == 0)
		return (uint32_t)(r >> 32);
	return edges[(r >> 8) % count] + (uint32_t)((r >> 40) % 3) - 1;
}

static void ask_as_callers(struct question *q, uint64_t seed)
{
	static uint32_t edges[EDGES_MAX];
	size_t count = naive_edges(q->naive, edges, EDGES_MAX);

	for (size_t i = 0; i < CALLERS; i++) {
		uint32_t groups[GROUPS_MAX];
		size_t group_count = fuzz_random(&seed) % (GROUPS_MAX + 1);

		if (i % 2 == 0)
			group_count %= 3;
		for (size_t j = 0; j < group_count; j++)
			groups[j] = draw_id(&seed, edges, count);
		q->caller = (struct naive_caller){ .groups = groups, .group_count = group_count };
		q->caller.uid = draw_id(&seed, edges, count);
		q->caller.gid = draw_id(&seed, edges, count);
		REQUIRE(drpc_peer_new(
				q->caller.uid, q->caller.gid, groups, group_count, &q->peer) == 0,
			"the harness is out of memory");
		ask_about_methods(q);
		drpc_peer_free(q->peer);
	}
}

/* Hold the policy against a module: its own most of the time. */
static void bind(struct question *q, uint64_t seed)
{
	struct drpc_method table[METHODS];
	struct drpc_module module = {
		.abi = DRPC_MODULE_ABI, .methods = table, .method_count = METHODS
	};
	int r;

	for (size_t i = 0; i < METHODS; i++)
		table[i] = (struct drpc_method){
			.id = methods[i].id, .name = methods[i].name, .handler = never_called
		};
	module.name = seed % 16 == 0 ? "another" : q->naive->name;
	module.id = drpc_policy_module_id(q->policy) + (seed / 16 % 16 == 0 ? 1 : 0);
	r = drpc_policy_bind(q->policy, &module, NULL);
	REQUIRE((r == 0) == naive_fits(q->naive, module.name, module.id, methods, METHODS),
		"holding the policy against module %s gives %d", module.name, r);
	REQUIRE(r == 0 || r == -EINVAL, "binding gives %d", r);
	q->is_bound = r == 0;
}

static void check_limits(const struct question *q)
{
	const struct drpc_policy_limits *limits = drpc_policy_limits(q->policy);

	REQUIRE(limits->max_call_size == q->naive->max_call_size &&
			limits->calls_per_second == q->naive->calls_per_second,
		"the limits are not the file's");
	REQUIRE(strcmp(drpc_policy_module_name(q->policy), q->naive->name) == 0,
		"the module's name is not the file's");
}

static void try_accepted(struct drpc_policy *policy, const char *text, size_t size, uint64_t seed)
{
	const char *why = "";
	struct question q = { .policy = policy, .naive = naive_parse(text, size, &why) };

	REQUIRE(q.naive != NULL, "a file was accepted that has %s", why);
	check_limits(&q);
	ask_as_callers(&q, seed);
	bind(&q, seed >> 8);
	ask_as_callers(&q, seed + 1);
	naive_free(q.naive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct principal_names names = { find_user, find_group, NULL };
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	size_t text_size = nul != NULL && data[size - 1] != 0xff ? (size_t)(nul - data) : size;
	char *text = (char *)fuzz_copy(data, text_size);
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	int r = policy_file_parse("fuzz.policy", text, text_size, &names, problems, &policy);

	REQUIRE(r == 0 || r == -EINVAL, "parsing gives %d", r);
	REQUIRE((r == 0) == (policy != NULL), "answer %d, policy %p", r, (void *)policy);
	REQUIRE((r == 0) == (drpc_problems_count(problems) == 0), "answer %d with %zu problems", r,
		drpc_problems_count(problems));
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		REQUIRE(strncmp(drpc_problems_text(problems, i), "fuzz.policy", 11) == 0,
			"a problem that does not say where");
	if (r == 0)
		try_accepted(policy, text, text_size, fuzz_hash(data, size));
	drpc_policy_free(policy);
	drpc_problems_free(problems);
	free(text);
	return 0;
}
