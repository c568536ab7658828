/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Landlock: receives the paths that modules asked for; hands on a thread that can open those and
 * nothing else. The kernel's interface grows by versions ("ABI"); all that the running one can
 * forbid is forbidden, and what it does not know yet is left out. The C library has no wrappers for
 * it.
 */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sandbox/failure.h"
#include "util/cleanup.h"

/* Newer than the headers that this must build with. */
#define FS_TRUNCATE  ((uint64_t)1 << 14)
#define FS_IOCTL_DEV ((uint64_t)1 << 15)

/* Every right to files of the first version: the lowest 13 bits, EXECUTE to MAKE_SYM. */
#define FS_FIRST (LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1))

#define NET_TCP	  ((uint64_t)3) /* bind and connect */
#define SCOPE_ALL ((uint64_t)3) /* abstract Unix sockets and signals */

/* What modules are given on the files and directories that they ask for. */
#define READ_FILE      LANDLOCK_ACCESS_FS_READ_FILE
#define READ_DIRECTORY (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILE     (READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define WRITE_DIRECTORY                                                                            \
	(READ_DIRECTORY | WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                   \
		LANDLOCK_ACCESS_FS_REFER)

/* struct landlock_ruleset_attr as of version 6; an older kernel takes it while the rest is 0. */
struct ruleset_attributes {
	uint64_t files;
	uint64_t network;
	uint64_t scopes;
};

struct ruleset {
	int fd; /* -1: the kernel has no Landlock */
	struct ruleset_attributes handled;
};

/* What each version added. */
static const struct {
	int version;
	struct ruleset_attributes adds;
} versions[] = {
	{ 1, { .files = FS_FIRST } },
	{ 2, { .files = LANDLOCK_ACCESS_FS_REFER } },
	{ 3, { .files = FS_TRUNCATE } },
	{ 4, { .network = NET_TCP } },
	{ 5, { .files = FS_IOCTL_DEV } },
	{ 6, { .scopes = SCOPE_ALL } },
};

/* Returns 0 with *ret_ruleset->fd == -1 when the kernel has none. */
static int ruleset_create(struct ruleset *ret_ruleset)
{
	struct ruleset ruleset = { .fd = -1 };
	long version;

	version = syscall(
		SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 0 && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(versions) && versions[i].version <= version; i++) {
		ruleset.handled.files |= versions[i].adds.files;
		ruleset.handled.network |= versions[i].adds.network;
		ruleset.handled.scopes |= versions[i].adds.scopes;
	}
	if (version > 0) {
		ruleset.fd = (int)syscall(
			SYS_landlock_create_ruleset, &ruleset.handled, sizeof(ruleset.handled), 0U);
		if (ruleset.fd < 0)
			return -errno;
	}
	*ret_ruleset = ruleset;
	return 0;
}

static int rule_add(const struct ruleset *ruleset, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights & ruleset->handled.files,
		.parent_fd = fd,
	};

	if (ruleset->fd < 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) < 0)
		return -errno;
	return 0;
}

static int path_allow(const struct ruleset *ruleset, const char *path, uint64_t file_rights,
	uint64_t directory_rights)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return rule_add(ruleset, fd, S_ISDIR(status.st_mode) ? directory_rights : file_rights);
}

static int paths_allow(const struct ruleset *ruleset, const char *const *paths,
	uint64_t file_rights, uint64_t directory_rights, struct drpc_problems *problems)
{
	int result = 0;

	for (; *paths != NULL; paths++) {
		int r = path_allow(ruleset, *paths, file_rights, directory_rights);

		if (r == 0)
			continue;
		drpc_problems_add(problems, NULL, 0,
			"path '%s', which a module asks for: %s; make it for the service's user, or take "
			"it out of the policy's [sandbox]",
			*paths, strerror(-r));
		result = r;
	}
	return result;
}

int landlock_apply(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, bool *ret_missing)
{
	struct ruleset ruleset = { .fd = -1 };
	AUTO_CLOSE int fd = -1;
	int r;

	r = ruleset_create(&ruleset);
	if (r < 0)
		return failure_add(problems, "create the Landlock rules", r);
	fd = ruleset.fd;
	for (size_t i = 0; i < need_count && r == 0; i++) {
		r = paths_allow(
			&ruleset, needs[i]->read_paths, READ_FILE, READ_DIRECTORY, problems);
		if (r == 0)
			r = paths_allow(&ruleset, needs[i]->write_paths, WRITE_FILE,
				WRITE_DIRECTORY, problems);
	}
	if (r < 0)
		return r;
	if (fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0U) < 0)
		return failure_errno(problems, "enforce the Landlock rules");
	*ret_missing = fd < 0;
	return 0;
}
