/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Envelope: the bytes of a message to a Call or a Response, in place, and back. Pure, allocates
 * nothing.
 *
 * Decodes exactly what protobuf-c's generated code for drpc.proto decodes, to the same values, and
 * refuses exactly what it refuses; a fuzz harness holds the two together. Unknown fields are passed
 * over. Encoding is the canonical one: fields in order, defaults left out, so that the body comes
 * last and can be sent from where it lies.
 */
#ifndef WIRE_ENVELOPE_H
#define WIRE_ENVELOPE_H

#include <drpc/message.h>

/* Room for all that stands before a body. */
#define ENVELOPE_HEAD_MAX 48

/* 0, or -EBADMSG; the output is then untouched. The body points into @data, NULL if empty. */
int envelope_decode_call(const uint8_t *data, size_t size, struct drpc_call *ret_call);
int envelope_decode_response(const uint8_t *data, size_t size, struct drpc_response *ret_response);

/* Write what stands before the body, with the body's tag and length. Returns the bytes written. */
size_t envelope_encode_call(const struct drpc_call *call, uint8_t head[ENVELOPE_HEAD_MAX]);
size_t envelope_encode_response(
	const struct drpc_response *response, uint8_t head[ENVELOPE_HEAD_MAX]);

#endif
