/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Assembler: messages of all sizes, chunks of all sizes, each refusal, memory, and the want of it.
 */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fail_alloc.h"
#include "util/cleanup.h"
#include "wire/assembler.h"

static const size_t no_limit = DRPC_MESSAGE_MAX_BYTES;

static int push(struct assembler *a, const uint8_t *message, uint64_t total, size_t at, size_t size,
	uint32_t index, struct message *ret_message)
{
	struct packet_header header = { .total_size = total,
		.chunk_size = size,
		.chunk_index = index,
		.total_chunks = (uint32_t)packet_chunks_for(total) };

	return assembler_push(
		a, &header, size + PACKET_HEADER_BYTES, false, message + at, ret_message);
}

/* Receive as the server does: into the place that the assembler gives. */
static int push_placed(struct assembler *a, uint8_t *scratch, const uint8_t *message, size_t total,
	size_t at, size_t size, uint32_t index, struct message *ret_message)
{
	uint8_t *place;
	size_t room;

	assert_int_equal(assembler_place(a, scratch, &place, &room), 0);
	assert_true(size <= room);
	memcpy(place, message + at, size);
	return push(a, place - at, total, at, size, index, ret_message);
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Assemble a message from full chunks; each step keeps the promise about memory. */
static void assemble(size_t total, bool placed)
{
	uint8_t *message = pattern(total);
	uint8_t *scratch = malloc(DRPC_CHUNK_MAX_BYTES);
	struct message whole = { 0 };
	struct assembler a;
	uint32_t index = 0;
	size_t at = 0;
	int r;

	assembler_init(&a, no_limit);
	do {
		size_t size = min_size(total - at, DRPC_CHUNK_MAX_BYTES);

		r = placed ? push_placed(&a, scratch, message, total, at, size, index, &whole)
			   : push(&a, message, total, at, size, index, &whole);
		at += size;
		index++;
		assert_true(a.capacity <= 2 * at + DRPC_CHUNK_MAX_BYTES);
		assert_true(a.capacity <= total);
		assert_int_equal(assembler_is_midway(&a), at < total);
		assert_int_equal(r, at < total ? ASSEMBLER_MORE : ASSEMBLER_WHOLE);
	} while (at < total);
	assert_int_equal(whole.size, total);
	assert_memory_equal(whole.data, message, total);
	assert_int_equal(whole.buffer != NULL, total > DRPC_CHUNK_MAX_BYTES);
	assert_int_equal(a.capacity, 0);
	free(whole.buffer);
	assembler_deinit(&a);
	free(scratch);
	free(message);
}

static void test_assembler_push_returns_a_message_of_each_size_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < edge_sizes_count; i++) {
		assemble(edge_sizes[i], false);
		assemble(edge_sizes[i], true);
	}
}

static void test_assembler_push_does_not_copy_a_single_chunk(void **state)
{
	const uint8_t data[] = { 1, 2, 3 };
	struct message whole;
	struct assembler a;

	(void)state;
	assembler_init(&a, no_limit);
	fail_alloc_after(0);
	assert_int_equal(push(&a, data, 3, 0, 3, 0, &whole), ASSEMBLER_WHOLE);
	assert_int_equal(fail_alloc_count(), 0);
	fail_alloc_off();
	assert_ptr_equal(whole.data, data);
	assert_null(whole.buffer);
	assembler_deinit(&a);
}

static void test_assembler_push_takes_messages_one_after_another(void **state)
{
	static const size_t sizes[] = { 131049, 0, 400000, 7, 131048, 262097 };
	uint8_t *bytes = pattern(400000);
	struct message whole;
	struct assembler a;

	(void)state;
	assembler_init(&a, no_limit);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t index = 0;
		size_t at = 0;
		size_t size;

		do {
			size = min_size(sizes[i] - at, DRPC_CHUNK_MAX_BYTES);
			assert_in_range(push(&a, bytes, sizes[i], at, size, index++, &whole),
				ASSEMBLER_WHOLE, ASSEMBLER_MORE);
			at += size;
		} while (at < sizes[i]);
		assert_int_equal(whole.size, sizes[i]);
		assert_memory_equal(whole.data, bytes, sizes[i]);
		free(whole.buffer);
	}
	assembler_deinit(&a);
	free(bytes);
}

