/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Assembler: receives packets, one at a time; hands on whole messages, or the reason for which the
 * session must end.
 */
#include "wire/assembler.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Bytes that the message under way still lacks. Its total is within the limit, so a size_t. */
static size_t left(const struct assembler *a)
{
	return (size_t)a->first.total_size - a->filled;
}

static void forget_message(struct assembler *a)
{
	a->buffer = NULL;
	a->capacity = 0;
	a->filled = 0;
	a->next_chunk = 0;
}

void assembler_init(struct assembler *a, size_t limit)
{
	*a = (struct assembler){ .limit = limit };
}

void assembler_deinit(struct assembler *a)
{
	free(a->buffer);
	forget_message(a);
}

static int refuse(struct assembler *a, enum packet_fault fault)
{
	assembler_deinit(a);
	a->fault = fault;
	return ASSEMBLER_REFUSED;
}

/*
 * Make the buffer hold @needed bytes of a message of @total, of which @arrived are here. It about
 * doubles each time, so that growing stays cheap, and large blocks are moved by the C library
 * without a copy.
 */
static int reserve(struct assembler *a, size_t needed, size_t arrived, size_t total)
{
	size_t capacity = min_size(total, 2 * arrived + DRPC_CHUNK_MAX_BYTES);
	uint8_t *buffer;

	if (needed <= a->capacity)
		return 0;
	buffer = realloc(a->buffer, capacity);
	if (!buffer)
		return -ENOMEM;
	a->buffer = buffer;
	a->capacity = capacity;
	return 0;
}

int assembler_place(struct assembler *a, uint8_t *scratch, uint8_t **ret_place, size_t *ret_room)
{
	size_t room;
	int r;

	if (!assembler_is_midway(a)) {
		*ret_place = scratch;
		*ret_room = DRPC_CHUNK_MAX_BYTES;
		return 0;
	}
	room = min_size(left(a), DRPC_CHUNK_MAX_BYTES);
	r = reserve(a, a->filled + room, a->filled, (size_t)a->first.total_size);
	if (r < 0)
		return r;
	*ret_place = a->buffer + a->filled;
	*ret_room = room;
	return 0;
}

/* Each chunk brings something, and the last one, but no earlier one, brings all that is left. */
static bool fits(const struct packet_header *header, uint64_t room)
{
	bool last = header->chunk_index == header->total_chunks - 1;

	if (last)
		return header->chunk_size == room;
	return header->chunk_size > 0 && header->chunk_size < room;
}

static enum packet_fault check_first(const struct assembler *a, const struct packet_header *header)
{
	if (header->chunk_index != 0)
		return PACKET_CHUNK_INDEX;
	if (header->total_size > a->limit)
		return PACKET_TOO_LARGE;
	return fits(header, header->total_size) ? PACKET_FINE : PACKET_CHUNK_ROOM;
}

static enum packet_fault check_next(const struct assembler *a, const struct packet_header *header)
{
	if (header->chunk_index != a->next_chunk)
		return PACKET_CHUNK_INDEX;
	if (header->total_size != a->first.total_size) /* total_chunks follows from it */
		return PACKET_TOTALS_DIFFER;
	return fits(header, left(a)) ? PACKET_FINE : PACKET_CHUNK_ROOM;
}

static enum packet_fault check(const struct assembler *a, const struct packet_header *header,
	size_t received, bool truncated)
{
	enum packet_fault fault = packet_check(header, received, truncated);

	if (fault != PACKET_FINE)
		return fault;
	return assembler_is_midway(a) ? check_next(a, header) : check_first(a, header);
}

/* Keep a chunk that was checked. Data that assembler_place() placed is where it belongs already. */
static int keep(struct assembler *a, const struct packet_header *header, const uint8_t *data)
{
	size_t size = (size_t)header->chunk_size;
	size_t arrived = a->filled + size;
	int r;

	if (!a->buffer || data != a->buffer + a->filled) {
		r = reserve(a, arrived, arrived, (size_t)header->total_size);
		if (r < 0)
			return r;
		memcpy(a->buffer + a->filled, data, size);
	}
	if (a->next_chunk == 0)
		a->first = *header;
	a->filled = arrived;
	a->next_chunk++;
	return 0;
}

int assembler_push(struct assembler *a, const struct packet_header *header, size_t received,
	bool truncated, const uint8_t *data, struct message *ret_message)
{
	enum packet_fault fault;
	int r;

	if (a->fault != PACKET_FINE)
		return ASSEMBLER_REFUSED;
	fault = check(a, header, received, truncated);
	if (fault != PACKET_FINE)
		return refuse(a, fault);
	if (header->total_chunks == 1) {
		*ret_message = (struct message){ .data = data, .size = (size_t)header->total_size };
		return ASSEMBLER_WHOLE;
	}
	r = keep(a, header, data);
	if (r < 0)
		return r;
	if (a->next_chunk < a->first.total_chunks)
		return ASSEMBLER_MORE;
	*ret_message = (struct message){
		.data = a->buffer,
		.size = a->filled,
		.buffer = a->buffer,
		.capacity = a->capacity,
	};
	forget_message(a);
	return ASSEMBLER_WHOLE;
}

bool assembler_is_midway(const struct assembler *a)
{
	return a->next_chunk > 0;
}

size_t assembler_held(const struct assembler *a)
{
	return a->capacity;
}

void assembler_lend(struct assembler *a, uint8_t **buffer, size_t capacity)
{
	if (assembler_is_midway(a) || a->buffer != NULL || *buffer == NULL)
		return;
	a->buffer = take_ptr(*buffer);
	a->capacity = capacity;
}
