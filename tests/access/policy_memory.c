/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Want of memory: each allocation in turn fails, and what comes out is an error, never a policy
 * that lacks something. Leaks are the sanitizer's and valgrind's to find.
 */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/module.h>

#include "fail_alloc.h"
#include "util/cleanup.h"

/* Something of everything that allocates. */
static const char full[] =
	HELLO "library = hello.so\n"
	      "[deny d]\ncallers = 1, 3, 5, 7, 9, alice, %staff, %1, %2, %3, %4\n"
	      "methods = a, b, c, d, e, 7\n"
	      "[allow a]\ncallers = *\nmethods = *\n"
	      "[allow b]\ncallers = 4\nmethods = 2\n[allow c]\ncallers = 4\nmethods = 2\n"
	      "[allow e]\ncallers = 4\nmethods = 2\n[allow f]\ncallers = 4\nmethods = 2\n"
	      "[sandbox]\nsystem-calls = open fstat lseek\ncapabilities = CAP_KILL\n"
	      "read-paths = /a\nwrite-paths = /b\n";

/* Parse with allocation @n failing. Returns whether that many were made. */
static bool parse_failing(const char *text, size_t n, int expected, struct drpc_problems *problems)
{
	struct drpc_policy *policy = NULL;
	bool failed;
	int r;

	fail_alloc_after(n);
	r = policy_file_parse("f", text, strlen(text), &test_names, problems, &policy);
	failed = fail_alloc_count() > n;
	fail_alloc_off();
	if (failed)
		assert_true(r == -ENOMEM || (r == -EINVAL && expected == -EINVAL));
	else
		assert_int_equal(r, expected);
	assert_int_equal(policy != NULL, r == 0);
	drpc_policy_free(policy);
	return failed;
}

static void test_policy_parse_fails_when_any_allocation_fails(void **state)
{
	size_t n = 0;

	(void)state;
	while (parse_failing(full, n, 0, NULL))
		n++;
	assert_true(n > 60); /* the test tries something */
}

/* A problem that finds no memory must not make a wrong file right. */
static void test_policy_parse_refuses_when_problems_find_no_memory(void **state)
{
	static const char wrong[] = HELLO "[deny d]\ncallers = wolf\nmethods = *\n"
					  "[allow a]\ncallers = *\nmethods = *\n";
	bool failed = true;

	(void)state;
	for (size_t n = 0; failed; n++) {
		struct drpc_problems *problems = drpc_problems_new();

		failed = parse_failing(wrong, n, -EINVAL, problems);
		drpc_problems_free(problems);
	}
}

/* Binding allocates only for its words. */
static void test_policy_bind_fails_the_same_without_memory(void **state)
{
	static const struct drpc_method methods[] = { { .id = 1, .name = "a" } };
	static const struct drpc_module module = { DRPC_MODULE_ABI, 0, "hello", methods, 1 };
	struct drpc_policy *policy = parse_right(full);
	struct drpc_problems *problems = drpc_problems_new();

	(void)state;
	for (size_t n = 0; n < 20; n++) {
		fail_alloc_after(n);
		assert_int_equal(drpc_policy_bind(policy, &module, problems), -EINVAL);
		fail_alloc_off();
	}
	drpc_problems_free(problems);
	drpc_policy_free(policy);
}

static void test_peer_new_fails_when_any_allocation_fails(void **state)
{
	const gid_t groups[20] = { 0 };

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		struct drpc_peer *peer = NULL;

		fail_alloc_after(n);
		assert_int_equal(drpc_peer_new(1, 2, groups, 20, &peer), n < 2 ? -ENOMEM : 0);
		fail_alloc_off();
		assert_int_equal(peer != NULL, n == 2);
		drpc_peer_free(peer);
	}
}

int policy_memory_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_parse_fails_when_any_allocation_fails),
		cmocka_unit_test(test_policy_parse_refuses_when_problems_find_no_memory),
		cmocka_unit_test(test_policy_bind_fails_the_same_without_memory),
		cmocka_unit_test(test_peer_new_fails_when_any_allocation_fails),
	};

	return cmocka_run_group_tests_name("policy_memory", tests, NULL, NULL);
}
