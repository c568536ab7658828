/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Identity: receives a name, a number or a user; hands on who that is, and a process that is nobody
 * else. As anyone but root there is nothing to change, so there it only compares.
 */
#include "sandbox/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/capabilities.h"
#include "sandbox/failure.h"
#include "util/cleanup.h"

/* The largest id: the one above means "leave it as it is". */
#define ID_MAX ((uint64_t)UINT32_MAX - 1)

/* Bytes for one line of the accounts: at first, and at most. */
#define ACCOUNT_BYTES ((size_t)1 << 14)
#define ACCOUNT_MAX   ((size_t)1 << 20)

static int number_lookup(const char *digits, struct drpc_sandbox_user *ret_user)
{
	uint64_t id = 0;

	for (; *digits != '\0'; digits++) {
		id = id * 10 + (uint64_t)(*digits - '0');
		if (id > ID_MAX)
			return -EINVAL;
	}
	*ret_user = (struct drpc_sandbox_user){ .uid = (uid_t)id, .gid = (gid_t)id };
	return 0;
}

/* The groups of an account; getgrouplist() says how many there are when the array is too small. */
static int groups_lookup(const char *name, gid_t gid, gid_t **ret_groups, size_t *ret_count)
{
	AUTO_FREE gid_t *groups = NULL;
	int room = 16, count;

	for (;;) {
		gid_t *more = reallocarray(groups, (size_t)room, sizeof(*groups));

		if (more == NULL)
			return -ENOMEM;
		groups = more;
		count = room;
		if (getgrouplist(name, gid, groups, &count) >= 0)
			break;
		room = count > room ? count : room * 2;
	}
	*ret_groups = take_ptr(groups);
	*ret_count = (size_t)count;
	return 0;
}

/* getpwnam_r() with a buffer that grows; *ret_buffer holds what @account points to. */
static int account_read(const char *name, struct passwd *account, char **ret_buffer)
{
	struct passwd *found = NULL;
	size_t size;

	for (size = ACCOUNT_BYTES; size <= ACCOUNT_MAX; size *= 2) {
		AUTO_FREE char *buffer = malloc(size);
		int error;

		if (buffer == NULL)
			return -ENOMEM;
		error = getpwnam_r(name, account, buffer, size, &found);
		if (found != NULL) {
			*ret_buffer = take_ptr(buffer);
			return 0;
		}
		if (error != ERANGE)
			return error == ENOMEM ? -ENOMEM : -ENOENT;
	}
	return -ENOMEM;
}

static int account_lookup(const char *name, struct drpc_sandbox_user *ret_user)
{
	AUTO_FREE char *buffer = NULL;
	struct drpc_sandbox_user user = { 0 };
	struct passwd account;
	gid_t *groups;
	int r;

	r = account_read(name, &account, &buffer);
	if (r < 0)
		return r;
	r = groups_lookup(name, account.pw_gid, &groups, &user.group_count);
	if (r < 0)
		return r;
	user.uid = account.pw_uid;
	user.gid = account.pw_gid;
	user.groups = groups;
	*ret_user = user;
	return 0;
}

int drpc_sandbox_user_lookup(const char *text, struct drpc_sandbox_user *ret_user)
{
	if (text[0] == '\0')
		return -EINVAL;
	if (text[strspn(text, "0123456789")] == '\0')
		return number_lookup(text, ret_user);
	return account_lookup(text, ret_user);
}

static bool has_group(const struct drpc_sandbox_user *user, gid_t group)
{
	for (size_t i = 0; i < user->group_count; i++) {
		if (user->groups[i] == group)
			return true;
	}
	return false;
}

