/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The groups of tests of room access, a file each; and what several of them need. */
#ifndef ACCESS_GROUPS_H
#define ACCESS_GROUPS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "access/policy_file.h"

int principal_tests(void);
int peer_tests(void);
int policy_tests(void);
int policy_file_tests(void);
int policy_load_tests(void);
int policy_memory_tests(void);

/*
 * Accounts that are the same on every machine: users root 0, alice 1001; groups staff 50,
 * contractors 5001; "broken" cannot be looked up, "invalid" is no id.
 */
extern const struct principal_names test_names;

/* A policy from text that must be right; file "t.policy". The caller frees it. Never NULL. */
struct drpc_policy *parse_right(const char *text);

/* A peer by hand; @groups ends with (gid_t)-1, and may be NULL. The caller frees it. Never NULL. */
struct drpc_peer *make_peer(uid_t uid, gid_t gid, const gid_t *groups);

/* "[module]" for a module hello of id 0, which is what most tests begin with: three lines. */
#define HELLO "[module]\nname = hello\nid = 0\n"

#endif
