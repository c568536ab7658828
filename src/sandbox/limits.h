/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Limits: no_new_privs, not dumpable, no new code in memory, and resource limits. Receives the only
 * thread; hands on what every thread of the process will inherit.
 */
#ifndef SANDBOX_LIMITS_H
#define SANDBOX_LIMITS_H

#include <stdbool.h>

#include <drpc/problems.h>
#include <drpc/sandbox.h>

/*
 * Returns 0 or a negative errno with a problem added. *ret_mdwe_missing: the kernel has no
 * memory-deny-write-execute (before 6.3); untouched on failure.
 */
int limits_apply(
	enum drpc_sandbox_mode mode, struct drpc_problems *problems, bool *ret_mdwe_missing);

/*
 * Let malloc need only system calls that the filter allows: with more than one arena, glibc asks
 * for the number of CPUs, and opens a file below /proc to learn whether it may shrink one.
 */
void limits_malloc(void);

#endif
