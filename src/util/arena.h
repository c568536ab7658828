/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Arena: memory for one call, given back all at once. Zeroed, under a byte budget, and able to say
 * whether it refused for want of budget or for want of memory. A block that was enough for one call
 * is kept for the next, so that small calls make no malloc.
 */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first; NULL: none yet */
	size_t used;		    /* bytes of the newest block */
	size_t budget;		    /* bytes that may still be handed out */
	bool over_budget;	    /* a request was refused because of the budget */
	bool out_of_memory;	    /* a request was refused by malloc */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* Give everything back, and allow @budget bytes from now on. */
void arena_reset(struct arena *arena, size_t budget);

/* Allow @budget bytes from now on, beside what was handed out; forget earlier refusals. */
void arena_set_budget(struct arena *arena, size_t budget);

/* Zeroed, aligned for anything. NULL: refused; over_budget or out_of_memory says why. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same without zeroing, for bytes that are written at once. */
void *arena_alloc_raw(struct arena *arena, size_t size);

/* Hand all of it over to @to, which must be empty; @from is empty afterwards. */
void arena_move(struct arena *from, struct arena *to);

/* How many bytes of blocks it holds. */
size_t arena_held(const struct arena *arena);

#endif