/* Two chunks of 131049 bytes, cut at each of these places. */
static void test_assembler_push_accepts_uneven_chunks(void **state)
{
	static const size_t cuts[] = { 1, 2, 65524, 131047, 131048 };
	const size_t total = 131049;
	uint8_t *bytes = pattern(total);
	struct message whole;
	struct assembler a;

	(void)state;
	assembler_init(&a, no_limit);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		size_t cut = cuts[i];

		assert_int_equal(push(&a, bytes, total, 0, cut, 0, &whole), ASSEMBLER_MORE);
		assert_int_equal(
			push(&a, bytes, total, cut, total - cut, 1, &whole), ASSEMBLER_WHOLE);
		assert_int_equal(whole.size, total);
		assert_memory_equal(whole.data, bytes, total);
		free(whole.buffer);
	}
	assembler_deinit(&a);
	free(bytes);
}

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

/* Chunks of random sizes: small ones first would leave too much for the last, so they are near
 * full. */
static void assemble_random(struct assembler *a, const uint8_t *bytes, uint32_t *random)
{
	size_t total = DRPC_CHUNK_MAX_BYTES * 20 + 1 + next_random(random) % 1000;
	size_t spare = packet_chunks_for(total) * DRPC_CHUNK_MAX_BYTES - total;
	uint8_t *scratch = malloc(DRPC_CHUNK_MAX_BYTES);
	struct message whole = { 0 };
	size_t at = 0;
	int r = ASSEMBLER_MORE;

	for (uint32_t index = 0; r == ASSEMBLER_MORE; index++) {
		size_t less = next_random(random) % (spare + 1) % DRPC_CHUNK_MAX_BYTES;
		size_t size = min_size(total - at, DRPC_CHUNK_MAX_BYTES - less);

		spare -= less;
		if (index % 2)
			r = push(a, bytes, total, at, size, index, &whole);
		else
			r = push_placed(a, scratch, bytes, total, at, size, index, &whole);
		at += size;
		assert_true(a->capacity <= 2 * at + DRPC_CHUNK_MAX_BYTES);
	}
	assert_int_equal(r, ASSEMBLER_WHOLE);
	assert_int_equal(whole.size, total);
	assert_memory_equal(whole.data, bytes, total);
	free(whole.buffer);
	free(scratch);
}

static void test_assembler_push_accepts_any_split_that_adds_up(void **state)
{
	uint8_t *bytes = pattern(DRPC_CHUNK_MAX_BYTES * 21);
	uint32_t random = 1;
	struct assembler a;

	(void)state;
	assembler_init(&a, no_limit);
	for (int i = 0; i < 20; i++)
		assemble_random(&a, bytes, &random);
	assembler_deinit(&a);
	free(bytes);
}

/* What stands after a first chunk of 100 bytes, of a message of 262097 in 3 chunks. */
struct refusal {
	bool begun;
	struct packet_header header;
	size_t received;
	bool truncated;
	enum packet_fault fault;
};

