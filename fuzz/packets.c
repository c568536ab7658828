/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packets: see packets.h. */
#include "packets.h"

#define RANDOM_BYTES ((size_t)1024 * 1024)
#define RANDOM_FROM  ((size_t)4096)

static uint64_t chunks_of(uint64_t total)
{
	if (total == 0)
		return 1;
	return total / CHUNK_MAX + (total % CHUNK_MAX != 0);
}

static bool is_well_formed(const struct packet_header *header, size_t size, bool truncated)
{
	return !truncated && size >= HEADER && size <= PACKET_MAX &&
	       header->chunk_size == size - HEADER &&
	       header->total_chunks == chunks_of(header->total_size);
}

static bool is_expected(const struct receiver *r, const struct packet_header *header)
{
	if (!r->is_midway)
		return header->chunk_index == 0 && header->total_size <= r->limit;
	return header->chunk_index == r->next && header->total_size == r->total &&
	       header->total_chunks == r->chunks;
}

/* Whether the message can still be completed by exactly its last chunk. */
static bool has_place(const struct receiver *r, const struct packet_header *header)
{
	uint64_t lacks = header->total_size - (r->is_midway ? r->arrived : 0);

	if (header->chunk_index + 1 == header->total_chunks)
		return header->chunk_size == lacks;
	return header->chunk_size != 0 && header->chunk_size < lacks;
}

enum outcome receiver_take(
	struct receiver *r, const struct packet_header *header, size_t size, bool truncated)
{
	if (r->is_refused || !is_well_formed(header, size, truncated) || !is_expected(r, header) ||
		!has_place(r, header)) {
		r->is_refused = true;
		r->is_midway = false;
		return OUTCOME_REFUSED;
	}
	r->arrived = (r->is_midway ? r->arrived : 0) + header->chunk_size;
	r->next = header->chunk_index + 1;
	r->total = header->total_size;
	r->chunks = header->total_chunks;
	r->is_midway = r->next < r->chunks;
	return r->is_midway ? OUTCOME_MORE : OUTCOME_WHOLE;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * A size that leaves the @later chunks after this one at least a byte each, and no more than they
 * hold. A message that cannot be completed any more, because chunks were too small or too large,
 * goes on somehow.
 */
static uint64_t draw_size(uint64_t lacks, uint64_t later, struct input *input)
{
	uint64_t least = lacks > later * CHUNK_MAX ? lacks - later * CHUNK_MAX : 1;
	uint64_t most = at_most(CHUNK_MAX, lacks > later ? lacks - later : 1);

	if (later == 0)
		return at_most(CHUNK_MAX, lacks);
	return least < most ? input_between(input, least, most) : most;
}

struct planned plan_legal(const struct receiver *r, uint64_t total, struct input *input)
{
	uint64_t whole = r->is_midway ? r->total : total;
	uint64_t lacks = whole - (r->is_midway ? r->arrived : 0);
	uint32_t index = r->is_midway ? r->next : 0;
	uint64_t chunks = chunks_of(whole);
	uint64_t size = draw_size(lacks, chunks - index - 1, input);

	return (struct planned){
		.header = {
			.total_size = whole,
			.chunk_size = size,
			.chunk_index = index,
			.total_chunks = (uint32_t)chunks,
		},
		.data_size = (size_t)size,
	};
}

static void spoil(struct planned *p, struct input *input)
{
	switch (input_between(input, 0, 6)) {
	case 0:
		p->header.total_size += input_u64(input);
		break;
	case 1:
		p->header.chunk_size ^= input_u64(input);
		break;
	case 2:
		p->header.chunk_index += input_u32(input);
		break;
	case 3:
		p->header.total_chunks += input_u32(input);
		break;
	case 4: /* more or fewer bytes, and a header that agrees with them */
		p->data_size = (size_t)input_between(input, 0, CHUNK_MAX + 512);
		p->header.chunk_size = p->data_size;
		break;
	case 5:
		p->data_size = (size_t)input_between(input, 0, CHUNK_MAX + 512);
		break;
	default: /* another message, well-formed in itself */
		p->header.total_size = input_between(input, 0, UINT32_MAX);
		p->header.total_chunks = (uint32_t)chunks_of(p->header.total_size);
		break;
	}
}

struct planned plan_any(const struct receiver *r, uint64_t total, struct input *input)
{
	uint8_t choice = input_u8(input);
	struct planned p = plan_legal(r, total, input);

	if (choice % 4 == 0) {
		p.header.total_size = input_u64(input);
		p.header.chunk_size = input_u64(input);
		p.header.chunk_index = input_u32(input);
		p.header.total_chunks = input_u32(input);
		p.data_size = (size_t)at_most(p.header.chunk_size, CHUNK_MAX + 512);
	} else if (choice % 4 == 1) {
		spoil(&p, input);
	}
	return p;
}

uint64_t plan_total(struct input *input)
{
	static const uint64_t edges[] = { 0, 1, CHUNK_MAX - 1, CHUNK_MAX, CHUNK_MAX + 1,
		2 * CHUNK_MAX - 1, 2 * CHUNK_MAX, 2 * CHUNK_MAX + 1, 3 * CHUNK_MAX + 7 };
	size_t choice = input_u8(input) % 12;

	if (choice < sizeof(edges) / sizeof(edges[0]))
		return edges[choice];
	return choice == 9 ? input_u8(input) : input_between(input, 0, 700000);
}

const uint8_t *random_bytes(size_t from, size_t size)
{
	static uint64_t words[(RANDOM_BYTES + RANDOM_FROM) / sizeof(uint64_t)];
	uint64_t seed = 1;

	REQUIRE(size <= RANDOM_BYTES, "the harness asks for %zu bytes", size);
	if (words[0] == 0) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = fuzz_random(&seed);
	}
	return (const uint8_t *)words + from % RANDOM_FROM;
}
