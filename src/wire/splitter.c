/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Splitter: receives a message in two parts; hands on its packets, as slices for sendmsg(2).
 */
#include "wire/splitter.h"

static uint64_t total_size(const struct splitter *s)
{
	return (uint64_t)s->head_size + s->body_size;
}

static size_t chunk_size(const struct splitter *s)
{
	uint64_t left = total_size(s) - s->sent;

	return left < DRPC_CHUNK_MAX_BYTES ? (size_t)left : DRPC_CHUNK_MAX_BYTES;
}

/* sendmsg(2) reads through its slices only, but their type has no const. */
static struct iovec slice(const void *data, size_t size)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)data, .iov_len = size };
}

void splitter_init(struct splitter *s, const uint8_t *head, size_t head_size, const uint8_t *body,
	size_t body_size)
{
	*s = (struct splitter){
		.head = head, .head_size = head_size, .body = body, .body_size = body_size
	};
}

/* An empty message is one packet too, so nothing left to send is not enough. */
bool splitter_is_done(const struct splitter *s)
{
	return s->next_chunk > 0 && s->sent == total_size(s);
}

int splitter_packet(
	const struct splitter *s, struct packet_header *header, struct iovec iov[SPLITTER_IOV_MAX])
{
	size_t left = chunk_size(s);
	size_t from_head = s->sent < s->head_size ? s->head_size - (size_t)s->sent : 0;
	int count = 0;

	*header = (struct packet_header){
		.total_size = total_size(s),
		.chunk_size = left,
		.chunk_index = s->next_chunk,
		.total_chunks = (uint32_t)packet_chunks_for(total_size(s)),
	};
	iov[count++] = slice(header, sizeof(*header));
	if (from_head > left)
		from_head = left;
	if (from_head > 0)
		iov[count++] = slice(s->head + s->sent, from_head);
	left -= from_head;
	if (left > 0)
		iov[count++] = slice(s->body + (s->sent + from_head - s->head_size), left);
	return count;
}

void splitter_advance(struct splitter *s)
{
	s->sent += chunk_size(s);
	s->next_chunk++;
}