static const struct refusal refusals[] = {
	{ false, { 0, 0, 0, 1 }, 23, false, PACKET_SHORT },
	{ false, { 1, 1, 0, 1 }, 25, true, PACKET_TRUNCATED },
	{ false, { 2, 2, 0, 1 }, 25, false, PACKET_CHUNK_SIZE },
	{ false, { 1, 1, 0, 0 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ false, { 1, 1, 1, 1 }, 25, false, PACKET_CHUNK_INDEX },
	{ false, { 131049, 1, 1, 2 }, 25, false, PACKET_CHUNK_INDEX },
	{ false, { 131049, 1, UINT32_MAX, 2 }, 25, false, PACKET_CHUNK_INDEX },
	{ false, { 131049, 0, 0, 2 }, 24, false, PACKET_CHUNK_ROOM },
	{ false, { 1, 0, 0, 1 }, 24, false, PACKET_CHUNK_ROOM },
	{ false, { 1, 2, 0, 1 }, 26, false, PACKET_CHUNK_ROOM },
	{ false, { 0, 1, 0, 1 }, 25, false, PACKET_CHUNK_ROOM },
	{ false, { 300001, 100, 0, 3 }, 124, false, PACKET_TOO_LARGE },
	{ false, { (uint64_t)131048 * UINT32_MAX, 1, 0, UINT32_MAX }, 25, false, PACKET_TOO_LARGE },
	{ true, { 262097, 100, 1, 3 }, 23, false, PACKET_SHORT },
	{ true, { 262097, 100, 1, 3 }, 124, true, PACKET_TRUNCATED },
	{ true, { 262097, 100, 1, 3 }, 125, false, PACKET_CHUNK_SIZE },
	{ true, { 262097, 100, 1, 2 }, 124, false, PACKET_TOTAL_CHUNKS },
	{ true, { 262097, 100, 0, 3 }, 124, false, PACKET_CHUNK_INDEX },
	{ true, { 262097, 100, 2, 3 }, 124, false, PACKET_CHUNK_INDEX },
	{ true, { 262098, 100, 1, 3 }, 124, false, PACKET_TOTALS_DIFFER },
	{ true, { 262096, 100, 1, 2 }, 124, false, PACKET_TOTALS_DIFFER },
	{ true, { 262097, 0, 1, 3 }, 24, false, PACKET_CHUNK_ROOM },
};

static void test_assembler_push_refuses_each_fault_for_ever(void **state)
{
	uint8_t *bytes = pattern(DRPC_PACKET_MAX_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct message none = { .size = 42 };
		struct assembler a;

		assembler_init(&a, 300000);
		if (c->begun)
			assert_int_equal(push(&a, bytes, 262097, 0, 100, 0, &none), ASSEMBLER_MORE);
		assert_int_equal(
			assembler_push(&a, &c->header, c->received, c->truncated, bytes, &none),
			ASSEMBLER_REFUSED);
		assert_string_equal(packet_fault_text(a.fault), packet_fault_text(c->fault));
		assert_int_equal(a.capacity, 0);
		/* Even a packet that is fine. */
		assert_int_equal(push(&a, bytes, 1, 0, 1, 0, &none), ASSEMBLER_REFUSED);
		assert_string_equal(packet_fault_text(a.fault), packet_fault_text(c->fault));
		assert_int_equal(none.size, 42);
		assembler_deinit(&a);
	}
	free(bytes);
}

/* The last chunk of two must bring what is left: not a byte less. More is more than the totals say.
 */
static void test_assembler_push_refuses_a_last_chunk_that_does_not_complete(void **state)
{
	static const size_t wrong[] = { 0, 1, 131000, 131002 };
	uint8_t *bytes = pattern(DRPC_PACKET_MAX_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct message none;
		struct assembler a;

		assembler_init(&a, no_limit);
		assert_int_equal(push(&a, bytes, 131049, 0, 48, 0, &none), ASSEMBLER_MORE);
		assert_int_equal(push(&a, bytes, 131049, 0, wrong[i], 1, &none), ASSEMBLER_REFUSED);
		assert_int_equal(a.fault, PACKET_CHUNK_ROOM);
		assembler_deinit(&a);
	}
	free(bytes);
}

static void test_assembler_push_applies_the_limit_at_its_edge(void **state)
{
	uint8_t *bytes = pattern(1001);
	struct message whole;
	struct assembler a;

	(void)state;
	assembler_init(&a, 1000);
	assert_int_equal(push(&a, bytes, 1000, 0, 1000, 0, &whole), ASSEMBLER_WHOLE);
	assert_int_equal(push(&a, bytes, 1001, 0, 1001, 0, &whole), ASSEMBLER_REFUSED);
	assert_int_equal(a.fault, PACKET_TOO_LARGE);
	assembler_deinit(&a);
	free(bytes);
}

/* A header that announces 64 MiB costs what came with it. */
static void test_assembler_push_allocates_nothing_on_the_word_of_a_header(void **state)
{
	const uint8_t byte = 7;
	struct message none;
	struct assembler a;
	uint8_t *place;
	size_t room;

	(void)state;
	assembler_init(&a, no_limit);
	assert_int_equal(push(&a, &byte, no_limit, 0, 1, 0, &none), ASSEMBLER_MORE);
	assert_true(a.capacity <= 2 + DRPC_CHUNK_MAX_BYTES);
	assert_int_equal(assembler_place(&a, NULL, &place, &room), 0);
	assert_true(a.capacity <= 2 + DRPC_CHUNK_MAX_BYTES);
	assert_int_equal(room, DRPC_CHUNK_MAX_BYTES);
	assembler_deinit(&a);
	assert_int_equal(a.capacity, 0);
}

static void test_assembler_place_offers_what_is_left_and_no_more(void **state)
{
	uint8_t *bytes = pattern(131049);
	struct message none;
	struct assembler a;
	uint8_t *place;
	size_t room;

	(void)state;
	assembler_init(&a, no_limit);
	assert_int_equal(assembler_place(&a, bytes, &place, &room), 0);
	assert_ptr_equal(place, bytes);
	assert_int_equal(room, DRPC_CHUNK_MAX_BYTES);
	assert_int_equal(push(&a, bytes, 131049, 0, 131000, 0, &none), ASSEMBLER_MORE);
	assert_int_equal(assembler_place(&a, bytes, &place, &room), 0);
	assert_int_equal(room, 49);
	assembler_deinit(&a);
	free(bytes);
}

/* Returns what the first failing step answered, or ASSEMBLER_WHOLE. */
static int assemble_or_fail(struct assembler *a, const uint8_t *bytes, size_t total)
{
	struct message whole = { 0 };
	uint32_t index = 0;
	size_t at = 0;
	int r;

	do {
		size_t size = min_size(total - at, DRPC_CHUNK_MAX_BYTES);
		uint8_t *place = NULL;
		size_t room;

		r = assembler_place(a, NULL, &place, &room);
		if (r == 0 && place)
			memcpy(place, bytes + at, size);
		if (r == 0)
			r = push(a, place ? place - at : bytes, total, at, size, index++, &whole);
		at += size;
	} while (r == ASSEMBLER_MORE);
	free(whole.buffer);
	return r;
}

static void test_assembler_stays_safe_when_any_allocation_fails(void **state)
{
	const size_t total = 5 * 1024 * 1024;
	uint8_t *bytes = pattern(total);
	bool failed = true;

	(void)state;
	for (size_t n = 0; failed; n++) {
		struct assembler a;
		int r;

		assembler_init(&a, no_limit);
		fail_alloc_after(n);
		r = assemble_or_fail(&a, bytes, total);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		assert_int_equal(r, failed ? -ENOMEM : ASSEMBLER_WHOLE);
		assembler_deinit(&a);
		assert_true(n < 100);
	}
	free(bytes);
}

/* Between messages a failure leaves nothing behind: the same packet can be pushed again. */
static void test_assembler_push_can_be_repeated_after_enomem(void **state)
{
	const uint8_t byte = 7;
	struct message none;
	struct assembler a;

	(void)state;
	assembler_init(&a, no_limit);
	fail_alloc_after(0);
	assert_int_equal(push(&a, &byte, 131049, 0, 1, 0, &none), -ENOMEM);
	fail_alloc_off();
	assert_false(assembler_is_midway(&a));
	assert_int_equal(push(&a, &byte, 131049, 0, 1, 0, &none), ASSEMBLER_MORE);
	assembler_deinit(&a);
}

int assembler_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_assembler_push_returns_a_message_of_each_size_whole),
		cmocka_unit_test(test_assembler_push_does_not_copy_a_single_chunk),
		cmocka_unit_test(test_assembler_push_takes_messages_one_after_another),
		cmocka_unit_test(test_assembler_push_accepts_uneven_chunks),
		cmocka_unit_test(test_assembler_push_accepts_any_split_that_adds_up),
		cmocka_unit_test(test_assembler_push_refuses_each_fault_for_ever),
		cmocka_unit_test(test_assembler_push_refuses_a_last_chunk_that_does_not_complete),
		cmocka_unit_test(test_assembler_push_applies_the_limit_at_its_edge),
		cmocka_unit_test(test_assembler_push_allocates_nothing_on_the_word_of_a_header),
		cmocka_unit_test(test_assembler_place_offers_what_is_left_and_no_more),
		cmocka_unit_test(test_assembler_stays_safe_when_any_allocation_fails),
		cmocka_unit_test(test_assembler_push_can_be_repeated_after_enomem),
	};

	return cmocka_run_group_tests_name("assembler", tests, NULL, NULL);
}
