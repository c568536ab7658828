/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Channel: see channel.h. */
#include "server/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <drpc/status.h>

#include "util/cleanup.h"
#include "wire/envelope.h"
#include "wire/socket.h"

/* A peer that fills the socket as fast as it is drained gets no more than this. */
#define DRAIN_MAX_PACKETS 64

#define GATHER_MAX_BYTES 256

void channel_scratch_keep(struct channel_scratch *scratch, uint8_t *buffer, size_t capacity)
{
	if (capacity <= scratch->spare_capacity || buffer == NULL) {
		free(buffer);
		return;
	}
	free(scratch->spare);
	scratch->spare = buffer;
	scratch->spare_capacity = capacity;
}

void channel_scratch_trim(struct channel_scratch *scratch)
{
	free(take_ptr(scratch->spare));
	scratch->spare_capacity = 0;
}

/* A message that needs most of the spare may have it; what it has is charged like new memory. */
static void lend_spare(struct channel *channel, struct channel_scratch *scratch)
{
	if (scratch->header.total_chunks <= 1 ||
		scratch->header.total_size < scratch->spare_capacity / 2)
		return;
	assembler_lend(&channel->assembler, &scratch->spare, scratch->spare_capacity);
	if (scratch->spare == NULL)
		scratch->spare_capacity = 0;
}

static int push(struct channel *channel, struct channel_scratch *scratch,
	const struct received *received, const uint8_t *data, struct message *ret_message,
	const char **ret_why)
{
	int r;

	lend_spare(channel, scratch);
	r = assembler_push(&channel->assembler, &scratch->header, received->size,
		received->truncated, data, ret_message);
	switch (r) {
	case ASSEMBLER_WHOLE:
		return CHANNEL_WHOLE;
	case ASSEMBLER_MORE:
		return CHANNEL_MORE;
	case ASSEMBLER_REFUSED:
		*ret_why = packet_fault_text(channel->assembler.fault);
		return -EPROTO;
	default:
		return r;
	}
}

/* Where the next packet goes: the header and a first chunk side by side, a later chunk in its
 * place. */
static int place_packet(struct channel *channel, struct channel_scratch *scratch,
	struct iovec iov[2], size_t *ret_slices)
{
	uint8_t *place;
	size_t room;
	int r = assembler_place(&channel->assembler, scratch->data, &place, &room);

	if (r < 0)
		return r;
	iov[0] = (struct iovec){ &scratch->header, sizeof(scratch->header) };
	iov[1] = (struct iovec){ place, room };
	*ret_slices = 2;
	if (place == scratch->data) {
		iov[0].iov_len += room;
		*ret_slices = 1;
	}
	return 0;
}

int channel_receive(struct channel *channel, struct channel_scratch *scratch,
	struct message *ret_message, const char **ret_why)
{
	struct received received;
	struct iovec iov[2];
	size_t slices;
	int r;

	*ret_why = "";
	r = place_packet(channel, scratch, iov, &slices);
	if (r < 0)
		return r;
	r = socket_receive(channel->fd, iov, slices, &received);
	if (r < 0)
		return r;
	if (!received.has_sender ||
		!peer_is_sender(&channel->peer, received.sender_pid, received.sender_uid)) {
		*ret_why = "the sender is not the connector";
		return -EPROTO;
	}
	return push(channel, scratch, &received, iov[1].iov_base, ret_message, ret_why);
}

/* One slice costs the kernel less than three, and a small packet is quickly copied into one. */
static int send_packet(int fd, const struct iovec *iov, int slices, size_t size)
{
	uint8_t gathered[GATHER_MAX_BYTES];
	struct iovec whole = { gathered, size };
	size_t used = 0;

	if (size > sizeof(gathered))
		return socket_send(fd, iov, (size_t)slices);
	for (int i = 0; i < slices; i++) {
		memcpy(gathered + used, iov[i].iov_base, iov[i].iov_len);
		used += iov[i].iov_len;
	}
	return socket_send(fd, &whole, 1);
}

int channel_send(struct channel *channel, struct splitter *splitter, unsigned max_packets)
{
	while (max_packets-- > 0) {
		struct iovec iov[SPLITTER_IOV_MAX];
		struct packet_header header;
		int slices = splitter_packet(splitter, &header, iov);
		int r = send_packet(
			channel->fd, iov, slices, sizeof(header) + (size_t)header.chunk_size);

		if (r < 0)
			return r;
		splitter_advance(splitter);
		if (splitter_is_done(splitter))
			return 0;
	}
	return -EAGAIN;
}

void channel_say(int fd, enum drpc_status status)
{
	struct drpc_response response = {
		.sequence = DRPC_SEQUENCE_NONE,
		.status = (int32_t)status,
	};
	struct channel channel = { .fd = fd };
	uint8_t head[ENVELOPE_HEAD_MAX];
	struct splitter splitter;

	splitter_init(&splitter, head, envelope_encode_response(&response, head), NULL, 0);
	channel_send(&channel, &splitter, 1);
}

bool channel_drain(int fd)
{
	bool has_said = false;
	uint8_t byte;
	int r;

	for (int i = 0; i < DRAIN_MAX_PACKETS; i++) {
		struct iovec iov = { &byte, 1 };
		struct received received;

		r = socket_receive(fd, &iov, 1, &received);
		if (r == -EAGAIN)
			break;
		has_said = true;
		if (r < 0) /* its end, after which there is nothing to wait for */
			break;
	}
	return has_said;
}
