/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Identity: groups, gid and uid. Receives who to be; hands on a process that is that user in all
 * its ids, and a check that it cannot become root again.
 */
#ifndef SANDBOX_IDENTITY_H
#define SANDBOX_IDENTITY_H

#include <stdint.h>

#include <drpc/sandbox.h>

/*
 * Become @user; NULL settles on the effective ids. Permitted capabilities outlive this step, so
 * that capabilities_keep() can choose among them. Returns 0 or a negative errno with a problem
 * added.
 */
int identity_assume(const struct drpc_sandbox_user *user, struct drpc_problems *problems);

/*
 * After capabilities_keep(@kept): every id is @user's, and no way leads back to root but a
 * capability that was asked for. Returns 0 or a negative errno with a problem added.
 */
int identity_verify(
	const struct drpc_sandbox_user *user, uint64_t kept, struct drpc_problems *problems);

#endif
