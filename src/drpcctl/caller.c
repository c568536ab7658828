/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Caller: receives --user and --group as they were typed; hands on the peer that the kernel would
 * describe.
 */
#include "drpcctl/caller.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "drpcctl/command.h"
#include "util/cleanup.h"

#define ID_MAX (UINT32_MAX - 1) /* the last id stands for none */

struct caller {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t group_count;
};

static int refuse(
	const char *argument, const char *fault, const char **ret_argument, const char **ret_fault)
{
	*ret_argument = argument;
	*ret_fault = fault;
	return -EINVAL;
}

/* All groups of an account, with room for @extra more. */
static int read_groups(const struct passwd *account, size_t extra, struct caller *caller)
{
	int count = 32, room;

	do {
		gid_t *groups = reallocarray(caller->groups, (size_t)count + extra, sizeof(gid_t));

		if (groups == NULL)
			return -ENOMEM;
		caller->groups = groups;
		room = count;
	} while (getgrouplist(account->pw_name, account->pw_gid, caller->groups, &count) < 0 &&
		 count > room);
	caller->group_count = (size_t)count;
	return count > room ? -ENOMEM : 0;
}

static int read_user(const char *user, size_t extra, struct caller *caller,
	const char **ret_argument, const char **ret_fault)
{
	const struct passwd *account;
	int64_t id;

	if (is_number(user)) {
		if (!parse_number(user, 0, ID_MAX, &id))
			return refuse(user, "not a uid", ret_argument, ret_fault);
		caller->uid = (uid_t)id;
		caller->gid = (gid_t)id;
		caller->groups = calloc(extra + 1, sizeof(gid_t));
		return caller->groups == NULL ? -ENOMEM : 0;
	}
	account = getpwnam(user);
	if (account == NULL)
		return refuse(user, "no such user; give a name of this system or a uid",
			ret_argument, ret_fault);
	caller->uid = account->pw_uid;
	caller->gid = account->pw_gid;
	return read_groups(account, extra, caller);
}

static int read_group(
	const char *text, gid_t *ret_gid, const char **ret_argument, const char **ret_fault)
{
	const struct group *group;
	int64_t id;

	if (is_number(text)) {
		if (!parse_number(text, 0, ID_MAX, &id))
			return refuse(text, "not a gid", ret_argument, ret_fault);
		*ret_gid = (gid_t)id;
		return 0;
	}
	group = getgrnam(text);
	if (group == NULL)
		return refuse(text, "no such group; give a name of this system or a gid",
			ret_argument, ret_fault);
	*ret_gid = group->gr_gid;
	return 0;
}

int caller_make(const char *user, const char *const *groups, size_t group_count,
	struct drpc_peer **ret_peer, const char **ret_argument, const char **ret_fault)
{
	struct caller caller = { 0 };
	int r = read_user(user, group_count, &caller, ret_argument, ret_fault);

	for (size_t i = 0; i < group_count && r == 0; i++)
		r = read_group(
			groups[i], &caller.groups[caller.group_count++], ret_argument, ret_fault);
	if (r == 0)
		r = drpc_peer_new(
			caller.uid, caller.gid, caller.groups, caller.group_count, ret_peer);
	free(caller.groups);
	return r;
}
