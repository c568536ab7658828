/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy file: receives the text of a file; hands on a policy, or all that is wrong with the text.
 */
#ifndef ACCESS_POLICY_FILE_H
#define ACCESS_POLICY_FILE_H

#include "access/policy.h"

#define POLICY_FILE_MAX_BYTES ((size_t)1024 * 1024)

/*
 * drpc_policy_parse() with the accounts given, for tests and fuzzing. @names is used during the
 * call only.
 */
int policy_file_parse(const char *file, const char *text, size_t size,
	const struct principal_names *names, struct drpc_problems *problems,
	struct drpc_policy **ret_policy);

#endif
