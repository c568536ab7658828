/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The groups of tests of room wire, a file each; each returns how many of its tests failed. */
#ifndef WIRE_GROUPS_H
#define WIRE_GROUPS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

int packet_tests(void);
int assembler_tests(void);
int splitter_tests(void);
int envelope_tests(void);
int socket_tests(void);
int status_tests(void);
int message_tests(void);

/* The sizes at which the arithmetic of chunks changes, and one of several MiB. */
extern const size_t edge_sizes[];
extern const size_t edge_sizes_count;

/* @size bytes that differ from place to place; the caller frees them. Never NULL. */
uint8_t *pattern(size_t size);

#endif
