/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Splitter: one message in, packets out. Receives a message in two parts (the few bytes of the
 * envelope before the body, and the body where it lies); hands on, one at a time, the header and
 * the slices of each packet, for sendmsg(2). Copies nothing. Pure: no descriptor, no memory.
 */
#ifndef WIRE_SPLITTER_H
#define WIRE_SPLITTER_H

#include <sys/uio.h>

#include "wire/packet.h"

struct splitter {
	const uint8_t *head;
	size_t head_size;
	const uint8_t *body;
	size_t body_size;
	uint64_t sent; /* bytes of the message, in packets that were advanced over */
	uint32_t next_chunk;
};

#define SPLITTER_IOV_MAX 3

/* @head and @body must stay where they are until the last packet is sent. */
void splitter_init(struct splitter *s, const uint8_t *head, size_t head_size, const uint8_t *body,
	size_t body_size);

/* Whether every packet was advanced over. */
bool splitter_is_done(const struct splitter *s);

/*
 * The next packet: fills @header and up to SPLITTER_IOV_MAX slices, the first of which is @header.
 * Returns their count. The same packet again until splitter_advance().
 */
int splitter_packet(
	const struct splitter *s, struct packet_header *header, struct iovec iov[SPLITTER_IOV_MAX]);

/* The packet that splitter_packet() described was sent. */
void splitter_advance(struct splitter *s);

#endif
