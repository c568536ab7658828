/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Tree oracle: see tree_oracle.h. */
#include "tree_oracle.h"

#include <stdlib.h>

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

static unsigned depth(enum kind kind, struct input in, unsigned max)
{
	unsigned deepest = 1;
	bool ok = true;

	while (in.left > 0 && ok && deepest <= max) {
		uint64_t key = varint(&in, 5, &ok);
		enum kind inner = inner_kind(kind, (uint32_t)(key / 8));
		struct input field = in;
		uint64_t size;

		if (key % 8 == 0)
			varint(&in, 10, &ok);
		else if (key % 8 == 1)
			skip(&in, 8, &ok);
		else if (key % 8 == 5)
			skip(&in, 4, &ok);
		else if (key % 8 != 2)
			break;
		if (!ok || key % 8 != 2)
			continue;
		size = varint(&in, 5, &ok);
		field = in;
		skip(&in, size, &ok);
		if (ok && inner != OTHER) {
			unsigned d;

			field.left = (size_t)size;
			d = max == 0 ? 2 : 1 + depth(inner, field, max - 1);
			deepest = d > deepest ? d : deepest;
		}
	}
	return deepest;
}

unsigned tree_depth(const uint8_t *data, size_t size, unsigned max)
{
	return depth(TREE, (struct input){ data, size }, max);
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
