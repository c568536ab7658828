/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Assembler: chunks in, one message out. Pure: no descriptor, no clock.
 *
 * Memory follows what has arrived, never what a header announced. A message of one chunk is not
 * copied: it is a view of the bytes that were pushed. The chunks of a longer one are received
 * straight into their place: ask assembler_place() where the next one's data should go, receive
 * there, push.
 */
#ifndef WIRE_ASSEMBLER_H
#define WIRE_ASSEMBLER_H

#include "wire/packet.h"

struct assembler {
	uint8_t *buffer; /* of a message of several chunks; NULL between messages */
	size_t capacity; /* bytes of it; grows with what arrives */
	size_t filled;
	struct packet_header first; /* of the message under way */
	uint32_t next_chunk;	    /* 0: no message is under way */
	size_t limit;		    /* the largest message, bytes */
	enum packet_fault fault;    /* once refused, for ever refused */
};

enum { ASSEMBLER_WHOLE = 0, ASSEMBLER_MORE = 1, ASSEMBLER_REFUSED = 2 };

/* A message that is whole. @buffer is what to free once it is done with, or NULL for a view. */
struct message {
	const uint8_t *data;
	size_t size;
	uint8_t *buffer;
	size_t capacity; /* bytes of @buffer */
};

void assembler_init(struct assembler *a, size_t limit);
void assembler_deinit(struct assembler *a);

/*
 * Where to receive the data of the next packet, and how much may go there. Between messages that is
 * @scratch (DRPC_CHUNK_MAX_BYTES large); within one, the place in the buffer, grown as needed: it
 * never exceeds twice what has arrived plus one chunk, nor what the message needs.
 * Returns 0 or -ENOMEM, outputs then untouched.
 */
int assembler_place(struct assembler *a, uint8_t *scratch, uint8_t **ret_place, size_t *ret_room);

/*
 * Take one packet: its header, @received bytes in all, its data at @data (which may be the place
 * that assembler_place() gave, or anywhere else, from where it is copied). ASSEMBLER_WHOLE:
 * *ret_message is the message; a view is good for as long as @data is, a buffer is the caller's to
 * free(). ASSEMBLER_MORE: go on. ASSEMBLER_REFUSED: a->fault says why; end the session. Or -ENOMEM.
 * *ret_message is written only with ASSEMBLER_WHOLE.
 */
int assembler_push(struct assembler *a, const struct packet_header *header, size_t received,
	bool truncated, const uint8_t *data, struct message *ret_message);

/* Whether a message has begun and is not whole. */
bool assembler_is_midway(const struct assembler *a);

/* Bytes of memory held for the message under way. */
size_t assembler_held(const struct assembler *a);

/*
 * Lend a buffer of malloc() to the message that the next packet begins, so that memory that is
 * there already need not be made anew. Takes it, and sets *buffer to NULL, unless a message is
 * midway.
 */
void assembler_lend(struct assembler *a, uint8_t **buffer, size_t capacity);

#endif
