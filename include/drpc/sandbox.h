/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sandbox: what a process gives up before it reads a stranger's byte, in two steps with the start
 * of its threads between them: drpc_sandbox_give_up() while there is one thread,
 * drpc_sandbox_filter() when all threads run. There is no way back, and a step that fails leaves
 * the process unfit to serve: end it.
 */
#ifndef DRPC_SANDBOX_H
#define DRPC_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <drpc/policy.h>
#include <drpc/problems.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The zero value is the safe one. */
enum drpc_sandbox_mode {
	DRPC_SANDBOX_ENFORCE = 0, /* a forbidden system call ends the process */
	DRPC_SANDBOX_LOG,	  /* the kernel logs it and lets it pass; all else as enforced */
	DRPC_SANDBOX_OFF,	  /* privileges are given up; no MDWE, no Landlock, no filter */
};

/* Who to be. As anyone but root, this must be who the process is already. */
struct drpc_sandbox_user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary */
	size_t group_count;
};

/* What the kernel does not have; a start line names each. */
struct drpc_sandbox_missing {
	bool landlock; /* before 5.13, or not enabled */
	bool mdwe;     /* PR_SET_MDWE, before 6.3 */
	bool bounding; /* without CAP_SETPCAP (not started as root) bounding set and securebits stay
			*/
};

/**
 * drpc_sandbox_user_lookup - who a name or a number stands for
 * @text: "alice": the account, its group and its groups; "1500": that uid, the same gid, no groups
 * @ret_user: ret_user->groups is the caller's to free(); untouched on failure
 *
 * Returns 0, -ENOENT: no such account (the caller), -EINVAL: empty or too large to be a uid (the
 * caller), or -ENOMEM.
 */
int drpc_sandbox_user_lookup(const char *text, struct drpc_sandbox_user *ret_user);

/**
 * drpc_sandbox_give_up - groups, gid and uid; capabilities; no_new_privs, dumpable, MDWE; Landlock
 * @user:  NULL stays who the process is
 * @needs: what to keep, @need_count of them; a capability, a path or a system call that does not
 * exist is a problem, not a thing to pass over
 * @problems: says which step failed and why
 * @ret_missing: untouched on failure
 *
 * A read-path may be read, with all beneath it. A write-path may be read too, and files and
 * directories made, changed and removed beneath it. Except with DRPC_SANDBOX_OFF, malloc is kept to
 * one arena: to manage several, glibc makes system calls that the filter forbids. Returns 0 or a
 * negative errno: end the process. The only thread of the process must call it, and it checks that
 * it is.
 */
int drpc_sandbox_give_up(enum drpc_sandbox_mode mode, const struct drpc_sandbox_user *user,
	const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, struct drpc_sandbox_missing *ret_missing);

/**
 * drpc_sandbox_filter - confine all threads to the system calls of serving, and to what @needs adds
 *
 * A system call that libseccomp can name and that is not on the list ends the process with SIGSYS,
 * after a line on descriptor 2 that names it, and the module and method under way. One that
 * libseccomp cannot name fails with ENOSYS. Another architecture's calls kill the process. A call
 * that @needs names is allowed with any arguments. Threads must not block SIGSYS: one that does
 * dies without the line. Returns 0 or a negative errno: end the process.
 */
int drpc_sandbox_filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *const *needs,
	size_t need_count, struct drpc_problems *problems);

/* One line of the list, for tools and tests. */
struct drpc_sandbox_call {
	const char *name;
	const char *why;
	bool pinned; /* only with certain arguments */
};

/** drpc_sandbox_call - system call number @index, from 0, of the base list; NULL past the last */
const struct drpc_sandbox_call *drpc_sandbox_call(size_t index);

/**
 * drpc_sandbox_running - what this thread is running, for the report; static strings, or NULL for
 * nothing
 */
void drpc_sandbox_running(const char *module, const char *method);

#ifdef __cplusplus
}
#endif

#endif
