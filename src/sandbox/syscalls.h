/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Syscalls: the list of system calls that serving needs, and the seccomp filter made of it.
 * Receives what modules asked for beyond the list; hands on threads that can make those calls and
 * no other.
 */
#ifndef SANDBOX_SYSCALLS_H
#define SANDBOX_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>

#include <drpc/sandbox.h>

/* Whether this machine has a system call of that name. */
bool syscalls_exists(const char *name);

/* Returns 0, or -EINVAL with a problem for each name that is no system call of this machine. */
int syscalls_verify(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems);

/*
 * Load the filter into all threads; report_install() comes first. A call that @needs names is
 * allowed with any arguments, also one that the list pins. Returns 0 or a negative errno with a
 * problem added.
 */
int syscalls_filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *const *needs,
	size_t need_count, struct drpc_problems *problems);

/* For the report, from a signal handler. The name is NULL for a number that has none. */
const char *syscalls_name(int number);
bool syscalls_is_pinned(int number);

#endif
