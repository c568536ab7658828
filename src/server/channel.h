/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Channel: a connected descriptor, who is at its other end, and the message that is coming in.
 * Receives packets (steps 2 and 3 of a call's way); hands on whole messages. Knows nothing of loops
 * or threads.
 */
#ifndef SERVER_CHANNEL_H
#define SERVER_CHANNEL_H

#include <drpc/status.h>

#include "access/peer.h"
#include "wire/assembler.h"
#include "wire/splitter.h"

struct channel {
	int fd;
	struct drpc_peer peer;
	struct assembler assembler;
};

/*
 * What a thread lends to the channels that it serves, so that idle ones need not have it each:
 * where a packet is received while no message is midway, and the last large message's buffer for
 * the next one (fresh pages cost more than the transport of what they hold).
 */
struct channel_scratch {
	struct packet_header header;
	uint8_t data[DRPC_CHUNK_MAX_BYTES]; /* follows the header: one slice receives both */
	uint8_t *spare;			    /* NULL: none */
	size_t spare_capacity;
};

/* Have a buffer that a message is done with for the next message; the larger of two stays. */
void channel_scratch_keep(struct channel_scratch *scratch, uint8_t *buffer, size_t capacity);

/* Free the spare buffer. */
void channel_scratch_trim(struct channel_scratch *scratch);

/* What one packet did. Negative errno values beside these: the session ends. */
enum channel_step {
	CHANNEL_WHOLE = 0, /* a message is whole */
	CHANNEL_MORE = 1,  /* a chunk was taken; the message goes on */
};

/*
 * Receive one packet. A message of one chunk is a view of @scratch->data.
 * CHANNEL_WHOLE, CHANNEL_MORE, -EAGAIN: no packet there, -ENOTCONN: the peer closed, -EPROTO:
 * refused, *ret_why says why in words; -ENOMEM or another errno of recvmsg(2), *ret_why is "".
 */
int channel_receive(struct channel *channel, struct channel_scratch *scratch,
	struct message *ret_message, const char **ret_why);

/*
 * Send packets of @splitter until it is done, the socket is full or @max_packets are sent.
 * 0: done. -EAGAIN: more to send. Another negative errno: the session ends.
 */
int channel_send(struct channel *channel, struct splitter *splitter, unsigned max_packets);

/*
 * Answer with a refusal that no call asked for (sequence -1), as far as that goes without waiting.
 * What the peer sends from here on, or has sent, is not read.
 */
void channel_say(int fd, enum drpc_status status);

/*
 * Read what is there and forget it, so that closing the socket does not destroy an answer that the
 * peer has yet to read (closing with unread data resets the connection). Returns whether the
 * peer has said anything, or has gone: what it was to be told is there for it to read.
 */
bool channel_drain(int fd);

#endif
