/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Packets: the rules of PROTOCOL.md section 2, written again without the code under test; and
 * packets that keep them, or break one, made from an input.
 */
#ifndef FUZZ_PACKETS_H
#define FUZZ_PACKETS_H

#include "wire/packet.h"

#include "fuzz.h"

enum { CHUNK_MAX = 131048, PACKET_MAX = 131072, HEADER = 24 };

/* A receiver by the rules alone: it keeps count, not data. */
struct receiver {
	uint64_t limit;
	bool is_refused;
	bool is_midway;
	uint64_t total;
	uint64_t arrived;
	uint32_t chunks;
	uint32_t next;
};

enum outcome { OUTCOME_WHOLE, OUTCOME_MORE, OUTCOME_REFUSED };

/* What one packet of @size bytes, header included, must come to. */
enum outcome receiver_take(
	struct receiver *receiver, const struct packet_header *header, size_t size, bool truncated);

/* A packet to be sent. */
struct planned {
	struct packet_header header;
	size_t data_size;
};

/* The next packet of a message of @total bytes by the rules, its size drawn from the input. */
struct planned plan_legal(const struct receiver *receiver, uint64_t total, struct input *input);

/* The same, most of the time with one thing about it wrong; or a header of random bytes. */
struct planned plan_any(const struct receiver *receiver, uint64_t total, struct input *input);

/* A size at which the arithmetic of chunks changes, or any up to 700,000. */
uint64_t plan_total(struct input *input);

/* @size bytes that look random, the same for the same @from. Up to 1 MiB; they live for ever. */
const uint8_t *random_bytes(size_t from, size_t size);

#endif
