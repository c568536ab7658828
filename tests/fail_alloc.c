/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Allocation failure: receives each allocation of the binary, by the linker's --wrap; hands it on
 * to the C library, or fails it.
 */
#include "fail_alloc.h"

#include <stdbool.h>
#include <stdint.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local size_t fail_index = SIZE_MAX;
static _Thread_local size_t asked;

void fail_alloc_after(size_t n)
{
	fail_index = n;
	asked = 0;
}

size_t fail_alloc_count(void)
{
	return asked;
}

void fail_alloc_off(void)
{
	fail_index = SIZE_MAX;
}

static bool must_fail(void)
{
	return asked++ == fail_index;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return must_fail() ? NULL : __real_realloc(old, size);
}
