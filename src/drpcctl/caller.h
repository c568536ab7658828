/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Caller: receives --user and --group as they were typed; hands on the peer that the kernel would
 * describe.
 */
#ifndef DRPCCTL_CALLER_H
#define DRPCCTL_CALLER_H

#include <stddef.h>

#include <drpc/peer.h>

#define CALLER_GROUPS_MAX 64 /* that can be given by hand */

/*
 * A user by name has the groups of the accounts; by number, the gid of the same number and no
 * groups.
 * @groups: names or gids, added to these
 *
 * Returns 0, -EINVAL: *ret_fault says which argument is wrong, in words to be printed after it in
 * *ret_argument; or -ENOMEM.
 */
int caller_make(const char *user, const char *const *groups, size_t group_count,
	struct drpc_peer **ret_peer, const char **ret_argument, const char **ret_fault);

#endif
