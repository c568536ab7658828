/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Landlock: receives the paths that modules asked for; hands on a thread that can open those and
 * nothing else, bind and connect no TCP port, and reach no abstract socket or process outside.
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include <drpc/policy.h>
#include <drpc/problems.h>

/*
 * After no_new_privs, in the only thread. Returns 0 or a negative errno with a problem added: a
 * path that cannot be opened is one, with or without Landlock. *ret_missing: the kernel has no
 * Landlock; untouched on failure.
 */
int landlock_apply(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, bool *ret_missing);

#endif
