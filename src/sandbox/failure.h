/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Failure: a step that failed, in words for the person who starts the program. Receives errno;
 * hands on the same as a negative number.
 */
#ifndef SANDBOX_FAILURE_H
#define SANDBOX_FAILURE_H

#include <errno.h>
#include <string.h>

#include <drpc/problems.h>

static inline int failure_add(struct drpc_problems *problems, const char *step, int error)
{
	drpc_problems_add(problems, NULL, 0, "%s: %s", step, strerror(-error));
	return error;
}

/* The same for a system call that just failed. */
static inline int failure_errno(struct drpc_problems *problems, const char *step)
{
	return failure_add(problems, step, -errno);
}

#endif
