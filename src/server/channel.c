/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Channel: see channel.h. */
#include "server/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include <drpc/status.h>

#include "wire/envelope.h"
#include "wire/socket.h"

/* A peer that fills the socket as fast as it is drained gets no more than this. */
#define DRAIN_MAX_PACKETS 64

static int push(struct channel *channel, const struct packet_header *header,
	const struct received *received, const uint8_t *data, struct message *ret_message,
	const char **ret_why)
{
	int r = assembler_push(&channel->assembler, header, received->size, received->truncated,
		data, ret_message);

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

int channel_receive(struct channel *channel, uint8_t *scratch, struct message *ret_message,
	const char **ret_why)
{
	struct packet_header header;
	struct received received;
	struct iovec iov[2];
	uint8_t *place;
	size_t room;
	int r;

	*ret_why = "";
	r = assembler_place(&channel->assembler, scratch, &place, &room);
	if (r < 0)
		return r;
	iov[0] = (struct iovec){ &header, sizeof(header) };
	iov[1] = (struct iovec){ place, room };
	r = socket_receive(channel->fd, iov, 2, &received);
	if (r < 0)
		return r;
	if (!received.has_sender ||
		!peer_is_sender(&channel->peer, received.sender_pid, received.sender_uid)) {
		*ret_why = "the sender is not the connector";
		return -EPROTO;
	}
	return push(channel, &header, &received, place, ret_message, ret_why);
}

int channel_send(struct channel *channel, struct splitter *splitter, unsigned max_packets)
{
	while (max_packets-- > 0) {
		struct iovec iov[SPLITTER_IOV_MAX];
		struct packet_header header;
		int slices = splitter_packet(splitter, &header, iov);
		int r = socket_send(channel->fd, iov, (size_t)slices);

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
	bool was_any = false;
	uint8_t byte;

	for (int i = 0; i < DRAIN_MAX_PACKETS; i++) {
		struct iovec iov = { &byte, 1 };
		struct received received;

		if (socket_receive(fd, &iov, 1, &received) < 0)
			break;
		was_any = true;
	}
	return was_any;
}
