/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Payload: a body to a protobuf-c message and back, under two guards: an arena's byte budget, and a
 * nesting limit that is checked before protobuf-c, which has none, runs. Only ever sees bytes of a
 * caller whom policy has allowed the call.
 */
#ifndef SERVICE_PAYLOAD_H
#define SERVICE_PAYLOAD_H

#include <protobuf-c/protobuf-c.h>

#include "util/arena.h"

/* protobuf-c recurses once for each level, about 2 KiB of stack. */
#define PAYLOAD_MAX_DEPTH 64

/*
 * Memory for one unpacked body: a floor, and so many bytes for each of the body's. Two bytes of
 * input can cost fifty (an empty message in a repeated field, an unknown field), so small bodies
 * live off the floor.
 */
#define PAYLOAD_BUDGET_FLOOR  ((size_t)1024 * 1024)
#define PAYLOAD_BUDGET_FACTOR 16

/* A large body's budget goes no further than this, unless four times the body does. */
#define PAYLOAD_BUDGET_MAX ((size_t)256 * 1024 * 1024)

static inline size_t payload_budget(size_t size)
{
	size_t budget = PAYLOAD_BUDGET_FACTOR * size;
	size_t least = 4 * size;

	if (budget > PAYLOAD_BUDGET_MAX)
		budget = least > PAYLOAD_BUDGET_MAX ? least : PAYLOAD_BUDGET_MAX;
	return PAYLOAD_BUDGET_FLOOR + budget;
}

/*
 * Unpack @data into @arena. 0; -EBADMSG malformed; -E2BIG over its budget; -ELOOP nested too deeply
 * (the peer, all three); -ENOMEM (the system). What *ret_message points to lives as long as the
 * arena's memory.
 */
int payload_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
	struct arena *arena, const ProtobufCMessage **ret_message);

/*
 * Marshal @message into @arena. 0; -EINVAL it is not complete (a required part is NULL); -EMSGSIZE
 * above
 * @max bytes (the handler, both); -ENOMEM.
 */
int payload_pack(const ProtobufCMessage *message, size_t max, struct arena *arena,
	const uint8_t **ret_data, size_t *ret_size);

#endif
