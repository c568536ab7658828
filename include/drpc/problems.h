/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Problems: what is wrong with a file that a person wrote, all of it, a line each:
 * "FILE:LINE: what is wrong; what to write instead". Where a function takes problems, NULL is fine:
 * its result says the same, without the words. One thread at a time.
 */
#ifndef DRPC_PROBLEMS_H
#define DRPC_PROBLEMS_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_problems;

/**
 * drpc_problems_new - an empty list
 *
 * Returns NULL when out of memory. The caller frees it with drpc_problems_free().
 */
struct drpc_problems *drpc_problems_new(void);

/** drpc_problems_free - NULL is fine */
void drpc_problems_free(struct drpc_problems *problems);

/** drpc_problems_count - how many there are; also counts those for which there was no memory */
size_t drpc_problems_count(const struct drpc_problems *problems);

/**
 * drpc_problems_text - the problem number @index, from 0, without a newline
 *
 * Returns a string that lives as long as the list, never NULL for an index below the count, and
 * without control characters: what it quotes cannot command a terminal.
 */
const char *drpc_problems_text(const struct drpc_problems *problems, size_t index);

/**
 * drpc_problems_add - add one
 * @file: what it is in, NULL for none
 * @line: from 1; 0 when it is about the whole file
 */
void drpc_problems_add(struct drpc_problems *problems, const char *file, unsigned line,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

#ifdef __cplusplus
}
#endif

#endif
