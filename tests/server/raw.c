/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Raw: see raw.h. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/seen.h"
#include "wire/assembler.h"
#include "wire/envelope.h"
#include "wire/splitter.h"

void raw_be_patient(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

int raw_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	raw_be_patient(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_slices(int fd, struct iovec *iov, size_t count)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };

	return sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

bool raw_call(
	int fd, int32_t module, int32_t method, int64_t sequence, const void *body, size_t size)
{
	const struct drpc_call call = {
		.module = module,
		.method = method,
		.sequence = sequence,
		.body = body,
		.body_size = size,
	};
	uint8_t head[ENVELOPE_HEAD_MAX];
	struct splitter s;

	splitter_init(&s, head, envelope_encode_call(&call, head), body, size);
	while (!splitter_is_done(&s)) {
		struct iovec iov[SPLITTER_IOV_MAX];
		struct packet_header header;
		int count = splitter_packet(&s, &header, iov);

		if (!send_slices(fd, iov, (size_t)count))
			return false;
		splitter_advance(&s);
	}
	return true;
}

bool raw_send_chunk(int fd, uint64_t total, uint32_t index)
{
	static uint8_t zeros[DRPC_CHUNK_MAX_BYTES];
	uint64_t left = total - (uint64_t)index * DRPC_CHUNK_MAX_BYTES;
	struct packet_header header = {
		.total_size = total,
		.chunk_size = left < DRPC_CHUNK_MAX_BYTES ? left : DRPC_CHUNK_MAX_BYTES,
		.chunk_index = index,
		.total_chunks = (uint32_t)packet_chunks_for(total),
	};
	struct iovec iov[] = { { &header, sizeof(header) }, { zeros, header.chunk_size } };

	return send_slices(fd, iov, 2);
}

bool raw_send(int fd, const void *bytes, size_t size)
{
	return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* A peer that closes with something unread resets; what it sent before can still be read. */
static ssize_t receive(int fd, struct iovec iov[2])
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &msg, 0);
	return n;
}

static int receive_packet(
	int fd, struct assembler *a, uint8_t *scratch, struct message *ret_message)
{
	struct packet_header header;
	struct iovec iov[2] = { { &header, sizeof(header) } };
	uint8_t *place;
	ssize_t n;

	if (assembler_place(a, scratch, &place, &iov[1].iov_len) < 0)
		abort();
	iov[1].iov_base = place;
	n = receive(fd, iov);
	if (n <= 0)
		return -ENOTCONN;
	return assembler_push(a, &header, (size_t)n, false, place, ret_message);
}

bool raw_receive(int fd, struct raw_answer *ret_answer)
{
	uint8_t *scratch = malloc(DRPC_CHUNK_MAX_BYTES);
	struct message message = { .data = NULL };
	struct raw_answer answer;
	struct assembler a;
	int r;

	if (scratch == NULL)
		abort();
	assembler_init(&a, DRPC_MESSAGE_MAX_BYTES);
	do {
		r = receive_packet(fd, &a, scratch, &message);
	} while (r == ASSEMBLER_MORE);
	assembler_deinit(&a);
	if (r == ASSEMBLER_WHOLE)
		r = envelope_decode_response(message.data, message.size, &answer.response);
	answer.bytes = scratch;
	if (message.buffer != NULL) {
		free(scratch);
		answer.bytes = message.buffer;
	}
	if (r != 0) {
		free(answer.bytes);
		return false;
	}
	*ret_answer = answer;
	return true;
}

int raw_receive_status(int fd, int64_t sequence)
{
	struct raw_answer answer;

	if (!raw_receive(fd, &answer))
		return -1;
	free(answer.bytes);
	return answer.response.sequence == sequence ? answer.response.status : -2;
}

bool raw_is_closed(int fd)
{
	uint8_t byte;
	ssize_t n;

	do {
		n = recv(fd, &byte, 1, 0);
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}
