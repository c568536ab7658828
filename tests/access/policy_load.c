/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Policy loading: files and directories on a real file system. */
#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "util/cleanup.h"

static int set_up(void **state)
{
	char *path = strdup("/tmp/drpc-policies-XXXXXX");

	*state = path;
	umask(022);
	return mkdtemp(path) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static int tear_down(void **state)
{
	int r = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return r;
}

static char *path_in(const char *directory, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

static void write_file(const char *directory, const char *name, const char *text)
{
	AUTO_FREE char *path = path_in(directory, name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void write_policy(const char *directory, const char *name, const char *module, int id)
{
	char text[128];

	snprintf(text, sizeof(text), "[module]\nname = %s\nid = %d\n", module, id);
	write_file(directory, name, text);
}

/* @words: of the problems, in this order; NULL ends them. */
static void expect_refused(const char *directory, const char *const *words)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policies *policies = NULL;
	size_t count = 0;

	assert_int_equal(drpc_policies_load(directory, problems, &policies), -EINVAL);
	assert_null(policies);
	for (; words[count] != NULL; count++) {
		assert_true(count < drpc_problems_count(problems));
		if (strstr(drpc_problems_text(problems, count), words[count]) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", drpc_problems_text(problems, count),
				words[count]);
	}
	assert_int_equal(drpc_problems_count(problems), count);
	drpc_problems_free(problems);
}

static void test_policy_load_reads_a_trusted_file(void **state)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	AUTO_FREE char *path = path_in(*state, "a.policy");

	write_policy(*state, "a.policy", "a", 1);
	assert_int_equal(drpc_policy_load(path, problems, &policy), 0);
	assert_string_equal(drpc_policy_file(policy), path);
	drpc_policy_free(policy);
	policy = NULL;
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(drpc_policy_load(path, problems, &policy), -EINVAL);
	assert_null(policy);
	assert_non_null(strstr(drpc_problems_text(problems, 0), "run: chmod go-w "));
	drpc_problems_free(problems);
}

static void test_policy_load_bounds_the_size(void **state)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	AUTO_FREE char *path = path_in(*state, "a.policy");

	write_policy(*state, "a.policy", "a", 1);
	assert_int_equal(truncate(path, 1024 * 1024 + 1), 0);
	assert_int_equal(drpc_policy_load(path, problems, &policy), -EINVAL);
	assert_int_equal(drpc_problems_count(problems), 1);
	assert_non_null(strstr(drpc_problems_text(problems, 0), "larger than 1048576 bytes"));
	drpc_problems_free(problems);
}

static void test_policies_load_sorts_and_takes_policies_only(void **state)
{
	struct drpc_policies *policies = NULL;

	write_policy(*state, "c.policy", "c", 1);
	write_policy(*state, "a.policy", "a", 2);
	write_policy(*state, "b.policy", "b", 3);
	write_file(*state, "README.md", "not a policy");
	write_file(*state, "d.policy~", "not a policy");
	assert_int_equal(drpc_policies_load(*state, NULL, &policies), 0);
	assert_int_equal(drpc_policies_count(policies), 3);
	assert_string_equal(drpc_policy_module_name(drpc_policies_get(policies, 0)), "a");
	assert_string_equal(drpc_policy_module_name(drpc_policies_get(policies, 1)), "b");
	assert_string_equal(drpc_policy_module_name(drpc_policies_get(policies, 2)), "c");
	assert_null(drpc_policies_get(policies, 3));
	drpc_policies_free(policies);
	drpc_policies_free(NULL);
}

static void test_policies_load_takes_an_empty_directory(void **state)
{
	struct drpc_policies *policies = NULL;
	AUTO_FREE char *path = path_in(*state, "");

	assert_int_equal(drpc_policies_load(path, NULL, &policies), 0);
	assert_int_equal(drpc_policies_count(policies), 0);
	drpc_policies_free(policies);
}

static void test_policies_load_refuses_one_id_or_name_twice(void **state)
{
	const char *const words[] = { "b.policy:2: module name one is also in ",
		"c.policy:3: module id 1 is also in ", NULL };

	write_policy(*state, "a.policy", "one", 1);
	write_policy(*state, "b.policy", "one", 2);
	write_policy(*state, "c.policy", "three", 1);
	expect_refused(*state, words);
}

static void test_policies_load_passes_over_nothing_in_silence(void **state)
{
	const char *const words[] = { "/.hidden.policy: a hidden policy file", "/.policy: a hidden",
		"/bad.policy: no [module]", "/directory.policy: not a regular file",
		"/fifo.policy: not a regular file", "/link.policy: a symbolic link", NULL };
	AUTO_FREE char *directory = path_in(*state, "directory.policy");
	AUTO_FREE char *fifo = path_in(*state, "fifo.policy");
	AUTO_FREE char *link = path_in(*state, "link.policy");

	write_policy(*state, "good.policy", "good", 1);
	write_policy(*state, ".hidden.policy", "hidden", 2);
	write_policy(*state, ".policy", "bare", 3);
	write_file(*state, "bad.policy", "");
	assert_int_equal(mkdir(directory, 0755), 0);
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(symlink("good.policy", link), 0);
	expect_refused(*state, words);
}

static void test_policies_load_judges_the_directory(void **state)
{
	const char *const words[] = { ": writable by group or others; run: chmod go-w ", NULL };
	const char *const missing[] = { ": No such file or directory", NULL };
	AUTO_FREE char *path = path_in(*state, "none");

	write_policy(*state, "a.policy", "a", 1);
	expect_refused(path, missing);
	assert_int_equal(chmod(*state, 0775), 0);
	expect_refused(*state, words);
}

static void test_policies_load_fails_when_any_allocation_fails(void **state)
{
	bool failed = true;

	write_policy(*state, "a.policy", "a", 1);
	write_policy(*state, "b.policy", "b", 2);
	for (size_t n = 0; failed; n++) {
		struct drpc_policies *policies = NULL;
		int r;

		fail_alloc_after(n);
		r = drpc_policies_load(*state, NULL, &policies);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(policies != NULL, r == 0);
		drpc_policies_free(policies);
	}
}

#define IN_PLACE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int policy_load_tests(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(test_policy_load_reads_a_trusted_file),
		IN_PLACE(test_policy_load_bounds_the_size),
		IN_PLACE(test_policies_load_sorts_and_takes_policies_only),
		IN_PLACE(test_policies_load_takes_an_empty_directory),
		IN_PLACE(test_policies_load_refuses_one_id_or_name_twice),
		IN_PLACE(test_policies_load_passes_over_nothing_in_silence),
		IN_PLACE(test_policies_load_judges_the_directory),
		IN_PLACE(test_policies_load_fails_when_any_allocation_fails),
	};

	return cmocka_run_group_tests_name("policy_load", tests, NULL, NULL);
}
