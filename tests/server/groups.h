/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The groups of tests of room server, a file each; each returns how many of its tests failed. */
#ifndef SERVER_GROUPS_H
#define SERVER_GROUPS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

int listener_tests(void);
int lifecycle_tests(void);
int calls_tests(void);
int under_way_tests(void);
int limits_tests(void);
int channel_tests(void);
int single_tests(void);

#endif
