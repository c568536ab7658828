/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tests of room access: who calls, and may they. */
#include "groups.h"

#include <errno.h>
#include <string.h>

static int user(void *data, const char *name, uint32_t *ret_uid)
{
	(void)data;
	if (strcmp(name, "broken") == 0)
		return -EIO;
	if (strcmp(name, "root") == 0)
		*ret_uid = 0;
	else if (strcmp(name, "alice") == 0)
		*ret_uid = 1001;
	else if (strcmp(name, "invalid") == 0)
		*ret_uid = UINT32_MAX;
	else
		return -ENOENT;
	return 0;
}

static int group(void *data, const char *name, uint32_t *ret_gid)
{
	(void)data;
	if (strcmp(name, "staff") == 0)
		*ret_gid = 50;
	else if (strcmp(name, "contractors") == 0)
		*ret_gid = 5001;
	else
		return -ENOENT;
	return 0;
}

const struct principal_names test_names = { user, group, NULL };

struct drpc_policy *parse_right(const char *text)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_policy *policy = NULL;
	int r = policy_file_parse("t.policy", text, strlen(text), &test_names, problems, &policy);

	if (drpc_problems_count(problems) > 0)
		print_error("%s\n", drpc_problems_text(problems, 0));
	drpc_problems_free(problems);
	assert_int_equal(r, 0);
	return policy;
}

struct drpc_peer *make_peer(uid_t uid, gid_t gid, const gid_t *groups)
{
	struct drpc_peer *peer = NULL;
	size_t count = 0;

	while (groups != NULL && groups[count] != (gid_t)-1)
		count++;
	assert_int_equal(drpc_peer_new(uid, gid, groups, count, &peer), 0);
	return peer;
}

int main(void)
{
	int failed = 0;

	failed += principal_tests();
	failed += peer_tests();
	failed += policy_tests();
	failed += policy_file_tests();
	failed += policy_load_tests();
	failed += policy_memory_tests();
	return failed > 0;
}
