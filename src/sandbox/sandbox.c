/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sandbox: what a process gives up, in order. Receives who to be and what modules asked to keep;
 * hands on a process that can do no more than that. What is given up here belongs to a thread, not
 * to a process, so it happens while there is one thread, and later ones inherit it.
 */
#include <drpc/sandbox.h>

#include <dirent.h>
#include <errno.h>

#include "sandbox/capabilities.h"
#include "sandbox/failure.h"
#include "sandbox/identity.h"
#include "sandbox/landlock.h"
#include "sandbox/limits.h"
#include "sandbox/report.h"
#include "sandbox/syscalls.h"

/* ThreadSanitizer has a thread of its own, which nobody can stop. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_EXPECTED 2
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_EXPECTED 2
#endif
#endif
#ifndef THREADS_EXPECTED
#define THREADS_EXPECTED 1
#endif

static int threads_count(int *ret_count)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	if (tasks == NULL)
		return -errno;
	for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	*ret_count = count;
	return 0;
}

static int only_thread_verify(struct drpc_problems *problems)
{
	int r, count = 0;

	r = threads_count(&count);
	if (r < 0)
		return failure_add(problems, "count the threads in /proc/self/task", r);
	if (count <= THREADS_EXPECTED)
		return 0;
	drpc_problems_add(problems, NULL, 0,
		"%d threads are running; privileges are given up thread by thread, so start threads "
		"afterwards (a module: in its start function)",
		count);
	return -EBUSY;
}

/* All that modules ask for is looked at, so that all that is wrong with it is reported. */
static int needs_verify(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, uint64_t *ret_keep)
{
	int capabilities = capabilities_from_needs(needs, need_count, problems, ret_keep);
	int calls = syscalls_verify(needs, need_count, problems);

	return capabilities < 0 ? capabilities : calls;
}

int drpc_sandbox_give_up(enum drpc_sandbox_mode mode, const struct drpc_sandbox_user *user,
	const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, struct drpc_sandbox_missing *ret_missing)
{
	struct drpc_sandbox_missing missing = { 0 };
	uint64_t keep = CAPABILITIES_NONE;
	int r;

	r = only_thread_verify(problems);
	if (r == 0)
		r = needs_verify(needs, need_count, problems, &keep);
	if (r == 0)
		r = identity_assume(user, problems);
	if (r == 0)
		r = capabilities_keep(keep, problems, &missing.bounding);
	if (r == 0)
		r = identity_verify(user, keep, problems);
	if (r == 0)
		r = limits_apply(mode, problems, &missing.mdwe);
	if (r == 0 && mode != DRPC_SANDBOX_OFF)
		r = landlock_apply(needs, need_count, problems, &missing.landlock);
	if (r < 0)
		return r;
	if (mode != DRPC_SANDBOX_OFF)
		limits_malloc();
	*ret_missing = missing;
	return 0;
}

int drpc_sandbox_filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *const *needs,
	size_t need_count, struct drpc_problems *problems)
{
	int r;

	if (mode == DRPC_SANDBOX_OFF)
		return 0;
	r = report_install();
	if (r < 0)
		return failure_add(problems, "handle SIGSYS", r);
	return syscalls_filter(mode, needs, need_count, problems);
}
