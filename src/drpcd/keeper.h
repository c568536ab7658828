/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Keeper: a small process that removes the daemon's socket file, which the daemon itself may not
 * once it has given up its privileges. Receives the path after bind; hands on a descriptor. When
 * the other end of it goes away, however the daemon ended, the keeper removes the file, if it is
 * still the daemon's.
 */
#ifndef DRPCD_KEEPER_H
#define DRPCD_KEEPER_H

#include <drpc/problems.h>
#include <drpc/sandbox.h>

struct keeper {
	int fd; /* -1: there is none */
};

/*
 * Start the keeper of the socket file @socket_path. After bind, before privileges are given up and
 * before any thread. With DRPC_SANDBOX_OFF it has no system call filter either.
 * From here on the process does not wait for children (SIGCHLD is ignored).
 * Returns 0 or a negative errno with a problem added.
 */
int keeper_start(struct keeper *keeper, const char *socket_path, enum drpc_sandbox_mode mode,
	struct drpc_problems *problems);

/*
 * Have the file removed, and wait for that at most a second. Needs no privilege and, of system
 * calls, shutdown, read and close. The keeper is gone afterwards. Returns 0; -EPIPE: there is no
 * keeper any more; -ETIMEDOUT; or why the keeper could not remove the file.
 */
int keeper_remove(struct keeper *keeper);

#endif
