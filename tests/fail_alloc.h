/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Allocation failure for tests. Receives which allocation of this thread is to fail; hands on NULL
 * in its place to the code under test.
 *
 * A test links the library fail_alloc, which wraps malloc, calloc and realloc in everything that is
 * linked into its binary (shared libraries keep the real ones). The usual loop:
 *
 *	for (size_t n = 0;; n++) {
 *		fail_alloc_after(n);
 *		r = code_under_test();
 *		failed = fail_alloc_count() > n;
 *		fail_alloc_off();
 *		if (!failed)
 *			break; // it made no more than n allocations: all were tried
 *		assert_int_equal(r, -ENOMEM);
 *	}
 */
#ifndef FAIL_ALLOC_H
#define FAIL_ALLOC_H

#include <stddef.h>

/* In this thread, let @n allocations from now on succeed and the next one fail; those after it
 * succeed. */
void fail_alloc_after(size_t n);

/* Allocations that this thread asked for since fail_alloc_after(), the failed one included. */
size_t fail_alloc_count(void);

/* No more failures in this thread. */
void fail_alloc_off(void);

#endif
