/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The wire once more, for floor and the load: what both need to write and read packets without
 * libdrpc, so that a measurement shares no code with what it measures. proto/PROTOCOL.md has the
 * words.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire_header {
	uint64_t total_size;
	uint64_t chunk_size;
	uint32_t chunk_index;
	uint32_t total_chunks;
};

#define WIRE_PACKET_MAX 131072
#define WIRE_CHUNK_MAX	(WIRE_PACKET_MAX - sizeof(struct wire_header))

/* Field number and wire type, as one byte. */
enum {
	WIRE_TYPE_VARINT = 0,
	WIRE_TYPE_BYTES = 2,
	WIRE_CALL_MODULE = 1 << 3 | WIRE_TYPE_VARINT,
	WIRE_CALL_SEQUENCE = 3 << 3 | WIRE_TYPE_VARINT,
	WIRE_CALL_BODY = 4 << 3 | WIRE_TYPE_BYTES,
	WIRE_RESPONSE_SEQUENCE = 1 << 3 | WIRE_TYPE_VARINT,
	WIRE_RESPONSE_BODY = 3 << 3 | WIRE_TYPE_BYTES,
};

static inline uint32_t wire_chunks_for(uint64_t total)
{
	return total ? (uint32_t)((total + WIRE_CHUNK_MAX - 1) / WIRE_CHUNK_MAX) : 1;
}

static inline uint64_t wire_chunk_size(uint64_t total, uint32_t index)
{
	uint64_t left = total - (uint64_t)index * WIRE_CHUNK_MAX;

	return left < WIRE_CHUNK_MAX ? left : WIRE_CHUNK_MAX;
}

/* Write a varint; returns where it ends, at most 10 bytes on. */
static inline uint8_t *wire_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

#endif
