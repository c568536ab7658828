/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Packet: the 24 bytes in front of each chunk. Receives what one recvmsg(2) brought; hands on a
 * header that agrees with it and with itself, or the reason why not. Pure: no descriptor, no
 * memory.
 */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/message.h>

/* In native byte order: the peer is on this machine. */
struct packet_header {
	uint64_t total_size; /* bytes of the whole message */
	uint64_t chunk_size; /* bytes of this packet after the header */
	uint32_t chunk_index;
	uint32_t total_chunks;
};

#define PACKET_HEADER_BYTES sizeof(struct packet_header)
_Static_assert(sizeof(struct packet_header) == 24, "the wire's header has 24 bytes");

/* Why a packet is refused. After any of them nothing on the session can be trusted. */
enum packet_fault {
	PACKET_FINE = 0,
	PACKET_SHORT,	      /* less than a header arrived */
	PACKET_TRUNCATED,     /* more arrived than a packet may have */
	PACKET_CHUNK_SIZE,    /* chunk_size is not what arrived */
	PACKET_TOTAL_CHUNKS,  /* total_chunks is not what total_size needs */
	PACKET_CHUNK_INDEX,   /* not the next chunk */
	PACKET_TOTALS_DIFFER, /* from the first chunk's */
	PACKET_CHUNK_ROOM,    /* empty, or more than the message has left, or less than ends it */
	PACKET_TOO_LARGE,     /* the message is above the limit */
};

/* What a person reads in the log; a static string. */
const char *packet_fault_text(enum packet_fault fault);

/* How many chunks carry a message of that size: ceil(n / DRPC_CHUNK_MAX_BYTES), 1 for an empty one.
 */
uint64_t packet_chunks_for(uint64_t total_size);

/*
 * Judge one header by itself: @received bytes came with it, header included. Whether it is the next
 * of its message is the assembler's question.
 */
enum packet_fault packet_check(const struct packet_header *header, size_t received, bool truncated);

#endif
