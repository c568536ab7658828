/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tree oracle: see tree_oracle.h. */
#include "tree_oracle.h"

#include <stdlib.h>
#include <string.h>

enum kind { TREE, LEAF, ENTRY, OTHER };

/* Which message each field of each message holds, as tree.proto has it. */
static enum kind inner_kind(enum kind outer, uint64_t number)
{
	switch (outer) {
	case TREE:
		if (number == 1 || number == 2 || number == 9)
			return TREE;
		if (number == 8)
			return LEAF;
		return number == 11 ? ENTRY : OTHER;
	case LEAF:
		return number == 2 ? TREE : OTHER;
	case ENTRY:
		return number == 2 ? LEAF : OTHER;
	case OTHER:
		break;
	}
	return OTHER;
}

static uint64_t varint(struct input *in, unsigned max_bytes, bool *ok)
{
	uint64_t value = 0;
	unsigned i = 0;
	uint8_t byte;

	do {
		if (in->left == 0 || i == max_bytes) {
			*ok = false;
			return 0;
		}
		byte = input_u8(in);
		value += (uint64_t)(byte % 128) << (7 * i);
		i++;
	} while (byte >= 128);
	return value;
}

static void skip(struct input *in, uint64_t size, bool *ok)
{
	const uint8_t *ignored;

	*ok = *ok && size <= in->left;
	input_take(in, (size_t)size, &ignored);
}

/* What is known of a body so far. */
struct walk {
	bool ok; /* the end, or something that is not well-formed, was not reached */
	bool has_field_zero;
};

static unsigned depth(enum kind kind, struct input in, unsigned max, struct walk *walk);

/* The nesting below one field, and past it. */
static unsigned field_depth(enum kind kind, struct input *in, unsigned max, struct walk *walk)
{
	uint64_t key = varint(in, 5, &walk->ok);
	uint32_t field_number = (uint32_t)(key / 8);
	enum kind inner = inner_kind(kind, field_number);
	struct input field;

	walk->has_field_zero = walk->has_field_zero || field_number == 0;
	switch (key % 8) {
	case 0:
		varint(in, 10, &walk->ok);
		return 0;
	case 1:
		skip(in, 8, &walk->ok);
		return 0;
	case 5:
		skip(in, 4, &walk->ok);
		return 0;
	case 2:
		field.left = (size_t)varint(in, 5, &walk->ok);
		field.at = in->at;
		skip(in, field.left, &walk->ok);
		return walk->ok && inner != OTHER ? depth(inner, field, max, walk) : 0;
	default:
		walk->ok = false;
		return 0;
	}
}

static unsigned depth(enum kind kind, struct input in, unsigned max, struct walk *walk)
{
	unsigned below = 0;

	if (max == 0) {
		walk->ok = false;
		return 1;
	}
	while (in.left > 0 && walk->ok) {
		unsigned d = field_depth(kind, &in, max - 1, walk);

		below = d > below ? d : below;
	}
	return 1 + below;
}

struct tree_shape tree_look(const uint8_t *data, size_t size, unsigned max)
{
	struct walk walk = { .ok = true };
	struct tree_shape shape = { .depth =
					    depth(TREE, (struct input){ data, size }, max, &walk) };

	shape.has_field_zero = walk.has_field_zero;
	return shape;
}

/* All that protobuf-c takes, given back at once: what it loses itself is not ours to find. */
struct block {
	struct block *next;
	max_align_t data[];
};

static void *take_block(void *list, size_t size)
{
	struct block **first = list;
	struct block *block = fuzz_alloc(sizeof(*block) + size);

	block->next = *first;
	*first = block;
	return block->data;
}

static void keep_block(void *list, void *data)
{
	(void)list;
	(void)data;
}

bool tree_is_accepted(const uint8_t *data, size_t size, uint8_t **ret_packed, size_t *ret_size)
{
	struct block *blocks = NULL;
	ProtobufCAllocator allocator = { take_block, keep_block, &blocks };
	Tree__Tree *tree = tree__tree__unpack(&allocator, size, data);

	if (tree != NULL && ret_packed != NULL) {
		*ret_packed = fuzz_alloc(tree__tree__get_packed_size(tree));
		*ret_size = tree__tree__pack(tree, *ret_packed);
	}
	while (blocks != NULL) {
		struct block *next = blocks->next;

		free(blocks);
		blocks = next;
	}
	return tree != NULL;
}

uint8_t *tree_wrap(uint8_t *data, size_t *size, size_t levels)
{
	for (size_t i = 0; i < levels; i++) {
		uint8_t *outer = fuzz_alloc(*size + 6);
		size_t head = 0;
		size_t rest = *size;

		outer[head++] = 1 << 3 | 2;
		for (; rest > 127; rest /= 128)
			outer[head++] = (uint8_t)(rest % 128 + 128);
		outer[head++] = (uint8_t)rest;
		if (*size > 0)
			memcpy(outer + head, data, *size);
		*size += head;
		free(data);
		data = outer;
	}
	return data;
}
