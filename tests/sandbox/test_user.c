/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who a name or a number stands for. */
#include "sandbox/child.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static void test_user_lookup_takes_a_bare_uid_with_the_same_gid_and_no_groups(void **state)
{
	struct drpc_sandbox_user user = { .group_count = 7 };

	(void)state;
	assert_int_equal(drpc_sandbox_user_lookup("1500", &user), 0);
	assert_int_equal(user.uid, 1500);
	assert_int_equal(user.gid, 1500);
	assert_int_equal(user.group_count, 0);
	assert_int_equal(drpc_sandbox_user_lookup("4294967294", &user), 0);
	assert_int_equal(user.uid, 4294967294U);
}

static void test_user_lookup_refuses_what_is_no_uid(void **state)
{
	static const char *const wrong[] = { "", "4294967295", "4294967296",
		"99999999999999999999" };
	struct drpc_sandbox_user user = { .uid = 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(drpc_sandbox_user_lookup(wrong[i], &user), -EINVAL);
	assert_int_equal(user.uid, 7);
}

static void test_user_lookup_refuses_unknown_accounts(void **state)
{
	static const char *const wrong[] = { "no-such-account", "-1", "+5", " 5", "12abc", "0x10" };
	struct drpc_sandbox_user user = { .uid = 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(drpc_sandbox_user_lookup(wrong[i], &user), -ENOENT);
	assert_int_equal(user.uid, 7);
}

static bool has_group(const struct drpc_sandbox_user *user, gid_t group)
{
	for (size_t i = 0; i < user->group_count; i++) {
		if (user->groups[i] == group)
			return true;
	}
	return false;
}

static void test_user_lookup_takes_an_account_with_its_groups(void **state)
{
	struct drpc_sandbox_user user = { 0 };
	const struct passwd *account = getpwuid(getuid());
	const struct group *group;
	char *name;

	(void)state;
	if (account == NULL) {
		print_message("SKIPPED: needs an account\n");
		skip();
	}
	name = account->pw_name;
	assert_int_equal(drpc_sandbox_user_lookup(name, &user), 0);
	assert_int_equal(user.uid, account->pw_uid);
	assert_int_equal(user.gid, account->pw_gid);
	assert_true(has_group(&user, account->pw_gid));
	while ((group = getgrent()) != NULL) {
		for (char **member = group->gr_mem; *member != NULL; member++) {
			if (strcmp(*member, name) == 0)
				assert_true(has_group(&user, group->gr_gid));
		}
	}
	endgrent();
	free((void *)(uintptr_t)user.groups);
}

int run_user_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_lookup_takes_a_bare_uid_with_the_same_gid_and_no_groups),
		cmocka_unit_test(test_user_lookup_refuses_what_is_no_uid),
		cmocka_unit_test(test_user_lookup_refuses_unknown_accounts),
		cmocka_unit_test(test_user_lookup_takes_an_account_with_its_groups),
	};

	return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
