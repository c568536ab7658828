/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_payload: a body for the schema tree.proto. Two bytes say how often what follows is repeated
 * and in how many more messages it is wrapped, so that both guards are reached by small inputs; the
 * rest is the body.
 *
 * Unpacking never takes more memory than the budget, refuses what is nested too deeply and nothing
 * else for that reason, and otherwise gives the answer of protobuf-c alone. What it accepts packs,
 * as protobuf-c packs it, and unpacks and packs again to the same bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/payload.h"
#include "tree_oracle.h"

/* SMALL: a body of so many bytes fits the budget's floor, whatever it is. */
enum { BODY_MAX = 256 * 1024, BLOCK = 16 * 1024, SMALL = PAYLOAD_BUDGET_FLOOR / 512 };

struct body {
	uint8_t *data;
	size_t size;
};

static struct body repeat(const uint8_t *data, size_t size, size_t times)
{
	struct body body = { .data = fuzz_alloc(size * times) };

	for (size_t i = 0; i < times && body.size + size <= BODY_MAX; i++) {
		if (size > 0)
			memcpy(body.data + body.size, data, size);
		body.size += size;
	}
	return body;
}

/* Blocks are at most half empty, but for the last: the allocator's own bookkeeping is apart. */
static void check_memory(const struct arena *arena, size_t size)
{
	size_t budget = PAYLOAD_BUDGET_FLOOR + PAYLOAD_BUDGET_FACTOR * size;

	REQUIRE(arena_held(arena) <= 2 * budget + BLOCK, "%zu bytes held, the budget is %zu",
		arena_held(arena), budget);
	REQUIRE(arena->budget <= budget, "the budget grew");
}

/* The answer and what the oracles say of the same bytes. */
static void check_answer(int r, struct body body, unsigned depth)
{
	bool is_accepted = false;

	REQUIRE(r == 0 || r == -EBADMSG || r == -E2BIG || r == -ELOOP, "the answer is %d", r);
	REQUIRE((r == -ELOOP) == (depth > PAYLOAD_MAX_DEPTH), "the answer is %d at depth %u", r,
		depth);
	if (depth <= PAYLOAD_MAX_DEPTH)
		is_accepted = tree_is_accepted(body.data, body.size, NULL, NULL);
	REQUIRE(r == -E2BIG || (r == 0) == is_accepted, "the answer is %d, protobuf-c %s it", r,
		is_accepted ? "accepts" : "refuses");
	REQUIRE(r != -E2BIG || body.size > SMALL, "%zu bytes were over the budget", body.size);
}

static int unpack(struct body body, struct arena *arena, const ProtobufCMessage **ret_message)
{
	int r = payload_unpack(&tree__tree__descriptor, body.data, body.size, arena, ret_message);

	check_memory(arena, body.size);
	return r;
}

static struct body pack(const ProtobufCMessage *message)
{
	struct body body = { 0 };
	const uint8_t *data;
	struct arena arena;
	int r;

	arena_init(&arena);
	r = payload_pack(message, SIZE_MAX / 2, &arena, &data, &body.size);
	REQUIRE(r == 0, "what was accepted does not pack: %d", r);
	body.data = fuzz_copy(data, body.size);
	arena_deinit(&arena);
	return body;
}

static void check_equal(struct body a, struct body b)
{
	REQUIRE(a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0),
		"%zu bytes and %zu bytes of the same message differ", a.size, b.size);
}

/* Packed as protobuf-c alone packs it; unpacked again and packed again to the same. */
static void check_again(struct body body, const ProtobufCMessage *message)
{
	struct body packed = pack(message);
	const ProtobufCMessage *again;
	struct body oracle;
	struct arena arena;
	int r;

	REQUIRE(tree_is_accepted(body.data, body.size, &oracle.data, &oracle.size), "refused now");
	check_equal(packed, oracle);
	arena_init(&arena);
	r = unpack(packed, &arena, &again);
	REQUIRE(r == 0 || (r == -E2BIG && packed.size > SMALL),
		"what was packed does not unpack: %d", r);
	if (r == 0) {
		struct body twice = pack(again);

		check_equal(packed, twice);
		free(twice.data);
	}
	arena_deinit(&arena);
	free(oracle.data);
	free(packed.data);
}

/* None most of the time. */
static size_t draw_small(struct input *input, uint8_t none_below)
{
	uint8_t byte = input_u8(input);

	return byte > none_below ? byte - none_below : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t times = draw_small(&input, 128) * 2 + 1;
	size_t wraps = draw_small(&input, 180);
	const ProtobufCMessage *message;
	struct tree_shape shape;
	struct arena arena;
	struct body body;
	int r;

	body = repeat(input.at, input.left, times);
	body.data = tree_wrap(body.data, &body.size, wraps);
	arena_init(&arena);
	r = unpack(body, &arena, &message);
	shape = tree_look(body.data, body.size, PAYLOAD_MAX_DEPTH);
	check_answer(r, body, shape.depth);
	if (r == 0 && !shape.has_field_zero)
		check_again(body, message);
	arena_deinit(&arena);
	free(body.data);
	return 0;
}
