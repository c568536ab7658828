/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Problems: places, one line each, nothing lost when memory is short. */
#include "groups.h"

#include <drpc/problems.h>

#include "fail_alloc.h"

static void test_problems_add_names_file_and_line(void **state)
{
	struct drpc_problems *p = drpc_problems_new();

	(void)state;
	drpc_problems_add(p, "x.policy", 7, "unknown key \"%s\"", "color");
	drpc_problems_add(p, "x.policy", 0, "no [module]");
	drpc_problems_add(p, NULL, 0, "an empty path");
	assert_int_equal(drpc_problems_count(p), 3);
	assert_string_equal(drpc_problems_text(p, 0), "x.policy:7: unknown key \"color\"");
	assert_string_equal(drpc_problems_text(p, 1), "x.policy: no [module]");
	assert_string_equal(drpc_problems_text(p, 2), "an empty path");
	assert_null(drpc_problems_text(p, 3));
	drpc_problems_free(p);
}

static void test_problems_add_keeps_a_problem_on_one_line(void **state)
{
	struct drpc_problems *p = drpc_problems_new();

	(void)state;
	drpc_problems_add(p, "a\nb", 1, "red \033[31m and %s", "a\r\nfalse line\x7f");
	assert_string_equal(drpc_problems_text(p, 0), "a?b:1: red ?[31m and a??false line?");
	drpc_problems_free(p);
}

static void test_problems_add_keeps_many(void **state)
{
	struct drpc_problems *p = drpc_problems_new();

	(void)state;
	for (unsigned i = 1; i <= 1000; i++)
		drpc_problems_add(p, "f", i, "wrong");
	assert_int_equal(drpc_problems_count(p), 1000);
	assert_string_equal(drpc_problems_text(p, 999), "f:1000: wrong");
	drpc_problems_free(p);
}

static void test_problems_null_takes_all_and_has_none(void **state)
{
	(void)state;
	drpc_problems_add(NULL, "f", 1, "wrong");
	assert_int_equal(drpc_problems_count(NULL), 0);
	assert_null(drpc_problems_text(NULL, 0));
	drpc_problems_free(NULL);
}

static void test_problems_add_counts_without_memory(void **state)
{
	struct drpc_problems *p = drpc_problems_new();

	(void)state;
	fail_alloc_after(0); /* the array's; vasprintf's own are libc's, out of reach */
	drpc_problems_add(p, "f", 1, "lost");
	fail_alloc_off();
	assert_int_equal(drpc_problems_count(p), 1);
	assert_non_null(drpc_problems_text(p, 0));
	drpc_problems_add(p, "f", 2, "kept");
	assert_int_equal(drpc_problems_count(p), 2);
	assert_string_equal(drpc_problems_text(p, 0), "f:2: kept");
	assert_non_null(drpc_problems_text(p, 1));
	drpc_problems_free(p);
}

int problems_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_problems_add_names_file_and_line),
		cmocka_unit_test(test_problems_add_keeps_a_problem_on_one_line),
		cmocka_unit_test(test_problems_add_keeps_many),
		cmocka_unit_test(test_problems_null_takes_all_and_has_none),
		cmocka_unit_test(test_problems_add_counts_without_memory),
	};

	return cmocka_run_group_tests_name("problems", tests, NULL, NULL);
}
