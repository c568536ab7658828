/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * floor: the least that a server of this wire can do, for drpcd to be measured against.
 *
 * Receives calls, puts each together, finds its sequence and body, and sends the body back from
 * where it lies. One thread, one epoll. No protobuf library, no policy, no credentials, no sandbox,
 * no limits: never run it for anything but a measurement.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "wire.h"

#define EVENTS_MAX	 64
#define SEND_BUFFER	 (1024 * 1024)
#define MESSAGE_MAX	 ((size_t)256 * 1024 * 1024)
#define REPLY_HEAD_MAX	 24
#define CONTROL_BYTES	 CMSG_SPACE(sizeof(struct ucred))
#define SERVE_MORE	 0
#define SERVE_WAIT_READ	 1
#define SERVE_WAIT_WRITE 2
#define SERVE_CLOSE	 3

struct session {
	int fd;
	uint8_t *buffer; /* for messages of several packets, and answers that must wait; kept */
	size_t capacity;
	size_t total;
	size_t filled;	 /* less than total: a message is under way */
	uid_t connector; /* only with --passcred */

	/* The answer; it is being sent as long as no call is read. */
	bool answering;
	uint8_t head[REPLY_HEAD_MAX];
	size_t head_size;
	const uint8_t *body;
	size_t body_size;
	uint32_t next_chunk;
};

static uint8_t packet[WIRE_PACKET_MAX];
static bool passcred;

/* Read a varint; returns where it ends, or NULL. */
static const uint8_t *varint_read(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
		value |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80)) {
			*ret_value = value;
			return at;
		}
	}
	return NULL;
}

/* Walk the fields of a Call. Clients here send only varints and bytes. */
static bool call_find(const uint8_t *at, const uint8_t *end, uint64_t *ret_sequence,
	const uint8_t **ret_body, size_t *ret_body_size)
{
	while (at < end) {
		uint64_t key, value;

		at = varint_read(at, end, &key);
		if (!at || !(at = varint_read(at, end, &value)))
			return false;
		if (key == WIRE_CALL_SEQUENCE) {
			*ret_sequence = value;
		} else if ((key & 7) == WIRE_TYPE_BYTES) {
			if (value > (uint64_t)(end - at))
				return false;
			if (key == WIRE_CALL_BODY) {
				*ret_body = at;
				*ret_body_size = value;
			}
			at += value;
		} else if ((key & 7) != WIRE_TYPE_VARINT) {
			return false;
		}
	}
	return true;
}

static size_t reply_head(uint64_t sequence, size_t body_size, uint8_t *head)
{
	uint8_t *at = head;

	if (sequence) {
		*at++ = WIRE_RESPONSE_SEQUENCE;
		at = wire_varint(at, sequence);
	}
	if (body_size) {
		*at++ = WIRE_RESPONSE_BODY;
		at = wire_varint(at, body_size);
	}
	return (size_t)(at - head);
}

/* Send the packet of the answer that is next. The first holds the head; the body is never copied.
 */
static ssize_t reply_send_packet(const struct session *s, const struct wire_header *header)
{
	uint64_t begin = (uint64_t)header->chunk_index * WIRE_CHUNK_MAX;
	size_t head = header->chunk_index == 0 ? s->head_size : 0;
	struct iovec iov[3] = {
		{ (void *)(uintptr_t)header, sizeof(*header) },
		{ (void *)(uintptr_t)s->head, head },
		{ (void *)(uintptr_t)(s->body + (head ? 0 : begin - s->head_size)),
			header->chunk_size - head },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };

	return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

/* Send what there is room for. */
static int reply_send(struct session *s)
{
	struct wire_header header = { .total_size = s->head_size + s->body_size };

	header.total_chunks = wire_chunks_for(header.total_size);
	for (; s->next_chunk < header.total_chunks; s->next_chunk++) {
		header.chunk_index = s->next_chunk;
		header.chunk_size = wire_chunk_size(header.total_size, s->next_chunk);
		if (reply_send_packet(s, &header) < 0)
			return errno == EAGAIN ? SERVE_WAIT_WRITE : SERVE_CLOSE;
	}
	s->answering = false;
	return SERVE_WAIT_READ;
}

/* A session keeps its buffer: new memory for each large message would cost more than its transport.
 */
static bool buffer_reserve(struct session *s, size_t size)
{
	if (size <= s->capacity)
		return true;
	free(s->buffer);
	s->buffer = malloc(size);
	s->capacity = s->buffer ? size : 0;
	return s->buffer != NULL;
}

/* An answer that has to wait must not lie in the packet that all sessions share. */
static int reply_keep(struct session *s)
{
	if (s->body < packet || s->body > packet + sizeof(packet))
		return SERVE_WAIT_WRITE;
	if (!buffer_reserve(s, s->body_size))
		return SERVE_CLOSE;
	memcpy(s->buffer, s->body, s->body_size);
	s->body = s->buffer;
	return SERVE_WAIT_WRITE;
}

static int message_answer(struct session *s, const uint8_t *data, size_t size)
{
	uint64_t sequence = 0;
	int next;

	s->body = data;
	s->body_size = 0;
	if (!call_find(data, data + size, &sequence, &s->body, &s->body_size))
		return SERVE_CLOSE;
	s->head_size = reply_head(sequence, s->body_size, s->head);
	s->next_chunk = 0;
	s->answering = true;
	next = reply_send(s);
	return next == SERVE_WAIT_WRITE ? reply_keep(s) : next;
}

/* With --passcred: what drpcd looks at for each packet. */
static bool sender_is_connector(struct msghdr *message, uid_t connector)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct ucred sender;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return false;
	memcpy(&sender, CMSG_DATA(c), sizeof(sender));
	return sender.uid == connector;
}

