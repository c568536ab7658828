/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Envelope: the decoder against protobuf-c's own, on samples and on many random and damaged
 * messages; the encoder likewise.
 */
#include "groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "drpc.pb-c.h"
#include "util/cleanup.h"
#include "wire/envelope.h"

static void print_input(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size && i < 200; i++)
		print_error("%02x", data[i]);
	print_error(" (%zu bytes)\n", size);
}

static bool same_body(const uint8_t *body, size_t size, const ProtobufCBinaryData *expected)
{
	if (size != expected->len || (size == 0) != (body == NULL))
		return false;
	return size == 0 || memcmp(body, expected->data, size) == 0;
}

static bool agree_on_call(const uint8_t *data, size_t size)
{
	static const struct drpc_call untouched = { .module = 77, .body_size = 78 };
	Drpc__Call *expected = drpc__call__unpack(NULL, size, data);
	struct drpc_call call = untouched;
	int r = envelope_decode_call(data, size, &call);
	bool same;

	if (!expected)
		return r == -EBADMSG && call.module == untouched.module &&
		       call.body_size == untouched.body_size;
	same = r == 0 && call.module == expected->module && call.method == expected->method &&
	       call.sequence == expected->sequence &&
	       same_body(call.body, call.body_size, &expected->body);
	drpc__call__free_unpacked(expected, NULL);
	return same;
}

static bool agree_on_response(const uint8_t *data, size_t size)
{
	static const struct drpc_response untouched = { .status = 77, .body_size = 78 };
	Drpc__Response *expected = drpc__response__unpack(NULL, size, data);
	struct drpc_response response = untouched;
	int r = envelope_decode_response(data, size, &response);
	bool same;

	if (!expected)
		return r == -EBADMSG && response.status == untouched.status &&
		       response.body_size == untouched.body_size;
	same = r == 0 && response.sequence == expected->sequence &&
	       response.status == (int32_t)expected->status &&
	       same_body(response.body, response.body_size, &expected->body);
	drpc__response__free_unpacked(expected, NULL);
	return same;
}

/* The copy is exactly as large as the input, so that a sanitizer sees each read past the end. */
static void assert_agree(const uint8_t *data, size_t size)
{
	uint8_t *exact = size > 0 ? malloc(size) : NULL;

	if (size > 0)
		memcpy(exact, data, size);
	if (!agree_on_call(exact, size) || !agree_on_response(exact, size)) {
		print_input(data, size);
		fail_msg("the decoder and protobuf-c disagree");
	}
	free(exact);
}

struct sample {
	const char *bytes;
	size_t size;
};

