/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The server of the client's tests: see server.h. */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/assembler.h"
#include "wire/envelope.h"
#include "wire/socket.h"
#include "wire/splitter.h"

void server_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: the test's server: %s\n", file, line, condition);
	abort();
}

void server_open(struct server *server, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*server = (struct server){ .dir = "/tmp/drpc-client-XXXXXX" };
	REQUIRE(mkdtemp(server->dir));
	snprintf(server->path, sizeof(server->path), "%s/socket", server->dir);
	memcpy(address.sun_path, server->path, sizeof(server->path));
	server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	REQUIRE(server->listener >= 0);
	REQUIRE(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	REQUIRE(listen(server->listener, backlog) == 0);
}

static void *run(void *argument)
{
	struct server *server = argument;
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		server->serve(server, fd);
		close(fd);
	}
	return NULL;
}

void server_start(
	struct server *server, void (*serve)(struct server *server, int fd), void *context)
{
	server->serve = serve;
	server->context = context;
	REQUIRE(pthread_create(&server->thread, NULL, run, server) == 0);
	server->running = true;
}

void server_close(struct server *server)
{
	/* Shutting a listener down ends its accept(2). */
	REQUIRE(shutdown(server->listener, SHUT_RDWR) == 0);
	if (server->running)
		REQUIRE(pthread_join(server->thread, NULL) == 0);
	close(server->listener);
	unlink(server->path);
	rmdir(server->dir);
}

static void wait_for(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	REQUIRE(poll(&pollfd, 1, -1) == 1);
}

/* Returns ASSEMBLER_WHOLE, ASSEMBLER_MORE, or -1 at the end. */
static int receive_packet(
	int fd, struct assembler *a, uint8_t *scratch, struct message *ret_message)
{
	struct packet_header header;
	struct iovec iov[2] = { { .iov_base = &header, .iov_len = sizeof(header) } };
	struct received received;
	uint8_t *place;
	int r;

	REQUIRE(assembler_place(a, scratch, &place, &iov[1].iov_len) == 0);
	iov[1].iov_base = place;
	wait_for(fd, POLLIN);
	r = socket_receive(fd, iov, 2, &received);
	if (r == -ENOTCONN || r == -ECONNRESET)
		return -1;
	REQUIRE(r == 0);
	r = assembler_push(a, &header, received.size, received.truncated, place, ret_message);
	REQUIRE(r == ASSEMBLER_WHOLE || r == ASSEMBLER_MORE);
	return r;
}

bool server_receive(int fd, struct server_call *ret_call)
{
	uint8_t *scratch = malloc(DRPC_CHUNK_MAX_BYTES);
	struct message message = { 0 };
	struct assembler a;
	int r;

	REQUIRE(scratch);
	assembler_init(&a, DRPC_MESSAGE_MAX_BYTES);
	do {
		r = receive_packet(fd, &a, scratch, &message);
	} while (r == ASSEMBLER_MORE);
	assembler_deinit(&a);
	if (r == ASSEMBLER_WHOLE) {
		REQUIRE(envelope_decode_call(message.data, message.size, &ret_call->call) == 0);
		ret_call->bytes = message.buffer ? message.buffer : scratch;
	}
	if (r != ASSEMBLER_WHOLE || message.buffer)
		free(scratch);
	return r == ASSEMBLER_WHOLE;
}

void server_receive_packet(int fd)
{
	uint8_t byte;

	REQUIRE(recv(fd, &byte, sizeof(byte), 0) == 1);
}

void server_wait_for_end(int fd)
{
	uint8_t byte;

	while (recv(fd, &byte, sizeof(byte), 0) > 0)
		;
}

void server_answer(int fd, int64_t sequence, int32_t status, const void *body, size_t body_size)
{
	const struct drpc_response response = {
		.sequence = sequence, .status = status, .body = body, .body_size = body_size
	};
	uint8_t head[ENVELOPE_HEAD_MAX];
	struct splitter s;

	splitter_init(&s, head, envelope_encode_response(&response, head), body, body_size);
	while (!splitter_is_done(&s)) {
		struct packet_header header;
		struct iovec iov[SPLITTER_IOV_MAX];
		int count = splitter_packet(&s, &header, iov);
		int r = socket_send(fd, iov, (size_t)count);

		if (r == -EPIPE || r == -ECONNRESET)
			return;
		REQUIRE(r == 0 || r == -EAGAIN);
		if (r == 0)
			splitter_advance(&s);
		else
			wait_for(fd, POLLOUT);
	}
}

void server_send_raw(int fd, const void *bytes, size_t size)
{
	REQUIRE(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}
