/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Payloads: the nesting limit, the byte budget, and each refusal told from the others. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fail_alloc.h"
#include "nest.pb-c.h"
#include "service/payload.h"

static struct arena arena;
static const ProtobufCMessage *message;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena);
	message = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_deinit(&arena);
	return 0;
}

static int unpack(const void *data, size_t size)
{
	arena_reset(&arena, 0);
	message = NULL;
	return payload_unpack(&nest__nest__descriptor, data, size, &arena, &message);
}

/* @depth messages within one another, each the field of @key. The caller frees. */
static uint8_t *nested(unsigned depth, uint8_t key, size_t *ret_size)
{
	uint8_t *data = malloc(depth * 3 + 1), *at;
	size_t size = 0;

	assert_non_null(data);
	at = data + depth * 3;
	for (unsigned level = 1; level < depth; level++) {
		size_t inner = size;

		if (inner > 127)
			*--at = (uint8_t)(inner >> 7);
		*--at = (uint8_t)(inner > 127 ? (inner & 0x7f) | 0x80 : inner);
		*--at = key;
		size = (size_t)(data + depth * 3 - at);
	}
	memmove(data, at, size);
	*ret_size = size;
	return data;
}

static unsigned depth_of(const Nest__Nest *nest)
{
	unsigned depth = 0;

	for (; nest != NULL; nest = nest->n_many > 0 ? nest->many[0] : nest->inner)
		depth++;
	return depth;
}

#define KEY_INNER 0x0a
#define KEY_WORD  0x12
#define KEY_MANY  0x1a

static void test_payload_unpack_takes_exactly_the_greatest_depth(void **state)
{
	static const uint8_t keys[] = { KEY_INNER, KEY_MANY };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t size;
		uint8_t *data = nested(PAYLOAD_MAX_DEPTH, keys[i], &size);

		assert_int_equal(unpack(data, size), 0);
		assert_int_equal(
			depth_of((const Nest__Nest *)(const void *)message), PAYLOAD_MAX_DEPTH);
		free(data);
		data = nested(PAYLOAD_MAX_DEPTH + 1, keys[i], &size);
		assert_int_equal(unpack(data, size), -ELOOP);
		assert_null(message);
		assert_int_equal(arena_held(&arena) <= 16384, 1);
		free(data);
	}
}

static void test_payload_unpack_survives_the_deepest_nesting(void **state)
{
	/* 2^14 levels fit two-byte lengths only up to 16383 bytes: as deep as this schema's bytes
	 * go. */
	size_t size;
	uint8_t *data = nested(5000, KEY_INNER, &size);

	(void)state;
	assert_int_equal(unpack(data, size), -ELOOP);
	free(data);
}

/* Bytes of a field that is no message, or that nobody knows, are not nesting. */
static void test_payload_unpack_does_not_look_into_what_is_no_message(void **state)
{
	size_t size;
	uint8_t *data = nested(PAYLOAD_MAX_DEPTH + 40, KEY_INNER, &size);

	(void)state;
	data[0] = KEY_WORD;
	assert_int_equal(unpack(data, size), 0);
	data[0] = 0x7a; /* field 15, unknown */
	assert_int_equal(unpack(data, size), 0);
	free(data);
}

static void test_payload_unpack_refuses_malformed_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} malformed[] = {
		{ "\x12", 1 },				   /* no length */
		{ "\x12\x05joe", 5 },			   /* too long a length */
		{ "\x12\xff\xff\xff\xff\xff\x01", 7 },	   /* no end of the length */
		{ "\x0a\x02\x12\x05", 4 },		   /* within */
		{ "\x13", 1 },				   /* a group */
		{ "\x16", 1 },				   /* no such wire type */
		{ "\x80", 1 },				   /* no end of the key */
		{ "\xff\xff\xff\xff\xff\xff\xff\x01", 8 }, /* a long key */
		{ "\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* a long varint */
		{ "\x79\x01\x02", 3 },					    /* short fixed64 */
		{ "\x7d\x01", 2 },					    /* short fixed32 */
		{ "\x10\x01", 2 }, /* a varint where a string is due */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		int r = unpack(malformed[i].bytes, malformed[i].size);

		if (r != -EBADMSG)
			fail_msg("malformed payload %zu: %d", i, r);
		assert_null(message);
	}
}

static void test_payload_unpack_takes_an_empty_payload(void **state)
{
	(void)state;
	assert_int_equal(unpack(NULL, 0), 0);
	assert_ptr_equal(message->descriptor, &nest__nest__descriptor);
	assert_int_equal(unpack("", 0), 0);
}

/* Two bytes of input each, forty and more of memory. */
static uint8_t *repeat(const void *unit, size_t unit_size, size_t times)
{
	uint8_t *data = malloc(unit_size * times);

	assert_non_null(data);
	for (size_t i = 0; i < times; i++)
		memcpy(data + i * unit_size, unit, unit_size);
	return data;
}

static void assert_blow_up(const char *unit, size_t times)
{
	uint8_t *data = repeat(unit, 2, times);
	size_t budget = PAYLOAD_BUDGET_FLOOR + PAYLOAD_BUDGET_FACTOR * 2 * times;

	assert_int_equal(unpack(data, 2 * times), -E2BIG);
	assert_true(arena.over_budget);
	assert_null(message);
	/* A block's end may be lost to each larger piece: at most as much again. */
	assert_true(arena_held(&arena) <= 2 * budget);
	free(data);
}