#define SAMPLE(s)                                                                                  \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static const struct sample samples[] = {
	SAMPLE(""),
	/* All fields, then out of order, then twice. */
	SAMPLE("\x08\x01\x10\x02\x18\x03\x22\x03"
	       "abc"),
	SAMPLE("\x22\x03"
	       "abc\x18\x03\x10\x02\x08\x01"),
	SAMPLE("\x08\x01\x08\x02"),
	SAMPLE("\x22\x03"
	       "abc\x22\x01"
	       "d"),
	SAMPLE("\x22\x03"
	       "abc\x22\x00"),
	SAMPLE("\x1a\x03"
	       "abc\x1a\x00"),
	SAMPLE("\x08\x07\x10\x08\x1a\x00"),
	/* Integers: zero, long zero, the largest, negative ones, five bytes, too many bits,
	   unended. */
	SAMPLE("\x08\x00"),
	SAMPLE("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
	SAMPLE("\x08\xff\xff\xff\xff\x07"),
	SAMPLE("\x08\xff\xff\xff\xff\x0f"),
	SAMPLE("\x08\xff\xff\xff\xff\x7f"),
	SAMPLE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	SAMPLE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	SAMPLE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
	SAMPLE("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"),
	SAMPLE("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"),
	SAMPLE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	SAMPLE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	SAMPLE("\x18\x80\x80\x80\x80\x10"),
	SAMPLE("\x08"),
	SAMPLE("\x08\x80"),
	SAMPLE("\x10\xff\xff"),
	/* Lengths: none, one too many, long zero, five bytes, above 2^31, above 2^32, unended. */
	SAMPLE("\x22"),
	SAMPLE("\x22\x01"),
	SAMPLE("\x22\x04"
	       "abc"),
	SAMPLE("\x22\x80\x80\x80\x80\x00"),
	SAMPLE("\x22\x81\x80\x80\x80\x00"
	       "a"),
	SAMPLE("\x22\x80\x80\x80\x80\x80\x00"),
	SAMPLE("\x22\xff\xff\xff\xff\x07"
	       "abc"),
	SAMPLE("\x22\x80\x80\x80\x80\x08"
	       "abc"),
	SAMPLE("\x22\x83\x80\x80\x80\x10"
	       "abc"),
	SAMPLE("\x22\xff\xff\xff\xff\x7f"
	       "abc"),
	SAMPLE("\x22\xff\xff\xff\xff\xff\x01"
	       "abc"),
	SAMPLE("\x2a\xff\xff\xff\xff\x0f"),
	/* Known fields of the wrong type, and then the right one. */
	SAMPLE("\x0a\x01\x05"),
	SAMPLE("\x09\x01\x02\x03\x04\x05\x06\x07\x08"),
	SAMPLE("\x0d\x01\x02\x03\x04"),
	SAMPLE("\x0d\x01\x02\x03\x04\x08\x01"),
	SAMPLE("\x20\x01"),
	SAMPLE("\x25\x01\x02\x03\x04\x22\x01"
	       "a"),
	SAMPLE("\x18\x01"),
	SAMPLE("\x1a\x01"
	       "a"),
	SAMPLE("\x12\x00"),
	/* Unknown fields of each type, whole and cut. */
	SAMPLE("\x28\x01"),
	SAMPLE("\x29\x01\x02\x03\x04\x05\x06\x07\x08"),
	SAMPLE("\x29\x01\x02\x03\x04\x05\x06\x07"),
	SAMPLE("\x2a\x03"
	       "abc"),
	SAMPLE("\x2a\x03"
	       "ab"),
	SAMPLE("\x2d\x01\x02\x03\x04"),
	SAMPLE("\x2d\x01\x02\x03"),
	/* Groups and types that there are not. */
	SAMPLE("\x2b\x2c"),
	SAMPLE("\x2c"),
	SAMPLE("\x2e"),
	SAMPLE("\x2f"),
	SAMPLE("\x0b\x08\x01\x0c"),
	SAMPLE("\x08\x01\x0e"),
	SAMPLE("\x08\x01\x0f\x01"),
	/* Tags: 0, long 0, known numbers in long, the largest, above 32 bits, unended. */
	SAMPLE("\x00"),
	SAMPLE("\x00\x01"),
	SAMPLE("\x02\x00"),
	SAMPLE("\x07"),
	SAMPLE("\x80\x00\x01"),
	SAMPLE("\x80\x80\x80\x80\x00\x01"),
	SAMPLE("\x88\x00\x05"),
	SAMPLE("\x88\x80\x80\x80\x00\x05"),
	SAMPLE("\x88\x80\x80\x80\x80\x00\x05"),
	SAMPLE("\xa2\x80\x00\x03"
	       "abc"),
	SAMPLE("\xf8\xff\xff\xff\x0f\x05"),
	SAMPLE("\xf8\xff\xff\xff\x7f\x05"),
	SAMPLE("\x88\x80\x80\x80\x10\x05"),
	SAMPLE("\x88\x80\x80\x80\x40\x05"),
	SAMPLE("\xf8\xff\xff\xff\xff\x01\x05"),
	SAMPLE("\x80"),
	SAMPLE("\x80\x80\x80\x80\x80"),
	SAMPLE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
};

