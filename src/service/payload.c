/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Payload: see payload.h. */
#include "service/payload.h"

#include <errno.h>
#include <stdbool.h>

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* What is left to read of one message. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

/* A varint of at most @max_bytes; false when it does not end within them. */
static bool read_varint(struct cursor *c, unsigned max_bytes, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < max_bytes && c->at < c->end; i++) {
		uint8_t byte = *c->at++;

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *c, uint64_t bytes)
{
	if (bytes > (uint64_t)(c->end - c->at))
		return false;
	c->at += bytes;
	return true;
}

/* The type of the messages in field @tag, or NULL: it holds none, or is unknown and will not be
 * parsed. */
static const ProtobufCMessageDescriptor *type_of_field(
	const ProtobufCMessageDescriptor *type, uint32_t tag)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, tag);

	if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE)
		return NULL;
	return field->descriptor;
}

static int check_depth(
	const ProtobufCMessageDescriptor *type, struct cursor message, unsigned levels_left);

static int check_bytes_field(const ProtobufCMessageDescriptor *type, uint32_t tag, struct cursor *c,
	unsigned levels_left)
{
	const ProtobufCMessageDescriptor *inner = type_of_field(type, tag);
	const uint8_t *start;
	uint64_t size;

	if (!read_varint(c, 5, &size))
		return -EBADMSG;
	start = c->at;
	if (!skip(c, size))
		return -EBADMSG;
	if (inner == NULL)
		return 0;
	return check_depth(inner, (struct cursor){ start, c->at }, levels_left);
}

static int check_field(
	const ProtobufCMessageDescriptor *type, struct cursor *c, unsigned levels_left)
{
	uint64_t ignored;
	uint64_t key;

	/* protobuf-c keeps the 32 bits of a tag that five bytes leave it, and drops those above. */
	if (!read_varint(c, 5, &key))
		return -EBADMSG;
	switch (key & 7) {
	case WIRE_VARINT:
		return read_varint(c, 10, &ignored) ? 0 : -EBADMSG;
	case WIRE_FIXED64:
		return skip(c, 8) ? 0 : -EBADMSG;
	case WIRE_FIXED32:
		return skip(c, 4) ? 0 : -EBADMSG;
	case WIRE_BYTES:
		return check_bytes_field(type, (uint32_t)(key >> 3), c, levels_left);
	default:
		return -EBADMSG;
	}
}

/* Walks the nesting as protobuf-c will, without its memory, and with an end to the recursion. */
static int check_depth(
	const ProtobufCMessageDescriptor *type, struct cursor message, unsigned levels_left)
{
	if (levels_left == 0)
		return -ELOOP;
	while (message.at < message.end) {
		int r = check_field(type, &message, levels_left - 1);

		if (r < 0)
			return r;
	}
	return 0;
}

static void *allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

/* The arena gives everything back at once. */
static void release(void *arena, void *pointer)
{
	(void)arena;
	(void)pointer;
}

int payload_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
	struct arena *arena, const ProtobufCMessage **ret_message)
{
	ProtobufCAllocator allocator = { allocate, release, arena };
	ProtobufCMessage *message;
	int r;

	/* An empty body has no address to add to. */
	if (size > 0) {
		r = check_depth(type, (struct cursor){ data, data + size }, PAYLOAD_MAX_DEPTH);
		if (r < 0)
			return r;
	}
	arena_set_budget(arena, payload_budget(size));
	message = protobuf_c_message_unpack(type, &allocator, size, data);
	if (message == NULL) {
		if (arena->out_of_memory)
			return -ENOMEM;
		return arena->over_budget ? -E2BIG : -EBADMSG;
	}
	*ret_message = message;
	return 0;
}

int payload_pack(const ProtobufCMessage *message, size_t max, struct arena *arena,
	const uint8_t **ret_data, size_t *ret_size)
{
	uint8_t *data;
	size_t size;

	if (!protobuf_c_message_check(message))
		return -EINVAL;
	size = protobuf_c_message_get_packed_size(message);
	if (size > max)
		return -EMSGSIZE;
	arena_set_budget(arena, size + sizeof(max_align_t));
	data = arena_alloc_raw(arena, size);
	if (data == NULL)
		return -ENOMEM;
	*ret_size = protobuf_c_message_pack(message, data);
	*ret_data = data;
	return 0;
}
