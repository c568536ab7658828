/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Load: builds packets once, then sends them and compares what comes back. See load.h. */
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "util/cleanup.h"
#include "wire.h"

#define ECHO_MODULE 1001
#define SEQUENCE    1
#define HEAD_MAX    32
#define SEND_BUFFER (1024 * 1024)

/* Cut head and body into packets, one behind the other. */
static int packets_build(
	const uint8_t *message, size_t size, uint8_t **ret_packets, size_t *ret_size)
{
	struct wire_header header = { .total_size = size, .total_chunks = wire_chunks_for(size) };
	size_t all = size + header.total_chunks * sizeof(header);
	uint8_t *packets = malloc(all), *at = packets;

	if (!packets)
		return -ENOMEM;
	for (; header.chunk_index < header.total_chunks; header.chunk_index++) {
		header.chunk_size = wire_chunk_size(size, header.chunk_index);
		memcpy(at, &header, sizeof(header));
		memcpy(at + sizeof(header), message + header.chunk_index * WIRE_CHUNK_MAX,
			header.chunk_size);
		at += sizeof(header) + header.chunk_size;
	}
	*ret_packets = packets;
	*ret_size = all;
	return 0;
}

/* @message has HEAD_MAX bytes of room before the body: the head is put right before it. */
static int packets_prepend(uint8_t *message, const uint8_t *head, size_t head_size,
	size_t body_size, uint8_t **ret_packets, size_t *ret_size)
{
	uint8_t *begin = message + HEAD_MAX - head_size;

	memcpy(begin, head, head_size);
	return packets_build(begin, head_size + body_size, ret_packets, ret_size);
}

static size_t call_head(size_t body_size, uint8_t head[HEAD_MAX])
{
	uint8_t *at = head;

	*at++ = WIRE_CALL_MODULE;
	at = wire_varint(at, ECHO_MODULE);
	*at++ = WIRE_CALL_SEQUENCE;
	at = wire_varint(at, SEQUENCE);
	*at++ = WIRE_CALL_BODY;
	at = wire_varint(at, body_size);
	return (size_t)(at - head);
}

static size_t answer_head(size_t body_size, uint8_t head[HEAD_MAX])
{
	uint8_t *at = head;

	*at++ = WIRE_RESPONSE_SEQUENCE;
	at = wire_varint(at, SEQUENCE);
	*at++ = WIRE_RESPONSE_BODY;
	at = wire_varint(at, body_size);
	return (size_t)(at - head);
}

/* Bytes that no shift by a packet maps onto themselves. */
static void body_fill(uint8_t *body, size_t size)
{
	uint32_t state = 1;

	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		body[i] = (uint8_t)(state >> 24);
	}
}

int exchange_init(struct exchange *e, size_t body_size)
{
	AUTO_FREE uint8_t *message = malloc(HEAD_MAX + body_size);
	uint8_t head[HEAD_MAX];
	int error;

	*e = (struct exchange){ .compared = WIRE_PACKET_MAX };
	if (!message)
		return -ENOMEM;
	body_fill(message + HEAD_MAX, body_size);
	error = packets_prepend(
		message, head, call_head(body_size, head), body_size, &e->call, &e->call_size);
	if (error == 0)
		error = packets_prepend(message, head, answer_head(body_size, head), body_size,
			&e->answer, &e->answer_size);
	if (error < 0)
		exchange_deinit(e);
	return error;
}

void exchange_deinit(struct exchange *e)
{
	free(e->call);
	free(e->answer);
	*e = (struct exchange){ 0 };
}

static size_t packet_size_at(size_t offset, size_t all)
{
	return all - offset < WIRE_PACKET_MAX ? all - offset : WIRE_PACKET_MAX;
}

int exchange_send(const struct exchange *e, int fd)
{
	for (size_t at = 0; at < e->call_size; at += WIRE_PACKET_MAX) {
		if (send(fd, e->call + at, packet_size_at(at, e->call_size), MSG_NOSIGNAL) < 0)
			return -errno;
	}
	return 0;
}

int exchange_receive(const struct exchange *e, int fd)
{
	static uint8_t packet[WIRE_PACKET_MAX];

	for (size_t at = 0; at < e->answer_size; at += WIRE_PACKET_MAX) {
		size_t expected = packet_size_at(at, e->answer_size);
		size_t compared = expected < e->compared ? expected : e->compared;
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		if ((size_t)n != expected || memcmp(packet, e->answer + at, compared) != 0)
			return -EPROTO;
	}
	return 0;
}

int exchange_run(const struct exchange *e, int fd)
{
	int error = exchange_send(e, fd);

	return error < 0 ? error : exchange_receive(e, fd);
}

uint64_t load_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int load_connect(const char *path, int *ret_fd)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int load_connect_large(const char *path, int *ret_fd)
{
	int size = SEND_BUFFER;
	int error = load_connect(path, ret_fd);

	if (error == 0)
		setsockopt(*ret_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return error;
}

int load_open(const char *path, const struct exchange *e, size_t count, int *fds)
{
	for (size_t i = 0; i < count; i++) {
		int error = load_connect(path, &fds[i]);

		if (error < 0) {
			load_close(fds, i);
			return error;
		}
		error = exchange_run(e, fds[i]);
		if (error < 0) {
			load_close(fds, i + 1);
			return error;
		}
	}
	return 0;
}

void load_close(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

int load_latency(const struct exchange *e, int fd, size_t calls, uint64_t *ret_ns)
{
	uint64_t before = load_now();

	for (size_t i = 0; i < calls; i++) {
		int error = exchange_run(e, fd);
		uint64_t after = load_now();

		if (error < 0)
			return error;
		ret_ns[i] = after - before;
		before = after;
	}
	return 0;
}

/* Take each caller's answer and send its next call, in the order in which the server answers. */
static int sweep(const struct exchange *e, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = exchange_receive(e, fds[i]);

		if (error == 0)
			error = exchange_send(e, fds[i]);
		if (error < 0)
			return error;
	}
	return 0;
}

int load_throughput(
	const struct exchange *e, const int *fds, size_t count, uint64_t ns, double *ret_rate)
{
	uint64_t begin, elapsed, calls = 0;
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++)
		error = exchange_send(e, fds[i]);
	begin = load_now();
	do {
		if (error == 0)
			error = sweep(e, fds, count);
		elapsed = load_now() - begin;
		calls += count;
	} while (error == 0 && elapsed < ns);
	for (size_t i = 0; i < count && error == 0; i++)
		error = exchange_receive(e, fds[i]);
	if (error == 0)
		*ret_rate = (double)calls * 1e9 / (double)elapsed;
	return error;
}

int load_connects(const struct exchange *e, const char *path, uint64_t ns, double *ret_rate)
{
	uint64_t begin = load_now(), elapsed, calls = 0;
	int error;

	do {
		int fd;

		error = load_connect(path, &fd);
		if (error < 0)
			return error;
		error = exchange_run(e, fd);
		close(fd);
		elapsed = load_now() - begin;
		calls++;
	} while (error == 0 && elapsed < ns);
	if (error == 0)
		*ret_rate = (double)calls * 1e9 / (double)elapsed;
	return error;
}
