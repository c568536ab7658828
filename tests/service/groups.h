/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The groups of tests of room service, a file each; each returns how many of its tests failed. */
#ifndef SERVICE_GROUPS_H
#define SERVICE_GROUPS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

int register_tests(void);
int process_tests(void);
int later_tests(void);
int payload_tests(void);
int quota_tests(void);
int memory_tests(void);

#endif
