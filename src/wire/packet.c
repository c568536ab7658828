/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Packet: receives a header and how many bytes came with it; hands on whether the two agree, and
 * the header with itself.
 */
#include "wire/packet.h"

#include "util/cleanup.h"

static const char *const fault_texts[] = {
	[PACKET_FINE] = "nothing is wrong",
	[PACKET_SHORT] = "packet is shorter than its header",
	[PACKET_TRUNCATED] = "packet is larger than a packet may be",
	[PACKET_CHUNK_SIZE] = "chunk size is not what arrived",
	[PACKET_TOTAL_CHUNKS] = "number of chunks is not what the message size needs",
	[PACKET_CHUNK_INDEX] = "chunk is not the next one",
	[PACKET_TOTALS_DIFFER] = "totals differ from the first chunk's",
	[PACKET_CHUNK_ROOM] = "chunk does not fit what is left of the message",
	[PACKET_TOO_LARGE] = "message is above the limit",
};

const char *packet_fault_text(enum packet_fault fault)
{
	if ((size_t)fault >= ARRAY_SIZE(fault_texts))
		return "unknown fault";
	return fault_texts[fault];
}

/* Written without total + chunk - 1, which a size near 2^64 would overflow. */
uint64_t packet_chunks_for(uint64_t total_size)
{
	if (total_size == 0)
		return 1;
	return (total_size - 1) / DRPC_CHUNK_MAX_BYTES + 1;
}

enum packet_fault packet_check(const struct packet_header *header, size_t received, bool truncated)
{
	if (received < PACKET_HEADER_BYTES)
		return PACKET_SHORT;
	if (truncated || received > DRPC_PACKET_MAX_BYTES)
		return PACKET_TRUNCATED;
	if (header->chunk_size != received - PACKET_HEADER_BYTES)
		return PACKET_CHUNK_SIZE;
	if (header->total_chunks != packet_chunks_for(header->total_size))
		return PACKET_TOTAL_CHUNKS;
	return PACKET_FINE;
}
