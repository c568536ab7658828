/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Limits: receives the only thread; hands on what every thread of the process will inherit.
 *
 * Two limits are left alone on purpose: RLIMIT_NPROC, because threads come later and count, and
 * RLIMIT_FSIZE, because the log may be a file.
 */
#include "sandbox/limits.h"

#include <errno.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/failure.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* Each session is a descriptor: as many as the system's administrator lets. */
static int descriptors_raise(struct drpc_problems *problems)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return failure_errno(problems, "read the limit of descriptors");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return failure_errno(problems, "raise the limit of descriptors");
	return 0;
}

static int cores_forbid(struct drpc_problems *problems)
{
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		return failure_errno(problems, "forbid core dumps");
	return 0;
}

static int new_code_forbid(struct drpc_problems *problems, bool *ret_missing)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0) {
		if (errno != EINVAL)
			return failure_errno(problems, "deny memory that is written and executed");
		*ret_missing = true;
	}
	return 0;
}

int limits_apply(
	enum drpc_sandbox_mode mode, struct drpc_problems *problems, bool *ret_mdwe_missing)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failure_errno(problems, "set no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failure_errno(problems, "become not dumpable");
	r = cores_forbid(problems);
	if (r == 0)
		r = descriptors_raise(problems);
	/* Without the sandbox a tool that makes code as it goes, such as valgrind, can look on. */
	if (r == 0 && mode != DRPC_SANDBOX_OFF)
		r = new_code_forbid(problems, ret_mdwe_missing);
	return r;
}

void limits_malloc(void)
{
	mallopt(M_ARENA_MAX, 1);
}
