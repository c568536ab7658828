/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The groups of tests of util. Each returns how many of its tests failed. */
#ifndef UTIL_GROUPS_H
#define UTIL_GROUPS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

int arena_tests(void);
int ini_tests(void);
int log_tests(void);
int problems_tests(void);
int trusted_file_tests(void);

#endif