/* The process's own supplementary groups. *ret_groups is the caller's to free(). */
static int groups_read(gid_t **ret_groups, int *ret_count)
{
	AUTO_FREE gid_t *groups = NULL;
	int count = getgroups(0, NULL);

	if (count < 0)
		return -errno;
	groups = calloc((size_t)count + 1, sizeof(*groups));
	if (groups == NULL)
		return -ENOMEM;
	count = getgroups(count, groups);
	if (count < 0)
		return -errno;
	*ret_groups = take_ptr(groups);
	*ret_count = count;
	return 0;
}

/* No group of the process may be one that @user does not have. */
static int groups_verify(const struct drpc_sandbox_user *user, struct drpc_problems *problems)
{
	AUTO_FREE gid_t *groups = NULL;
	int r, count = 0;

	r = groups_read(&groups, &count);
	if (r < 0)
		return failure_add(problems, "read the supplementary groups", r);
	for (int i = 0; i < count; i++) {
		if (groups[i] == user->gid || has_group(user, groups[i]))
			continue;
		drpc_problems_add(problems, NULL, 0,
			"the process has group %u, which its user does not; start it without that "
			"group or without naming a user",
			groups[i]);
		return -EPERM;
	}
	return 0;
}

/* Without root there is no other user to become. */
static int user_compare(const struct drpc_sandbox_user *user, struct drpc_problems *problems)
{
	if (user->uid != geteuid() || user->gid != getegid()) {
		drpc_problems_add(problems, NULL, 0,
			"cannot become uid %u gid %u from uid %u gid %u; start as root, or as that user",
			user->uid, user->gid, geteuid(), getegid());
		return -EPERM;
	}
	return groups_verify(user, problems);
}

/* The real and saved ids become the effective ones: nobody else to go back to. */
static int ids_settle(uid_t uid, gid_t gid, struct drpc_problems *problems)
{
	if (setresgid(gid, gid, gid) < 0)
		return failure_errno(problems, "set the group");
	if (setresuid(uid, uid, uid) < 0)
		return failure_errno(problems, "set the user");
	return 0;
}

int identity_assume(const struct drpc_sandbox_user *user, struct drpc_problems *problems)
{
	int r;

	if (user != NULL && geteuid() != 0) {
		r = user_compare(user, problems);
		if (r < 0)
			return r;
	}
	if (user == NULL || geteuid() != 0)
		return ids_settle(geteuid(), getegid(), problems);

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return failure_errno(problems, "keep capabilities across the change of user");
	if (setgroups(user->group_count, user->groups) < 0)
		return failure_errno(problems, "set the supplementary groups");
	return ids_settle(user->uid, user->gid, problems);
}

static int ids_verify(uid_t uid, gid_t gid, struct drpc_problems *problems)
{
	uid_t real_uid, effective_uid, saved_uid;
	gid_t real_gid, effective_gid, saved_gid;

	if (getresuid(&real_uid, &effective_uid, &saved_uid) < 0 ||
		getresgid(&real_gid, &effective_gid, &saved_gid) < 0)
		return failure_errno(problems, "read the ids");
	if (real_uid != uid || effective_uid != uid || saved_uid != uid || real_gid != gid ||
		effective_gid != gid || saved_gid != gid)
		return failure_add(problems, "verify the ids", -EPERM);
	return 0;
}

int identity_verify(
	const struct drpc_sandbox_user *user, uint64_t kept, struct drpc_problems *problems)
{
	uid_t uid = user != NULL ? user->uid : geteuid();
	gid_t gid = user != NULL ? user->gid : getegid();
	int r;

	r = ids_verify(uid, gid, problems);
	if (r == 0 && user != NULL)
		r = groups_verify(user, problems);
	if (r < 0)
		return r;
	if (uid != 0 && !(kept & capability_bit(CAP_SETUID)) && setresuid(0, 0, 0) == 0)
		return failure_add(problems, "verify that root cannot be regained", -EPERM);
	if (gid != 0 && !(kept & capability_bit(CAP_SETGID)) && setresgid(0, 0, 0) == 0)
		return failure_add(problems, "verify that group root cannot be regained", -EPERM);
	return 0;
}
