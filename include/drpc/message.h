/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Message: a Call and a Response as C structures, and what turns payloads into bytes.
 *
 * Both are views: body points into memory that somebody else owns. The header of each function
 * that hands one out says who, and for how long.
 */
#ifndef DRPC_MESSAGE_H
#define DRPC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest packet, with its 24-byte header; the largest chunk of a message in one. Bytes. */
#define DRPC_PACKET_MAX_BYTES 131072
#define DRPC_CHUNK_MAX_BYTES  (DRPC_PACKET_MAX_BYTES - 24)

/* The largest message, Call or Response, that a client sends or takes, and a server's default. */
#define DRPC_MESSAGE_MAX_BYTES ((size_t)64 * 1024 * 1024)

/* The sequence of a Response to a message of which no sequence could be read. */
#define DRPC_SEQUENCE_NONE (-1)

struct drpc_call {
	int32_t module;
	int32_t method;
	int64_t sequence;
	const uint8_t *body; /* NULL when body_size is 0 */
	size_t body_size;    /* bytes */
};

struct drpc_response {
	int64_t sequence;
	int32_t status; /* enum drpc_status, or a number that a newer peer knows */
	const uint8_t *body;
	size_t body_size; /* bytes */
};

/**
 * drpc_marshal - encode a payload
 * @message:   a protobuf-c message, initialised
 * @ret_bytes: the caller frees it with free(); untouched on failure. Never NULL on success
 * @ret_size:  bytes
 *
 * Returns 0, -ENOMEM, or -EMSGSIZE: above DRPC_MESSAGE_MAX_BYTES (the caller). Any thread.
 */
int drpc_marshal(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_size);

/**
 * drpc_call_marshal, drpc_response_marshal - encode an envelope into one piece
 *
 * As drpc_marshal().
 */
int drpc_call_marshal(const struct drpc_call *call, uint8_t **ret_bytes, size_t *ret_size);
int drpc_response_marshal(
	const struct drpc_response *response, uint8_t **ret_bytes, size_t *ret_size);

/**
 * drpc_call_unmarshal, drpc_response_unmarshal - decode an envelope in place
 * @ret_call, @ret_response: its body points into @bytes; untouched on failure
 *
 * Returns 0, or -EBADMSG: malformed (the peer). Allocates nothing. Any thread.
 */
int drpc_call_unmarshal(const uint8_t *bytes, size_t size, struct drpc_call *ret_call);
int drpc_response_unmarshal(const uint8_t *bytes, size_t size, struct drpc_response *ret_response);

/**
 * drpc_call_text, drpc_response_text - one line for a person: "module=0 method=0 sequence=1 body=7"
 * @text, @size: a buffer and its size in bytes; what does not fit is cut, the end is always a NUL
 *
 * Returns @text. Any thread.
 */
const char *drpc_call_text(const struct drpc_call *call, char *text, size_t size);
const char *drpc_response_text(const struct drpc_response *response, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
