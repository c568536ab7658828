/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Capabilities: receives the names that modules asked for; hands on a thread that has those and no
 * way to any other. A set is a bit for each capability, by its number.
 */
#ifndef SANDBOX_CAPABILITIES_H
#define SANDBOX_CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/policy.h>
#include <drpc/problems.h>

#define CAPABILITIES_NONE ((uint64_t)0)

static inline uint64_t capability_bit(int capability)
{
	return (uint64_t)1 << capability;
}

/* Whether this kernel has a capability of that name, such as "CAP_NET_ADMIN". */
bool capability_exists(const char *name);

/* What modules asked for. Returns 0, or -EINVAL with a problem for each name that is no capability.
 */
int capabilities_from_needs(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, uint64_t *ret_set);

/* What this thread may use. Returns 0 or a negative errno. */
int capabilities_permitted(uint64_t *ret_set);

/*
 * Keep @keep, permitted and effective. All other sets become empty, and the securebits that give
 * root its powers are cleared and locked. Without CAP_SETPCAP the bounding set and the securebits
 * stay, and *ret_bounding_missing says so. Returns 0; -EPERM: a capability to keep is not there to
 * be kept; or another negative errno; with a problem added. For this thread alone.
 */
int capabilities_keep(uint64_t keep, struct drpc_problems *problems, bool *ret_bounding_missing);

#endif