static void test_envelope_decode_agrees_with_protobuf_c_on_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const uint8_t *bytes = (const uint8_t *)samples[i].bytes;

		for (size_t size = 0; size <= samples[i].size; size++)
			assert_agree(bytes, size);
	}
}

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* A byte of those of which envelopes are made, so that random ones get past the first field. */
static uint8_t likely_byte(uint64_t *random)
{
	static const uint8_t likely[] = { 0x08, 0x10, 0x18, 0x22, 0x1a, 0x28, 0x2a, 0x2d, 0x29,
		0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0x81, 0x88, 0xff };
	uint64_t choice = next_random(random);

	return choice % 8 == 0 ? (uint8_t)(choice >> 8)
			       : likely[(choice >> 8) % ARRAY_SIZE(likely)];
}

static void test_envelope_decode_agrees_with_protobuf_c_on_random_bytes(void **state)
{
	uint64_t random = 0x9e3779b97f4a7c15;
	uint8_t bytes[40];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t size = next_random(&random) % sizeof(bytes);

		for (size_t j = 0; j < size; j++)
			bytes[j] = likely_byte(&random);
		assert_agree(bytes, size);
	}
}

/* A number of any magnitude and sign. */
static int64_t any_number(uint64_t *random)
{
	uint64_t value = next_random(random);

	return (int64_t)(next_random(random) % 8 == 0 ? ~(value >> value % 64)
						      : value >> value % 64);
}

static size_t random_message(uint64_t *random, uint8_t *bytes, const uint8_t *body)
{
	struct drpc_call call = { .module = (int32_t)any_number(random),
		.method = (int32_t)any_number(random),
		.sequence = any_number(random),
		.body = body,
		.body_size = next_random(random) % 20 };
	struct drpc_response response = { .sequence = call.sequence,
		.status = call.module,
		.body = body,
		.body_size = call.body_size };
	size_t size = next_random(random) % 2 ? envelope_encode_call(&call, bytes)
					      : envelope_encode_response(&response, bytes);

	memcpy(bytes + size, body, call.body_size);
	return size + call.body_size;
}

/* Change, drop, insert or cut. @bytes has room for one more. */
static size_t damage(uint64_t *random, uint8_t *bytes, size_t size)
{
	size_t at = size > 0 ? next_random(random) % size : 0;

	switch (next_random(random) % 5) {
	case 0:
		bytes[at] = likely_byte(random);
		return size > 0 ? size : 1;
	case 1:
		bytes[at] ^= (uint8_t)(1u << next_random(random) % 8);
		return size;
	case 2:
		memmove(bytes + at, bytes + at + 1, size > 0 ? size - at - 1 : 0);
		return size > 0 ? size - 1 : 0;
	case 3:
		memmove(bytes + at + 1, bytes + at, size - at);
		bytes[at] = likely_byte(random);
		return size + 1;
	default:
		return at;
	}
}

static void test_envelope_decode_agrees_with_protobuf_c_on_damaged_messages(void **state)
{
	uint64_t random = 0x2545f4914f6cdd1d;
	uint8_t body[20];
	uint8_t bytes[ENVELOPE_HEAD_MAX + sizeof(body) + 8];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t size;

		for (size_t j = 0; j < sizeof(body); j++)
			body[j] = likely_byte(&random);
		memset(bytes, 0, sizeof(bytes));
		size = random_message(&random, bytes, body);
		assert_agree(bytes, size);
		for (int times = 0; times < 3; times++)
			size = damage(&random, bytes, size);
		assert_agree(bytes, size);
	}
}

static const int64_t numbers[] = { 0, 1, 127, 128, 16383, 16384, INT32_MAX, (int64_t)INT32_MAX + 1,
	INT64_MAX, -1, -128, INT32_MIN, INT64_MIN };
static const size_t body_sizes[] = { 0, 1, 127, 128, 16384 };

