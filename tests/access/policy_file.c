/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy file: the samples of tests/data/policy. Each file of accepted/ is taken; each of refused/
 * is refused with exactly the lines of its .expected. And what an accepted file comes to.
 */
#include "groups.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static char *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(65536);

	if (file == NULL || text == NULL)
		fail_msg("cannot read %s", path);
	*ret_size = fread(text, 1, 65535, file);
	text[*ret_size] = '\0';
	fclose(file);
	return text;
}

/* "NAME.policy" as the file's name, so that the expected lines are the same wherever the tree is.
 */
static int parse_file(
	const char *path, struct drpc_problems *problems, struct drpc_policy **ret_policy)
{
	size_t size;
	AUTO_FREE char *text = read_file(path, &size);

	return policy_file_parse(
		strrchr(path, '/') + 1, text, size, &test_names, problems, ret_policy);
}

static char *join(const struct drpc_problems *problems)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(file, "%s\n", drpc_problems_text(problems, i));
	fclose(file);
	return text;
}

static void check_accepted(const char *path)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	int r = parse_file(path, problems, &policy);
	AUTO_FREE char *text = join(problems);

	if (r < 0)
		fail_msg("%s", text);
	assert_string_equal(text, "");
	drpc_policy_free(policy);
	drpc_problems_free(problems);
}

static void check_refused(const char *path)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	char expected_path[4096];
	AUTO_FREE char *expected = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	assert_int_equal(parse_file(path, problems, &policy), -EINVAL);
	assert_null(policy);
	text = join(problems);
	snprintf(expected_path, sizeof(expected_path), "%.*s.expected",
		(int)(strlen(path) - strlen(".policy")), path);
	expected = read_file(expected_path, &size);
	assert_string_equal(text, expected);
	drpc_problems_free(problems);
}

static void for_each(const char *pattern, void (*check)(const char *path))
{
	glob_t found;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check(found.gl_pathv[i]);
	globfree(&found);
}

static void test_policy_parse_takes_the_accepted_samples(void **state)
{
	(void)state;
	for_each(TEST_DATA "/policy/accepted/*.policy", check_accepted);
}

static void test_policy_parse_refuses_the_refused_samples(void **state)
{
	(void)state;
	for_each(TEST_DATA "/policy/refused/*.policy", check_refused);
}

static struct drpc_policy *parse_sample(const char *path)
{
	struct drpc_policy *policy = NULL;

	assert_int_equal(parse_file(path, NULL, &policy), 0);
	return policy;
}

static void expect_list(const char *const *list, const char *first, const char *last, size_t count)
{
	size_t i = 0;

	assert_non_null(list);
	while (list[i] != NULL)
		i++;
	assert_int_equal(i, count);
	if (count > 0) {
		assert_string_equal(list[0], first);
		assert_string_equal(list[count - 1], last);
	}
}

static void test_policy_parse_reads_every_key(void **state)
{
	struct drpc_policy *policy = parse_sample(TEST_DATA "/policy/accepted/full.policy");
	const struct drpc_policy_limits *limits = drpc_policy_limits(policy);
	const struct drpc_policy_needs *needs = drpc_policy_needs(policy);

	(void)state;
	assert_string_equal(drpc_policy_file(policy), "full.policy");
	assert_string_equal(drpc_policy_module_name(policy), "hello");
	assert_int_equal(drpc_policy_module_id(policy), INT32_MIN);
	assert_string_equal(drpc_policy_library(policy), "hello.so");
	assert_int_equal(limits->max_call_size, 65536);
	assert_int_equal(limits->calls_per_second, 100);
	assert_int_equal(limits->concurrent_calls, 8);
	expect_list(needs->system_calls, "openat", "close", 4);
	expect_list(needs->capabilities, "cap_net_admin", "cap_sys_time", 2);
	expect_list(needs->read_paths, "/etc/hello", "/usr/share/hello files", 2);
	expect_list(needs->write_paths, "/var/lib/hello", "/var/lib/hello", 1);
	drpc_policy_free(policy);
}

static void test_policy_parse_leaves_out_what_is_not_there(void **state)
{
	struct drpc_policy *policy = parse_sample(TEST_DATA "/policy/accepted/minimal.policy");
	const struct drpc_policy_needs *needs = drpc_policy_needs(policy);

	(void)state;
	assert_null(drpc_policy_library(policy));
	assert_int_equal(drpc_policy_limits(policy)->max_call_size, 0);
	expect_list(needs->system_calls, "", "", 0);
	expect_list(needs->capabilities, "", "", 0);
	expect_list(needs->read_paths, "", "", 0);
	expect_list(needs->write_paths, "", "", 0);
	assert_null(drpc_policy_method_name(policy, 0));
	drpc_policy_free(policy);
}

