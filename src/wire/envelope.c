/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Envelope: receives the bytes of a message; hands on the Call or Response in them, and the other
 * way.
 *
 * Both messages have the same shape: integers in fields 1, 2, ..., then the body in the field after
 * the last of them. One decoder reads both.
 */
#include "wire/envelope.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2, WIRE_32BIT = 5 };

enum { CALL_MODULE = 1, CALL_METHOD = 2, CALL_SEQUENCE = 3, CALL_BODY = 4 };
enum { RESPONSE_SEQUENCE = 1, RESPONSE_STATUS = 2, RESPONSE_BODY = 3 };
enum { INTEGERS_MAX = 3 };

/* The longest encodings, in bytes. */
enum { TAG_BYTES_MAX = 5, LENGTH_BYTES_MAX = 5, VARINT_BYTES_MAX = 10 };

struct cursor {
	const uint8_t *at;
	size_t left;
};

struct field {
	uint32_t number;
	enum wire_type type;
	uint64_t value;	     /* WIRE_VARINT */
	const uint8_t *data; /* WIRE_LENGTH; NULL if empty */
	size_t size;
};

struct fields {
	uint64_t integer[INTEGERS_MAX + 1]; /* by field number */
	const uint8_t *body;
	size_t body_size;
};

static bool skip(struct cursor *c, size_t size)
{
	if (size > c->left)
		return false;
	c->at += size;
	c->left -= size;
	return true;
}

/* At most @max bytes of seven bits each, lowest first; what is above bit 63 is lost. */
static bool read_varint(struct cursor *c, size_t max, uint64_t *ret_value)
{
	size_t limit = c->left < max ? c->left : max;
	uint64_t value = 0;

	if (limit > 0 && c->at[0] <= 0x7f) { /* most are this short */
		*ret_value = c->at[0];
		return skip(c, 1);
	}
	for (size_t i = 0; i < limit; i++) {
		value |= (uint64_t)(c->at[i] & 0x7f) << (7 * i);
		if (!(c->at[i] & 0x80)) {
			*ret_value = value;
			return skip(c, i + 1);
		}
	}
	return false;
}

/*
 * The number is the tag's upper bits, cut to 32. A first byte with none of them set is refused, as
 * protobuf-c does; a longer encoding of 0 is an unknown field there, and so it is here.
 */
static bool read_tag(struct cursor *c, struct field *field)
{
	uint64_t tag;

	if ((c->at[0] & 0xf8) == 0)
		return false;
	if (!read_varint(c, TAG_BYTES_MAX, &tag))
		return false;
	field->type = (enum wire_type)(tag & 7);
	field->number = (uint32_t)(tag >> 3);
	return true;
}

static bool read_bytes(struct cursor *c, struct field *field)
{
	uint64_t size;

	if (!read_varint(c, LENGTH_BYTES_MAX, &size) || size > INT_MAX)
		return false;
	field->size = (size_t)size;
	field->data = size > 0 ? c->at : NULL;
	return skip(c, field->size);
}

static bool read_field(struct cursor *c, struct field *field)
{
	if (!read_tag(c, field))
		return false;
	switch (field->type) {
	case WIRE_VARINT:
		return read_varint(c, VARINT_BYTES_MAX, &field->value);
	case WIRE_64BIT:
		return skip(c, 8);
	case WIRE_LENGTH:
		return read_bytes(c, field);
	case WIRE_32BIT:
		return skip(c, 4);
	}
	return false;
}

/* Take a field into its place. Of a field that comes twice the last counts. */
static bool keep_field(struct fields *fields, uint32_t body_number, const struct field *field)
{
	if (field->number == 0 || field->number > body_number)
		return true;
	if (field->number == body_number) {
		fields->body = field->data;
		fields->body_size = field->size;
		return field->type == WIRE_LENGTH;
	}
	fields->integer[field->number] = field->value;
	return field->type == WIRE_VARINT;
}

static bool decode(const uint8_t *data, size_t size, uint32_t body_number, struct fields *fields)
{
	struct cursor c = { .at = data, .left = size };

	while (c.left > 0) {
		struct field field = { 0 };

		if (!read_field(&c, &field) || !keep_field(fields, body_number, &field))
			return false;
	}
	return true;
}

int envelope_decode_call(const uint8_t *data, size_t size, struct drpc_call *ret_call)
{
	struct fields fields = { 0 };

	if (!decode(data, size, CALL_BODY, &fields))
		return -EBADMSG;
	*ret_call = (struct drpc_call){
		.module = (int32_t)fields.integer[CALL_MODULE],
		.method = (int32_t)fields.integer[CALL_METHOD],
		.sequence = (int64_t)fields.integer[CALL_SEQUENCE],
		.body = fields.body,
		.body_size = fields.body_size,
	};
	return 0;
}

int envelope_decode_response(const uint8_t *data, size_t size, struct drpc_response *ret_response)
{
	struct fields fields = { 0 };

	if (!decode(data, size, RESPONSE_BODY, &fields))
		return -EBADMSG;
	*ret_response = (struct drpc_response){
		.sequence = (int64_t)fields.integer[RESPONSE_SEQUENCE],
		.status = (int32_t)fields.integer[RESPONSE_STATUS],
		.body = fields.body,
		.body_size = fields.body_size,
	};
	return 0;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	while (value > 0x7f) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *put_tag(uint8_t *at, uint32_t number, enum wire_type type)
{
	*at++ = (uint8_t)(number << 3 | type);
	return at;
}

/* A negative number is sign-extended to 64 bits: ten bytes, whatever the field's width. */
static uint8_t *put_integer(uint8_t *at, uint32_t number, int64_t value)
{
	if (value == 0)
		return at;
	return put_varint(put_tag(at, number, WIRE_VARINT), (uint64_t)value);
}

static uint8_t *put_body_size(uint8_t *at, uint32_t number, size_t size)
{
	if (size == 0)
		return at;
	return put_varint(put_tag(at, number, WIRE_LENGTH), size);
}

size_t envelope_encode_call(const struct drpc_call *call, uint8_t head[ENVELOPE_HEAD_MAX])
{
	uint8_t *at = head;

	at = put_integer(at, CALL_MODULE, call->module);
	at = put_integer(at, CALL_METHOD, call->method);
	at = put_integer(at, CALL_SEQUENCE, call->sequence);
	at = put_body_size(at, CALL_BODY, call->body_size);
	return (size_t)(at - head);
}

size_t envelope_encode_response(
	const struct drpc_response *response, uint8_t head[ENVELOPE_HEAD_MAX])
{
	uint8_t *at = head;

	at = put_integer(at, RESPONSE_SEQUENCE, response->sequence);
	at = put_integer(at, RESPONSE_STATUS, response->status);
	at = put_body_size(at, RESPONSE_BODY, response->body_size);
	return (size_t)(at - head);
}