static void check_call(int64_t number, const uint8_t *body, size_t body_size)
{
	static uint8_t expected[20000];
	struct drpc_call call = { .module = (int32_t)number,
		.method = (int32_t)-number,
		.sequence = number,
		.body = body,
		.body_size = body_size };
	Drpc__Call packed = DRPC__CALL__INIT;
	uint8_t head[ENVELOPE_HEAD_MAX];
	size_t size = envelope_encode_call(&call, head);

	packed.module = call.module;
	packed.method = call.method;
	packed.sequence = call.sequence;
	packed.body = (ProtobufCBinaryData){ .len = body_size, .data = (uint8_t *)(uintptr_t)body };
	assert_int_equal(drpc__call__pack(&packed, expected), size + body_size);
	assert_memory_equal(head, expected, size);
	assert_memory_equal(expected + size, body, body_size);
}

static void check_response(int64_t number, const uint8_t *body, size_t body_size)
{
	static uint8_t expected[20000];
	struct drpc_response response = {
		.sequence = number, .status = (int32_t)number, .body = body, .body_size = body_size
	};
	Drpc__Response packed = DRPC__RESPONSE__INIT;
	uint8_t head[ENVELOPE_HEAD_MAX];
	size_t size = envelope_encode_response(&response, head);

	packed.sequence = response.sequence;
	packed.status = (Drpc__Status)response.status;
	packed.body = (ProtobufCBinaryData){ .len = body_size, .data = (uint8_t *)(uintptr_t)body };
	assert_int_equal(drpc__response__pack(&packed, expected), size + body_size);
	assert_memory_equal(head, expected, size);
	assert_memory_equal(expected + size, body, body_size);
}

static void test_envelope_encode_writes_what_protobuf_c_writes(void **state)
{
	uint8_t *body = pattern(16384);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(body_sizes); j++) {
			check_call(numbers[i] == INT64_MIN ? INT64_MIN + 1 : numbers[i], body,
				body_sizes[j]);
			check_response(numbers[i], body, body_sizes[j]);
		}
	}
	free(body);
}

/* Ten bytes for each negative number and the largest size: the head must still hold it. */
static void test_envelope_encode_fits_the_head_at_its_largest(void **state)
{
	const struct drpc_call call = {
		.module = -1, .method = -1, .sequence = -1, .body_size = SIZE_MAX
	};
	const struct drpc_response response = {
		.sequence = -1, .status = -1, .body_size = SIZE_MAX
	};
	uint8_t head[ENVELOPE_HEAD_MAX];

	(void)state;
	assert_true(envelope_encode_call(&call, head) <= sizeof(head));
	assert_true(envelope_encode_response(&response, head) <= sizeof(head));
}

static void test_envelope_encode_leaves_all_defaults_out(void **state)
{
	const struct drpc_call call = { 0 };
	const struct drpc_response response = { 0 };
	uint8_t head[ENVELOPE_HEAD_MAX];

	(void)state;
	assert_int_equal(envelope_encode_call(&call, head), 0);
	assert_int_equal(envelope_encode_response(&response, head), 0);
}

static void test_envelope_decode_call_points_into_the_message(void **state)
{
	const uint8_t data[] = { 0x22, 2, 'h', 'i' };
	struct drpc_call call;

	(void)state;
	assert_int_equal(envelope_decode_call(data, sizeof(data), &call), 0);
	assert_ptr_equal(call.body, data + 2);
	assert_int_equal(call.body_size, 2);
}

int envelope_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope_decode_agrees_with_protobuf_c_on_samples),
		cmocka_unit_test(test_envelope_decode_agrees_with_protobuf_c_on_random_bytes),
		cmocka_unit_test(test_envelope_decode_agrees_with_protobuf_c_on_damaged_messages),
		cmocka_unit_test(test_envelope_encode_writes_what_protobuf_c_writes),
		cmocka_unit_test(test_envelope_encode_fits_the_head_at_its_largest),
		cmocka_unit_test(test_envelope_encode_leaves_all_defaults_out),
		cmocka_unit_test(test_envelope_decode_call_points_into_the_message),
	};

	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