static ssize_t session_receive(struct session *s, struct iovec *iov, size_t count)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES];
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t n;

	if (passcred) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
	}
	n = recvmsg(s->fd, &message, 0);
	if (n > 0 && passcred && !sender_is_connector(&message, s->connector)) {
		errno = EPERM;
		return -1;
	}
	return n;
}

/* The first packet of a message. Most messages have no other: those are answered from it. */
static int message_begin(struct session *s)
{
	struct iovec iov = { packet, sizeof(packet) };
	ssize_t n = session_receive(s, &iov, 1);
	struct wire_header header;

	if (n < 0)
		return errno == EAGAIN ? SERVE_WAIT_READ : SERVE_CLOSE;
	if ((size_t)n < sizeof(header))
		return SERVE_CLOSE;
	memcpy(&header, packet, sizeof(header));
	s->total = header.total_size;
	s->filled = (size_t)n - sizeof(header);
	if (s->filled == s->total)
		return message_answer(s, packet + sizeof(header), s->total);
	if (s->filled > s->total || s->total > MESSAGE_MAX || !buffer_reserve(s, s->total))
		return SERVE_CLOSE;
	memcpy(s->buffer, packet + sizeof(header), s->filled);
	return SERVE_MORE;
}

/* A later packet of a message goes straight into its place. */
static int message_continue(struct session *s)
{
	struct wire_header header;
	struct iovec iov[2] = { { &header, sizeof(header) },
		{ s->buffer + s->filled, s->total - s->filled } };
	ssize_t n = session_receive(s, iov, 2);

	if (n < 0)
		return errno == EAGAIN ? SERVE_WAIT_READ : SERVE_CLOSE;
	if ((size_t)n <= sizeof(header))
		return SERVE_CLOSE;
	s->filled += (size_t)n - sizeof(header);
	return s->filled == s->total ? message_answer(s, s->buffer, s->total) : SERVE_MORE;
}

static int session_serve(struct session *s)
{
	int next;

	if (s->answering)
		return reply_send(s);
	do {
		next = s->filled < s->total ? message_continue(s) : message_begin(s);
	} while (next == SERVE_MORE);
	return next;
}

static void session_close(struct session *s)
{
	close(s->fd);
	free(s->buffer);
	free(s);
}

static void session_ready(int epoll, struct session *s)
{
	bool was_writing = s->answering;
	int next = session_serve(s);
	bool writes = next == SERVE_WAIT_WRITE;
	struct epoll_event event = { .events = writes ? EPOLLOUT : EPOLLIN, .data.ptr = s };

	if (next == SERVE_CLOSE)
		session_close(s);
	else if (writes != was_writing)
		epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event);
}

static int session_accept(int epoll, int listener)
{
	int size = SEND_BUFFER;
	struct session *s = calloc(1, sizeof(*s));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (!s)
		return -ENOMEM;
	s->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (s->fd < 0) {
		free(s);
		return errno == EAGAIN || errno == ECONNABORTED ? 0 : -errno;
	}
	setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (passcred && getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0)
		s->connector = peer.uid;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event) < 0 ? -errno : 0;
}

static int loop_run(int epoll, int listener)
{
	struct epoll_event events[EVENTS_MAX];
	int error = 0;

	while (error == 0) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n && error == 0; i++) {
			if (events[i].data.ptr)
				session_ready(epoll, events[i].data.ptr);
			else
				error = session_accept(epoll, listener);
		}
	}
	return error;
}

static int socket_listen(const char *path, int *ret_fd)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int on = 1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Accepted sockets inherit it. */
	if (passcred && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int floor_run(const char *path)
{
	AUTO_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
	AUTO_CLOSE int listener = -1;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int error = socket_listen(path, &listener);

	if (error < 0)
		return error;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		return -errno;
	return loop_run(epoll, listener);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	int error;

	passcred = argc == 3 && strcmp(argv[1], "--passcred") == 0;
	if (argc != 2 + passcred || argv[argc - 1][0] == '-') {
		fprintf(stderr, "usage: floor [--passcred] SOCKET-PATH\n"
				"drpc-bench starts it; on its own it is of no use.\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	error = floor_run(argv[argc - 1]);
	fprintf(stderr, "floor: %s\n", strerror(-error));
	return 1;
}