static void test_payload_unpack_stops_a_blow_up_at_its_budget(void **state)
{
	(void)state;
	assert_blow_up("\x78\x00", 500000); /* unknown fields */
	assert_blow_up("\x1a\x00", 500000); /* empty messages */
}

static void test_payload_unpack_has_a_floor_for_small_payloads(void **state)
{
	uint8_t *data = repeat("\x78\x00", 2, 5000);

	(void)state;
	assert_int_equal(unpack(data, 10000), 0);
	assert_int_equal(message->n_unknown_fields, 5000);
	free(data);
}

static void test_payload_unpack_tells_malformed_from_too_much(void **state)
{
	uint8_t *data = repeat("\x78\x00", 2, 500000);

	(void)state;
	data[999999] = 0x80; /* the last varint has no end */
	assert_int_equal(unpack(data, 1000000), -EBADMSG);
	free(data);
}

static void test_payload_unpack_tells_want_of_memory(void **state)
{
	uint8_t *word = malloc(100000);
	size_t n;

	(void)state;
	assert_non_null(word);
	memset(word, 'w', 100000);
	memcpy(word, "\x12\x9c\x8d\x06", 4); /* 99996 bytes of word */
	for (n = 0;; n++) {
		bool failed;
		int r;

		arena_deinit(&arena);
		fail_alloc_after(n);
		r = unpack(word, 100000);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		if (!failed) {
			assert_int_equal(r, 0);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(message);
	}
	assert_true(n >= 2);
	free(word);
}

static void test_payload_unpack_forgets_an_earlier_refusal(void **state)
{
	uint8_t *data = repeat("\x78\x00", 2, 500000);

	(void)state;
	assert_int_equal(unpack(data, 1000000), -E2BIG);
	assert_int_equal(unpack("\x12\x05joe", 5), -EBADMSG);
	assert_int_equal(unpack("\x12\x03joe", 5), 0);
	free(data);
}

static void test_payload_pack_holds_to_the_limit(void **state)
{
	Nest__Nest nest = NEST__NEST__INIT;
	char word[] = "12345678";
	const uint8_t *data = NULL;
	size_t size = 77;

	(void)state;
	nest.word = word; /* ten bytes */
	assert_int_equal(payload_pack(&nest.base, 9, &arena, &data, &size), -EMSGSIZE);
	assert_null(data);
	assert_int_equal(size, 77);
	assert_int_equal(payload_pack(&nest.base, 10, &arena, &data, &size), 0);
	assert_int_equal(size, 10);
	assert_memory_equal(data,
		"\x12\x08"
		"12345678",
		10);
}

static void test_payload_pack_gives_an_empty_message(void **state)
{
	Nest__Nest nest = NEST__NEST__INIT;
	const uint8_t *data = NULL;
	size_t size = 77;

	(void)state;
	assert_int_equal(payload_pack(&nest.base, 0, &arena, &data, &size), 0);
	assert_int_equal(size, 0);
}

static void test_payload_pack_refuses_an_incomplete_message(void **state)
{
	Nest__Need need = NEST__NEED__INIT;
	const uint8_t *data = NULL;
	size_t size = 77;
	char word[] = "here";

	(void)state;
	need.word = NULL;
	assert_int_equal(payload_pack(&need.base, 100, &arena, &data, &size), -EINVAL);
	assert_null(data);
	need.word = word;
	assert_int_equal(payload_pack(&need.base, 100, &arena, &data, &size), 0);
	assert_int_equal(size, 6);
}

static void test_payload_pack_tells_want_of_memory(void **state)
{
	Nest__Nest nest = NEST__NEST__INIT;
	char word[] = "12345678";
	const uint8_t *data = NULL;
	size_t size = 77;

	(void)state;
	nest.word = word;
	fail_alloc_after(0);
	assert_int_equal(payload_pack(&nest.base, 100, &arena, &data, &size), -ENOMEM);
	fail_alloc_off();
	assert_null(data);
	assert_int_equal(payload_pack(&nest.base, 100, &arena, &data, &size), 0);
}

int payload_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_payload_unpack_takes_exactly_the_greatest_depth),
		TEST(test_payload_unpack_survives_the_deepest_nesting),
		TEST(test_payload_unpack_does_not_look_into_what_is_no_message),
		TEST(test_payload_unpack_refuses_malformed_bytes),
		TEST(test_payload_unpack_takes_an_empty_payload),
		TEST(test_payload_unpack_stops_a_blow_up_at_its_budget),
		TEST(test_payload_unpack_has_a_floor_for_small_payloads),
		TEST(test_payload_unpack_tells_malformed_from_too_much),
		TEST(test_payload_unpack_tells_want_of_memory),
		TEST(test_payload_unpack_forgets_an_earlier_refusal),
		TEST(test_payload_pack_holds_to_the_limit),
		TEST(test_payload_pack_gives_an_empty_message),
		TEST(test_payload_pack_refuses_an_incomplete_message),
		TEST(test_payload_pack_tells_want_of_memory),
	};

	return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
