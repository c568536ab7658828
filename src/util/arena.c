/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Arena: see arena.h. Blocks are a list, the newest in front; only the newest is handed out from.
 */
#include "util/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024)
#define ALIGNMENT   alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size; /* bytes of data */
	alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){ 0 };
}

static void free_blocks(struct arena_block *block)
{
	while (block != NULL) {
		struct arena_block *next = block->next;

		free(block);
		block = next;
	}
}

void arena_deinit(struct arena *arena)
{
	free_blocks(arena->blocks);
	arena_init(arena);
}

void arena_reset(struct arena *arena, size_t budget)
{
	struct arena_block *kept = arena->blocks;

	if (kept != NULL && (kept->next != NULL || kept->size > BLOCK_BYTES)) {
		free_blocks(kept);
		arena->blocks = NULL;
	}
	arena->used = 0;
	arena_set_budget(arena, budget);
}

void arena_set_budget(struct arena *arena, size_t budget)
{
	arena->budget = budget;
	arena->over_budget = false;
	arena->out_of_memory = false;
}

static bool add_block(struct arena *arena, size_t size)
{
	size_t data = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct arena_block *block = malloc(sizeof(*block) + data);

	if (block == NULL) {
		arena->out_of_memory = true;
		return false;
	}
	block->size = data;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = 0;
	return true;
}

void *arena_alloc_raw(struct arena *arena, size_t size)
{
	size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	void *place;

	if (size == 0)
		rounded = ALIGNMENT;
	if (size > SIZE_MAX / 2 || rounded > arena->budget) {
		arena->over_budget = true;
		return NULL;
	}
	if (arena->blocks == NULL || rounded > arena->blocks->size - arena->used) {
		if (!add_block(arena, rounded))
			return NULL;
	}
	place = arena->blocks->data + arena->used;
	arena->used += rounded;
	arena->budget -= rounded;
	return place;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *place = arena_alloc_raw(arena, size);

	return place != NULL ? memset(place, 0, size) : NULL;
}

void arena_move(struct arena *from, struct arena *to)
{
	*to = *from;
	arena_init(from);
}

size_t arena_held(const struct arena *arena)
{
	size_t held = 0;

	for (const struct arena_block *b = arena->blocks; b != NULL; b = b->next)
		held += b->size;
	return held;
}
