/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_envelope: the bytes of an input as a Call and as a Response, then values drawn from it. The
 * decoder gives the answer of protobuf-c's generated code on every input; what it accepts it
 * encodes as protobuf-c does, and decodes to the same again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drpc.pb-c.h"
#include "fuzz.h"
#include "wire/envelope.h"

static void check_body(const uint8_t *body, size_t size, const ProtobufCBinaryData *oracle)
{
	REQUIRE(size == oracle->len, "a body of %zu bytes, protobuf-c has %zu", size, oracle->len);
	REQUIRE(size == 0 || memcmp(body, oracle->data, size) == 0, "another body");
	REQUIRE((size == 0) == (body == NULL), "a body of %zu bytes at %p", size,
		(const void *)body);
}

static void check_within(const uint8_t *body, size_t body_size, const uint8_t *data, size_t size)
{
	REQUIRE(body == NULL || (body >= data && body + body_size <= data + size),
		"the body is not a view of the input");
}

/* Encoded as protobuf-c packs the same values, and decoded to them. */
static void check_call_encoding(const struct drpc_call *call)
{
	Drpc__Call oracle = DRPC__CALL__INIT;
	struct drpc_call again;
	uint8_t *packed;
	uint8_t *bytes;
	size_t size;

	oracle.module = call->module;
	oracle.method = call->method;
	oracle.sequence = call->sequence;
	oracle.body =
		(ProtobufCBinaryData){ call->body_size, fuzz_copy(call->body, call->body_size) };
	packed = fuzz_alloc(drpc__call__get_packed_size(&oracle));
	REQUIRE(drpc_call_marshal(call, &bytes, &size) == 0, "a Call does not encode");
	REQUIRE(size == drpc__call__pack(&oracle, packed) && memcmp(bytes, packed, size) == 0,
		"a Call is not encoded as protobuf-c does");
	REQUIRE(drpc_call_unmarshal(bytes, size, &again) == 0, "an encoded Call does not decode");
	REQUIRE(again.module == call->module && again.method == call->method &&
			again.sequence == call->sequence,
		"a Call decodes to another");
	check_body(again.body, again.body_size, &oracle.body);
	free(oracle.body.data);
	free(packed);
	free(bytes);
}

static void check_response_encoding(const struct drpc_response *response)
{
	Drpc__Response oracle = DRPC__RESPONSE__INIT;
	struct drpc_response again;
	uint8_t *packed;
	uint8_t *bytes;
	size_t size;

	oracle.sequence = response->sequence;
	oracle.status = (Drpc__Status)response->status;
	oracle.body = (ProtobufCBinaryData){ response->body_size,
		fuzz_copy(response->body, response->body_size) };
	packed = fuzz_alloc(drpc__response__get_packed_size(&oracle));
	REQUIRE(drpc_response_marshal(response, &bytes, &size) == 0, "a Response does not encode");
	REQUIRE(size == drpc__response__pack(&oracle, packed) && memcmp(bytes, packed, size) == 0,
		"a Response is not encoded as protobuf-c does");
	REQUIRE(drpc_response_unmarshal(bytes, size, &again) == 0,
		"an encoded Response does not decode");
	REQUIRE(again.sequence == response->sequence && again.status == response->status,
		"a Response decodes to another");
	check_body(again.body, again.body_size, &oracle.body);
	free(oracle.body.data);
	free(packed);
	free(bytes);
}

static void try_call(const uint8_t *data, size_t size)
{
	struct drpc_call call = { .sequence = 99 };
	Drpc__Call *oracle = drpc__call__unpack(NULL, size, data);
	int r = envelope_decode_call(data, size, &call);

	REQUIRE(r == (oracle != NULL ? 0 : -EBADMSG), "decoding a Call gives %d, protobuf-c %s it",
		r, oracle != NULL ? "accepts" : "refuses");
	if (oracle == NULL) {
		REQUIRE(call.sequence == 99, "a refused Call was written");
		return;
	}
	REQUIRE(call.module == oracle->module && call.method == oracle->method &&
			call.sequence == oracle->sequence,
		"another Call than protobuf-c's");
	check_body(call.body, call.body_size, &oracle->body);
	check_within(call.body, call.body_size, data, size);
	drpc__call__free_unpacked(oracle, NULL);
	check_call_encoding(&call);
}

static void try_response(const uint8_t *data, size_t size)
{
	struct drpc_response response = { .sequence = 99 };
	Drpc__Response *oracle = drpc__response__unpack(NULL, size, data);
	int r = envelope_decode_response(data, size, &response);

	REQUIRE(r == (oracle != NULL ? 0 : -EBADMSG),
		"decoding a Response gives %d, protobuf-c %s it", r,
		oracle != NULL ? "accepts" : "refuses");
	if (oracle == NULL) {
		REQUIRE(response.sequence == 99, "a refused Response was written");
		return;
	}
	REQUIRE(response.sequence == oracle->sequence && response.status == (int32_t)oracle->status,
		"another Response than protobuf-c's");
	check_body(response.body, response.body_size, &oracle->body);
	check_within(response.body, response.body_size, data, size);
	drpc__response__free_unpacked(oracle, NULL);
	check_response_encoding(&response);
}

/* A number of as many bytes as its first says, so that all lengths of a varint come up. */
static uint64_t draw_number(struct input *input)
{
	uint8_t shape = input_u8(input);
	uint64_t number = input_u64(input) >> (shape % 64);

	return shape & 0x80 ? ~number : number;
}

static void try_values(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct drpc_call call = { 0 };
	struct drpc_response response = { 0 };

	call.module = (int32_t)draw_number(&input);
	call.method = (int32_t)draw_number(&input);
	call.sequence = (int64_t)draw_number(&input);
	call.body_size = input_take(&input, SIZE_MAX, &call.body);
	if (call.body_size == 0)
		call.body = NULL;
	response.sequence = call.sequence;
	response.status = call.module;
	response.body = call.body;
	response.body_size = call.body_size;
	check_call_encoding(&call);
	check_response_encoding(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);

	try_call(copy, size);
	try_response(copy, size);
	try_values(copy, size);
	free(copy);
	return 0;
}
