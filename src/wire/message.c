/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Message: receives payloads, Calls and Responses; hands on their bytes in one piece, and the other
 * way.
 */
#include <drpc/message.h>
#include <drpc/status.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/envelope.h"

int drpc_marshal(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_size)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes;

	if (size > DRPC_MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	bytes = malloc(size > 0 ? size : 1);
	if (!bytes)
		return -ENOMEM;
	*ret_size = protobuf_c_message_pack(message, bytes);
	*ret_bytes = bytes;
	return 0;
}

static int join(const uint8_t *head, size_t head_size, const uint8_t *body, size_t body_size,
	uint8_t **ret_bytes, size_t *ret_size)
{
	uint8_t *bytes;

	if (body_size > DRPC_MESSAGE_MAX_BYTES - head_size)
		return -EMSGSIZE;
	bytes = malloc(head_size + body_size > 0 ? head_size + body_size : 1);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, head, head_size);
	if (body_size > 0)
		memcpy(bytes + head_size, body, body_size);
	*ret_bytes = bytes;
	*ret_size = head_size + body_size;
	return 0;
}

int drpc_call_marshal(const struct drpc_call *call, uint8_t **ret_bytes, size_t *ret_size)
{
	uint8_t head[ENVELOPE_HEAD_MAX];
	size_t head_size = envelope_encode_call(call, head);

	return join(head, head_size, call->body, call->body_size, ret_bytes, ret_size);
}

int drpc_response_marshal(
	const struct drpc_response *response, uint8_t **ret_bytes, size_t *ret_size)
{
	uint8_t head[ENVELOPE_HEAD_MAX];
	size_t head_size = envelope_encode_response(response, head);

	return join(head, head_size, response->body, response->body_size, ret_bytes, ret_size);
}

int drpc_call_unmarshal(const uint8_t *bytes, size_t size, struct drpc_call *ret_call)
{
	return envelope_decode_call(bytes, size, ret_call);
}

int drpc_response_unmarshal(const uint8_t *bytes, size_t size, struct drpc_response *ret_response)
{
	return envelope_decode_response(bytes, size, ret_response);
}

const char *drpc_call_text(const struct drpc_call *call, char *text, size_t size)
{
	snprintf(text, size, "module=%" PRId32 " method=%" PRId32 " sequence=%" PRId64 " body=%zu",
		call->module, call->method, call->sequence, call->body_size);
	return text;
}

static void put_status(int32_t status, char *text, size_t size)
{
	const char *name = drpc_status_name(status);

	if (name)
		snprintf(text, size, "%s", name);
	else
		snprintf(text, size, "%" PRId32, status);
}

const char *drpc_response_text(const struct drpc_response *response, char *text, size_t size)
{
	char status[32];

	put_status(response->status, status, sizeof(status));
	snprintf(text, size, "sequence=%" PRId64 " status=%s body=%zu", response->sequence, status,
		response->body_size);
	return text;
}