static void test_policy_parse_continues_lists(void **state)
{
	struct drpc_policy *policy = parse_sample(TEST_DATA "/policy/accepted/continued.policy");
	const struct drpc_peer callers[] = { { .uid = 0 }, { .uid = 1001 }, { .uid = 1, .gid = 50 },
		{ .uid = 2000 }, { .uid = 2999 } };
	const struct drpc_peer other = { .uid = 1, .gid = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
		assert_int_equal(drpc_policy_judge(policy, &callers[i], 0).decision, DRPC_ALLOW);
	assert_int_equal(drpc_policy_judge(policy, &other, 0).decision, DRPC_DENY);
	drpc_policy_free(policy);
}

static void expect_size(const char *value, uint64_t expected)
{
	char text[256];
	struct drpc_policy *policy = NULL;
	int r;

	snprintf(text, sizeof(text), HELLO "[limits]\nmax-call-size = %s\n", value);
	r = policy_file_parse("f", text, strlen(text), &test_names, NULL, &policy);
	assert_int_equal(r, expected == 0 ? -EINVAL : 0);
	if (r == 0)
		assert_int_equal(drpc_policy_limits(policy)->max_call_size, expected);
	drpc_policy_free(policy);
}

static void test_policy_parse_reads_sizes(void **state)
{
	(void)state;
	expect_size("1", 1);
	expect_size("1K", 1024);
	expect_size("64M", 67108864);
	expect_size("1G", 1073741824);
	expect_size("18446744073709551615", UINT64_MAX);
	expect_size("17179869183G", 17179869183ULL << 30);
	expect_size("17179869184G", 0);
	expect_size("18446744073709551616", 0);
	expect_size("0", 0);
	expect_size("0K", 0);
	expect_size("K", 0);
	expect_size("1k", 0);
	expect_size("1KK", 0);
	expect_size("-1", 0);
	expect_size("+1", 0);
	expect_size("1.5K", 0);
	expect_size("1 K", 0);
	expect_size("01", 0);
	expect_size("0x10", 0);
}

static char *many(const char *format, int count, const char *before, const char *after)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	fputs(before, file);
	for (int i = 0; i < count; i++)
		for (const char *c = format; *c != '\0'; c++) {
			if (*c == '@')
				fprintf(file, "%d", i);
			else
				fputc(*c, file);
		}
	fputs(after, file);
	fclose(file);
	return text;
}

static void expect_many(const char *format, int count, const char *before, const char *after, int r)
{
	AUTO_FREE char *text = many(format, count, before, after);
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;

	assert_int_equal(
		policy_file_parse("f", text, strlen(text), &test_names, problems, &policy), r);
	assert_int_equal(drpc_problems_count(problems), r < 0); /* said once */
	drpc_policy_free(policy);
	drpc_problems_free(problems);
}

static void test_policy_parse_bounds_rules_and_lists(void **state)
{
	const char *rule = "[allow r@]\ncallers = *\nmethods = @\n";
	const char *list = HELLO "[allow a]\nmethods = *\ncallers =\n";

	(void)state;
	expect_many(rule, POLICY_RULES_MAX, HELLO, "", 0);
	expect_many(rule, POLICY_RULES_MAX + 10, HELLO, "", -EINVAL);
	expect_many("  @,\n", POLICY_ITEMS_MAX, list, "", 0);
	expect_many("  @,\n", POLICY_ITEMS_MAX + 10, list, "", -EINVAL);
}

/* However a policy is cut short, it is refused, or it is one that allows no more. */
static void test_policy_parse_never_allows_more_when_cut_short(void **state)
{
	const char *text = HELLO
		"[deny d]\ncallers = 5, 60\nmethods = *\n[allow a]\ncallers = 5, 60\nmethods = *\n";
	const struct drpc_peer peers[] = { { .uid = 5 }, { .uid = 60 } };

	(void)state;
	for (size_t size = 0; size <= strlen(text); size++) {
		struct drpc_policy *policy = NULL;

		if (policy_file_parse("f", text, size, &test_names, NULL, &policy) < 0)
			assert_null(policy);
		for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
			assert_int_equal(
				drpc_policy_judge(policy, &peers[i], 0).decision, DRPC_DENY);
		drpc_policy_free(policy);
	}
}

int policy_file_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_parse_takes_the_accepted_samples),
		cmocka_unit_test(test_policy_parse_refuses_the_refused_samples),
		cmocka_unit_test(test_policy_parse_reads_every_key),
		cmocka_unit_test(test_policy_parse_leaves_out_what_is_not_there),
		cmocka_unit_test(test_policy_parse_continues_lists),
		cmocka_unit_test(test_policy_parse_reads_sizes),
		cmocka_unit_test(test_policy_parse_bounds_rules_and_lists),
		cmocka_unit_test(test_policy_parse_never_allows_more_when_cut_short),
	};

	return cmocka_run_group_tests_name("policy_file", tests, NULL, NULL);
}
