/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Client: against a server in a thread, over real sockets: answers, refusals, a server that
 * misbehaves, deadlines, cancelling, sharing between threads, and the want of memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include <drpc/client.h>
#include <drpc/status.h>

#include "fail_alloc.h"
#include "server.h"
#include "util/cleanup.h"
#include "wire/packet.h"

/* The server and the client of each test, and the number of the next free descriptor before it. */
static struct {
	struct server server;
	struct drpc_client *client;
	int free_fd;
} test;

static int next_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static int set_up(void **state)
{
	(void)state;
	test.free_fd = next_free_fd();
	server_open(&test.server, 16);
	return drpc_client_new(test.server.path, &test.client);
}

static int tear_down(void **state)
{
	(void)state;
	drpc_client_close(
		test.client); /* ends what the server waits for; its thread may use the client */
	server_close(&test.server);
	drpc_client_free(test.client);
	return next_free_fd() == test.free_fd ? 0 : -1;
}

static void start(void (*serve)(struct server *, int), void *context)
{
	server_start(&test.server, serve, context);
	assert_int_equal(drpc_client_connect(test.client, -1), 0);
}

static int call(
	const void *body, size_t body_size, int timeout_ms, struct drpc_response **ret_response)
{
	return drpc_client_call(test.client, 1001, 7, body, body_size, timeout_ms, ret_response);
}

/* Let a server go that waits for @over, and be sure that it is gone before @over is. */
static void finish(sem_t *over)
{
	sem_post(over);
	server_close(&test.server);
	server_open(&test.server, 16);
	sem_destroy(over);
}

/* A call that must fail: with that error, without a response, and with the connection closed. */
static void assert_call_fails(int timeout_ms, int error)
{
	struct drpc_response *response = NULL;

	assert_int_equal(call("x", 1, timeout_ms, &response), error);
	assert_null(response);
	assert_false(drpc_client_is_connected(test.client));
	assert_int_equal(call("x", 1, timeout_ms, &response), -ENOTCONN);
}

static uint8_t *pattern(size_t size)
{
	uint8_t *bytes = malloc(size > 0 ? size : 1);

	REQUIRE(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	return bytes;
}

/* Sends each body back; expects sequences to count from 1. */
static void serve_echo(struct server *server, int fd)
{
	struct server_call c;

	(void)server;
	for (int64_t sequence = 1; server_receive(fd, &c); sequence++) {
		REQUIRE(c.call.module == 1001);
		REQUIRE(c.call.method == 7);
		REQUIRE(c.call.sequence == sequence);
		server_answer(fd, sequence, DRPC_STATUS_SUCCESS, c.call.body, c.call.body_size);
		free(c.bytes);
	}
}

static void assert_echo(const void *body, size_t size)
{
	struct drpc_response *response = NULL;

	assert_int_equal(call(body, size, -1, &response), 0);
	assert_int_equal(response->status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response->body_size, size);
	if (size > 0)
		assert_memory_equal(response->body, body, size);
	else
		assert_null(response->body);
	drpc_response_free(response);
}

static void test_drpc_client_new_refuses_paths_that_no_socket_can_have(void **state)
{
	char path[109] = { 0 };
	struct drpc_client *client = NULL;

	(void)state;
	assert_int_equal(drpc_client_new("", &client), -EINVAL);
	memset(path, 'x', 108);
	assert_int_equal(drpc_client_new(path, &client), -ENAMETOOLONG);
	assert_null(client);
	path[107] = '\0';
	assert_int_equal(drpc_client_new(path, &client), 0);
	assert_string_equal(drpc_client_socket_path(client), path);
	assert_int_equal(drpc_client_connect(client, -1), -ENOENT);
	drpc_client_free(client);
	drpc_client_free(NULL);
	drpc_response_free(NULL);
}

static void test_drpc_client_connect_says_why_it_cannot(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[80];
	struct drpc_client *client;
	AUTO_CLOSE int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(path, sizeof(path), "%s/other", test.server.dir);
	assert_int_equal(drpc_client_new(path, &client), 0);
	assert_int_equal(drpc_client_connect(client, 1000), -ENOENT);
	assert_false(drpc_client_is_connected(client));
	memcpy(address.sun_path, path, sizeof(path));
	assert_int_equal(bind(stream, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(stream, 1), 0);
	assert_int_equal(drpc_client_connect(client, 1000), -EPROTOTYPE);
	close(take_fd(&stream));
	assert_int_equal(drpc_client_connect(client, 1000), -ECONNREFUSED);
	unlink(path);
	drpc_client_free(client);
}

static void test_drpc_client_connect_reports_a_socket_that_forbids(void **state)
{
	int r;

	(void)state;
	assert_int_equal(chmod(test.server.dir, 0755), 0);
	assert_int_equal(chmod(test.server.path, 0), 0);
	/* root may always: it becomes somebody else for the while. */
	if (geteuid() == 0)
		assert_int_equal(seteuid(12345), 0);
	r = drpc_client_connect(test.client, 1000);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
}

static int connect_raw(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, test.server.path, sizeof(test.server.path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		close(take_fd(&fd));
	return fd;
}

/* Fill the queue of a server that accepts nobody; returns how many connections that took. */
static size_t fill_queue(int *fds, size_t max)
{
	size_t count = 0;

	while (count < max && (fds[count] = connect_raw()) >= 0)
		count++;
	assert_true(count < max);
	return count;
}

static void test_drpc_client_connect_waits_for_a_place_until_the_deadline(void **state)
{
	int fds[64];
	size_t count = fill_queue(fds, ARRAY_SIZE(fds));

	(void)state;
	assert_int_equal(drpc_client_connect(test.client, 0), -ETIMEDOUT);
	assert_int_equal(drpc_client_connect(test.client, 20), -ETIMEDOUT);
	assert_false(drpc_client_is_connected(test.client));
	while (count > 0)
		close(fds[--count]);
}

static void *connect_thread(void *argument)
{
	*(int *)argument = drpc_client_connect(test.client, -1);
	return NULL;
}

/* Whether the thread waits already when a place gets free or not: either way it connects. */
static void test_drpc_client_connect_takes_the_place_that_gets_free(void **state)
{
	int fds[64];
	size_t count = fill_queue(fds, ARRAY_SIZE(fds));
	pthread_t thread;
	int r = -1;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, connect_thread, &r), 0);
	for (size_t i = 0; i < count + 1; i++)
		close(accept(test.server.listener, NULL, NULL));
	pthread_join(thread, NULL);
	assert_int_equal(r, 0);
	assert_true(drpc_client_is_connected(test.client));
	while (count > 0)
		close(fds[--count]);
}

static void test_drpc_client_call_needs_a_connection(void **state)
{
	struct drpc_response *response = NULL;

	(void)state;
	assert_false(drpc_client_is_connected(test.client));
	assert_int_equal(call("x", 1, -1, &response), -ENOTCONN);
	assert_null(response);
	drpc_client_close(test.client);
}

static void test_drpc_client_call_numbers_calls_from_1_on_each_connection(void **state)
{
	struct drpc_call c = { .module = 1001, .method = 7, .sequence = 99 };
	struct drpc_response *response;

	(void)state;
	start(serve_echo, NULL);
	for (int connection = 0; connection < 3; connection++) {
		for (int64_t sequence = 1; sequence <= 3; sequence++) {
			assert_int_equal(drpc_client_send(test.client, &c, -1, &response), 0);
			assert_int_equal(c.sequence, sequence);
			assert_int_equal(response->sequence, sequence);
			drpc_response_free(response);
		}
		drpc_client_close(test.client);
		assert_false(drpc_client_is_connected(test.client));
		assert_int_equal(drpc_client_connect(test.client, -1), 0);
	}
}

static void test_drpc_client_connect_leaves_a_connection_as_it_is(void **state)
{
	(void)state;
	start(serve_echo, NULL);
	assert_echo("a", 1);
	assert_int_equal(drpc_client_connect(test.client, -1), 0);
	assert_echo("b", 1); /* the server expects sequence 2 */
}

static void test_drpc_client_call_carries_bodies_of_each_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 64, 131030, 131048, 131049, 262096, 262097,
		5 * 1024 * 1024 + 3 };

	(void)state;
	start(serve_echo, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *body = pattern(sizes[i]);

		assert_echo(body, sizes[i]);
		free(body);
	}
	/* Around the size at which the whole message, envelope and all, takes one more chunk. */
	for (size_t size = 131020; size < 131050; size++) {
		uint8_t *body = pattern(size);

		assert_echo(body, size);
		free(body);
	}
}

/* The response outlives the next call and the client's connection. */
static void test_drpc_client_call_gives_the_response_memory_of_its_own(void **state)
{
	struct drpc_response *first;

	(void)state;
	start(serve_echo, NULL);
	assert_int_equal(call("first", 5, -1, &first), 0);
	assert_echo("other", 5);
	drpc_client_close(test.client);
	assert_memory_equal(first->body, "first", 5);
	drpc_response_free(first);
}

/* Answers with the next status of all, and always with a body, though only SUCCESS may have one. */
static void serve_statuses(struct server *server, int fd)
{
	struct server_call c;

	(void)server;
	for (int32_t status = 0; server_receive(fd, &c); status++) {
		server_answer(fd, c.call.sequence, status, "body", 4);
		free(c.bytes);
	}
}

static void test_drpc_client_call_hands_out_refusals_without_a_body(void **state)
{
	(void)state;
	start(serve_statuses, NULL);
	for (int32_t status = 0; status <= DRPC_STATUS_BUSY + 1; status++) {
		struct drpc_response *response;

		assert_int_equal(call("x", 1, -1, &response), 0);
		assert_int_equal(response->status, status);
		assert_int_equal(response->body_size, status == DRPC_STATUS_SUCCESS ? 4 : 0);
		assert_int_equal(response->body != NULL, status == DRPC_STATUS_SUCCESS);
		drpc_response_free(response);
	}
	assert_true(drpc_client_is_connected(test.client));
}

struct answer {
	int64_t sequence;
	int32_t status;
};

static void serve_answer(struct server *server, int fd)
{
	struct server_call c;

	while (server_receive(fd, &c)) {
		const struct answer *answer = server->context;

		free(c.bytes);
		server_answer(fd, answer->sequence, answer->status, NULL, 0);
	}
}

static void test_drpc_client_call_takes_a_refusal_without_a_sequence(void **state)
{
	struct answer answer = { DRPC_SEQUENCE_NONE, DRPC_STATUS_FAILED_UNMARSHAL_CALL };
	struct drpc_response *response;

	(void)state;
	start(serve_answer, &answer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(call("x", 1, -1, &response), 0);
		assert_int_equal(response->sequence, DRPC_SEQUENCE_NONE);
		assert_int_equal(response->status, DRPC_STATUS_FAILED_UNMARSHAL_CALL);
		drpc_response_free(response);
	}
}

static void test_drpc_client_call_refuses_the_answer_to_another_call(void **state)
{
	static const struct answer wrong[] = {
		{ DRPC_SEQUENCE_NONE, DRPC_STATUS_SUCCESS },
		{ 0, DRPC_STATUS_SUCCESS },
		{ 2, DRPC_STATUS_SUCCESS },
		{ 2, DRPC_STATUS_FAILURE },
		{ -2, DRPC_STATUS_FAILURE },
		{ ((int64_t)1 << 32) + 1, DRPC_STATUS_SUCCESS },
	};
	struct answer answer;

	(void)state;
	server_start(&test.server, serve_answer, &answer);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		answer = wrong[i];
		assert_int_equal(drpc_client_connect(test.client, -1), 0);
		assert_call_fails(-1, -EPROTO);
	}
}

/* One or two packets, each a header and some data of zeros or, as an envelope, of nonsense. */
struct bad_packets {
	struct packet_header header[2];
	size_t data[2];
	size_t count;
	uint8_t fill;
};

static void serve_bad_packets(struct server *server, int fd)
{
	static uint8_t packet[DRPC_PACKET_MAX_BYTES + 1];
	struct bad_packets bad;
	struct server_call c;

	REQUIRE(server_receive(fd, &c));
	free(c.bytes);
	/* The test goes on to the next once the client has refused this one. */
	bad = *(const struct bad_packets *)server->context;
	for (size_t i = 0; i < bad.count; i++) {
		memset(packet, bad.fill, sizeof(packet));
		memcpy(packet, &bad.header[i], sizeof(bad.header[i]));
		server_send_raw(fd, packet, sizeof(bad.header[i]) + bad.data[i]);
	}
	server_wait_for_end(fd);
}

static void test_drpc_client_call_refuses_malformed_answers(void **state)
{
	static const struct bad_packets bad[] = {
		{ { { 2, 2, 0, 1 } }, { 1 }, 1, 0 },
		{ { { 1, 1, 0, 1 } }, { 2 }, 1, 0 },
		{ { { 1, 1, 0, 0 } }, { 1 }, 1, 0 },
		{ { { 1, 1, 0, 2 } }, { 1 }, 1, 0 },
		{ { { 1, 1, 1, 1 } }, { 1 }, 1, 0 },
		{ { { 131049, 0, 0, 2 } }, { 0 }, 1, 0 },
		{ { { 131049, 131049, 0, 2 } }, { 131049 }, 1, 0 },
		{ { { 67108865, 1, 0, 513 } }, { 1 }, 1, 0 },
		{ { { UINT64_MAX, 1, 0, UINT32_MAX } }, { 1 }, 1, 0 },
		{ { { 131049, 9, 0, 2 }, { 131049, 9, 0, 2 } }, { 9, 9 }, 2, 0 },
		{ { { 131049, 9, 0, 2 }, { 131050, 9, 1, 2 } }, { 9, 9 }, 2, 0 },
		{ { { 131049, 9, 0, 2 }, { 131049, 9, 1, 2 } }, { 9, 9 }, 2, 0 },
		/* Fine packets, of bytes that are no envelope. */
		{ { { 1, 1, 0, 1 } }, { 1 }, 1, 0xff },
		{ { { 40, 40, 0, 1 } }, { 40 }, 1, 0xff },
	};
	struct bad_packets current;

	(void)state;
	server_start(&test.server, serve_bad_packets, &current);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		current = bad[i];
		assert_int_equal(drpc_client_connect(test.client, -1), 0);
		assert_call_fails(-1, -EPROTO);
	}
}

static void serve_less_than_a_header(struct server *server, int fd)
{
	const struct packet_header header = { 0, 0, 0, 1 };
	struct server_call c;

	(void)server;
	REQUIRE(server_receive(fd, &c));
	free(c.bytes);
	server_send_raw(fd, &header, sizeof(header) - 1);
	server_wait_for_end(fd);
}

static void test_drpc_client_call_refuses_less_than_a_header(void **state)
{
	(void)state;
	start(serve_less_than_a_header, NULL);
	assert_call_fails(-1, -EPROTO);
}

static void serve_nothing_and_close(struct server *server, int fd)
{
	struct server_call c;

	(void)server;
	REQUIRE(server_receive(fd, &c));
	free(c.bytes);
}

static void test_drpc_client_call_reports_a_server_that_leaves(void **state)
{
	(void)state;
	start(serve_nothing_and_close, NULL);
	assert_call_fails(-1, -ECONNRESET);
}

static void serve_half_an_answer_and_close(struct server *server, int fd)
{
	struct {
		struct packet_header header;
		uint8_t data[9];
	} packet = { { 131049, 9, 0, 2 }, { 0 } };
	struct server_call c;

	(void)server;
	REQUIRE(server_receive(fd, &c));
	free(c.bytes);
	server_send_raw(fd, &packet, PACKET_HEADER_BYTES + 9);
}

static void test_drpc_client_call_reports_a_server_that_leaves_midway(void **state)
{
	(void)state;
	start(serve_half_an_answer_and_close, NULL);
	assert_call_fails(-1, -ECONNRESET);
}

/* What a stranger meets: an answer at once, and the end. The post says that it is over. */
static void serve_stranger(struct server *server, int fd)
{
	server_answer(fd, DRPC_SEQUENCE_NONE, DRPC_STATUS_PERMISSION_DENIED, NULL, 0);
	REQUIRE(shutdown(fd, SHUT_RDWR) == 0);
	sem_post(server->context);
}

static void test_drpc_client_call_reads_the_answer_that_came_before_the_call(void **state)
{
	struct drpc_response *response;
	sem_t over;

	(void)state;
	sem_init(&over, 0, 0);
	start(serve_stranger, &over);
	sem_wait(&over);
	assert_int_equal(call("x", 1, -1, &response), 0);
	assert_int_equal(response->status, DRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(response->sequence, DRPC_SEQUENCE_NONE);
	drpc_response_free(response);
	assert_false(drpc_client_is_connected(test.client));
	finish(&over);
}

/* Answers after the first packet of a large call, and closes with the rest unread. */
static void serve_early_and_close(struct server *server, int fd)
{
	(void)server;
	server_receive_packet(fd);
	server_answer(fd, DRPC_SEQUENCE_NONE, DRPC_STATUS_BUSY, NULL, 0);
}

/* The same, but stays, and reads no more. */
static void serve_early_and_stay(struct server *server, int fd)
{
	serve_early_and_close(server, fd);
	sem_wait(server->context);
}

static void assert_large_call_is_answered_busy(void)
{
	const size_t size = 8 * 1024 * 1024;
	struct drpc_response *response = NULL;
	uint8_t *body = pattern(size);

	assert_int_equal(call(body, size, -1, &response), 0);
	assert_int_equal(response->status, DRPC_STATUS_BUSY);
	drpc_response_free(response);
	free(body);
	/* The server has half a call of which the rest will not come. */
	assert_false(drpc_client_is_connected(test.client));
}

/* Answers when a call is there, and closes without having read it. */
static void serve_without_reading(struct server *server, int fd)
{
	uint8_t byte;

	(void)server;
	REQUIRE(recv(fd, &byte, sizeof(byte), MSG_PEEK) == 1);
	server_answer(fd, DRPC_SEQUENCE_NONE, DRPC_STATUS_BUSY, NULL, 0);
}

/* The client may be woken by the answer or find the reset first: many times, so that both are met.
 */
static void test_drpc_client_call_takes_the_answer_behind_a_reset(void **state)
{
	(void)state;
	server_start(&test.server, serve_without_reading, NULL);
	for (int i = 0; i < 200; i++) {
		struct drpc_response *response;

		assert_int_equal(drpc_client_connect(test.client, -1), 0);
		assert_int_equal(call("x", 1, -1, &response), 0);
		assert_int_equal(response->status, DRPC_STATUS_BUSY);
		drpc_response_free(response);
		drpc_client_close(test.client);
	}
}

static void test_drpc_client_call_takes_an_early_answer_before_a_reset(void **state)
{
	(void)state;
	start(serve_early_and_close, NULL);
	assert_large_call_is_answered_busy();
}

static void test_drpc_client_call_takes_an_early_answer_while_it_cannot_send(void **state)
{
	sem_t over;

	(void)state;
	sem_init(&over, 0, 0);
	start(serve_early_and_stay, &over);
	assert_large_call_is_answered_busy();
	finish(&over);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Receives calls and answers none. */
static void serve_silence(struct server *server, int fd)
{
	(void)server;
	server_wait_for_end(fd);
}

static void test_drpc_client_call_keeps_its_deadline(void **state)
{
	int64_t begin = now_ms();

	(void)state;
	start(serve_silence, NULL);
	assert_call_fails(30, -ETIMEDOUT);
	assert_true(now_ms() - begin >= 29);
	assert_int_equal(drpc_client_connect(test.client, -1), 0);
	assert_call_fails(0, -ETIMEDOUT);
}

static void serve_half_an_answer(struct server *server, int fd)
{
	serve_half_an_answer_and_close(server, fd);
	server_wait_for_end(fd);
}

static void test_drpc_client_call_keeps_its_deadline_midway(void **state)
{
	(void)state;
	start(serve_half_an_answer, NULL);
	assert_call_fails(30, -ETIMEDOUT);
}

/* Reads nothing until the test is over. */
static void serve_no_reading(struct server *server, int fd)
{
	(void)fd;
	sem_wait(server->context);
}

static void test_drpc_client_call_keeps_its_deadline_while_it_cannot_send(void **state)
{
	const size_t size = 8 * 1024 * 1024;
	struct drpc_response *response = NULL;
	uint8_t *body = pattern(size);
	sem_t over;

	(void)state;
	sem_init(&over, 0, 0);
	start(serve_no_reading, &over);
	assert_int_equal(call(body, size, 30, &response), -ETIMEDOUT);
	assert_null(response);
	assert_false(drpc_client_is_connected(test.client));
	finish(&over);
	free(body);
}

/* Cancels from the server's thread, once the call is under way. */
static void serve_cancel(struct server *server, int fd)
{
	server_receive_packet(fd);
	drpc_client_cancel(server->context);
	server_wait_for_end(fd);
}

static void test_drpc_client_cancel_ends_the_call_under_way(void **state)
{
	(void)state;
	start(serve_cancel, test.client);
	assert_call_fails(-1, -ECANCELED);
}

static void serve_cancel_and_no_reading(struct server *server, int fd)
{
	server_receive_packet(fd);
	drpc_client_cancel(test.client);
	sem_wait(server->context);
}

static void test_drpc_client_cancel_ends_a_call_that_cannot_be_sent(void **state)
{
	const size_t size = 8 * 1024 * 1024;
	struct drpc_response *response = NULL;
	uint8_t *body = pattern(size);
	sem_t over;

	(void)state;
	sem_init(&over, 0, 0);
	start(serve_cancel_and_no_reading, &over);
	assert_int_equal(call(body, size, -1, &response), -ECANCELED);
	assert_null(response);
	finish(&over);
	free(body);
}

static void cancel_on_signal(int number)
{
	(void)number;
	drpc_client_cancel(test.client);
}

static void serve_signal(struct server *server, int fd)
{
	server_receive_packet(fd);
	REQUIRE(pthread_kill(*(pthread_t *)server->context, SIGUSR1) == 0);
	server_wait_for_end(fd);
}

static void test_drpc_client_cancel_works_in_a_signal_handler(void **state)
{
	struct sigaction action = { .sa_handler = cancel_on_signal };
	struct sigaction before;
	pthread_t self = pthread_self();

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	start(serve_signal, &self);
	assert_call_fails(-1, -ECANCELED);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void test_drpc_client_cancel_holds_until_the_next_connect(void **state)
{
	(void)state;
	start(serve_echo, NULL);
	drpc_client_cancel(test.client);
	drpc_client_cancel(test.client);
	assert_call_fails(-1, -ECANCELED);
	assert_int_equal(drpc_client_connect(test.client, -1), 0);
	assert_echo("x", 1);
	drpc_client_cancel(test.client);
	assert_int_equal(drpc_client_connect(test.client, -1), 0);
	assert_echo("x", 1); /* forgotten also by a connect that had nothing else to do */
}

enum { THREADS = 8, CALLS = 100 };

static void *call_many_times(void *argument)
{
	const char *name = argument;

	for (int i = 0; i < CALLS; i++) {
		struct drpc_response *response = NULL;

		REQUIRE(call(name, strlen(name), -1, &response) == 0);
		REQUIRE(response->body_size == strlen(name));
		REQUIRE(memcmp(response->body, name, strlen(name)) == 0);
		drpc_response_free(response);
	}
	return NULL;
}

static void test_drpc_client_call_lets_threads_take_turns(void **state)
{
	static char names[THREADS][16];
	pthread_t threads[THREADS];

	(void)state;
	start(serve_echo, NULL);
	for (int i = 0; i < THREADS; i++) {
		snprintf(names[i], sizeof(names[i]), "%0*d", i + 1, i);
		assert_int_equal(pthread_create(&threads[i], NULL, call_many_times, names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* The deadline is passed already; the call fails only because there is no turn to be had. */
static void *call_without_time(void *argument)
{
	struct drpc_response *response = NULL;

	*(int *)argument = call("x", 1, 0, &response);
	return NULL;
}

static void *call_with_time(void *argument)
{
	struct drpc_response *response = NULL;

	*(int *)argument = call("x", 1, 60000, &response);
	drpc_response_free(response);
	return NULL;
}

static void test_drpc_client_lock_nests_and_keeps_other_threads_off(void **state)
{
	pthread_t thread;
	int r = 0;

	(void)state;
	start(serve_echo, NULL);
	drpc_client_lock(test.client);
	drpc_client_lock(test.client);
	assert_echo("a", 1);
	drpc_client_unlock(test.client);
	assert_int_equal(pthread_create(&thread, NULL, call_without_time, &r), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r, -ETIMEDOUT);
	/* The other thread's failure to get a turn is no reason to close this one's connection. */
	assert_echo("b", 1);
	drpc_client_unlock(test.client);
	assert_int_equal(pthread_create(&thread, NULL, call_with_time, &r), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r, 0);
}

static void serve_sizes(struct server *server, int fd)
{
	struct server_call c;

	(void)server;
	while (server_receive(fd, &c)) {
		server_answer(fd, c.call.sequence, DRPC_STATUS_SUCCESS, &c.call.body_size,
			sizeof(c.call.body_size));
		free(c.bytes);
	}
}

/* Module 0, method 0 and sequence 1 take 2 bytes, the body's tag and length 5. */
static void test_drpc_client_call_applies_the_limit_at_its_edge(void **state)
{
	const size_t largest = DRPC_MESSAGE_MAX_BYTES - 7;
	uint8_t *body = calloc(1, largest + 1);
	struct drpc_response *response = NULL;

	(void)state;
	start(serve_sizes, NULL);
	assert_int_equal(
		drpc_client_call(test.client, 0, 0, body, largest + 1, -1, &response), -EMSGSIZE);
	assert_int_equal(
		drpc_client_call(test.client, 0, 0, body, SIZE_MAX, -1, &response), -EMSGSIZE);
	assert_null(response);
	assert_true(drpc_client_is_connected(test.client));
	assert_int_equal(drpc_client_call(test.client, 0, 0, body, largest, -1, &response), 0);
	assert_int_equal(response->sequence, 1);
	assert_memory_equal(response->body, &largest, sizeof(largest));
	drpc_response_free(response);
	free(body);
}

static void test_drpc_client_call_refuses_a_body_that_is_not_there(void **state)
{
	struct drpc_response *response = NULL;

	(void)state;
	start(serve_echo, NULL);
	assert_int_equal(call(NULL, 1, -1, &response), -EINVAL);
	assert_null(response);
	assert_echo("x", 1); /* as the first call: the other one was none */
}

static void test_drpc_client_new_reports_want_of_memory(void **state)
{
	struct drpc_client *client = NULL;

	(void)state;
	fail_alloc_after(0);
	assert_int_equal(drpc_client_new("/x", &client), -ENOMEM);
	fail_alloc_off();
	assert_null(client);
}

static void test_drpc_client_call_reports_want_of_memory_each_time(void **state)
{
	static const size_t sizes[] = { 0, 1, 131049, 5 * 1024 * 1024 };

	(void)state;
	server_start(&test.server, serve_echo, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *body = pattern(sizes[i]);
		bool failed = true;

		for (size_t n = 0; failed; n++) {
			struct drpc_response *response = NULL;
			int r;

			assert_int_equal(drpc_client_connect(test.client, -1), 0);
			fail_alloc_after(n);
			r = call(body, sizes[i], -1, &response);
			failed = fail_alloc_count() > n;
			fail_alloc_off();
			assert_int_equal(r, failed ? -ENOMEM : 0);
			assert_int_equal(response == NULL, failed);
			assert_int_equal(drpc_client_is_connected(test.client), !failed);
			drpc_response_free(response);
			assert_true(n < 50);
		}
		free(body);
		drpc_client_close(test.client);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_drpc_client_new_refuses_paths_that_no_socket_can_have),
		TEST(test_drpc_client_connect_says_why_it_cannot),
		TEST(test_drpc_client_connect_reports_a_socket_that_forbids),
		TEST(test_drpc_client_connect_waits_for_a_place_until_the_deadline),
		TEST(test_drpc_client_connect_takes_the_place_that_gets_free),
		TEST(test_drpc_client_call_needs_a_connection),
		TEST(test_drpc_client_call_numbers_calls_from_1_on_each_connection),
		TEST(test_drpc_client_connect_leaves_a_connection_as_it_is),
		TEST(test_drpc_client_call_carries_bodies_of_each_size),
		TEST(test_drpc_client_call_gives_the_response_memory_of_its_own),
		TEST(test_drpc_client_call_hands_out_refusals_without_a_body),
		TEST(test_drpc_client_call_takes_a_refusal_without_a_sequence),
		TEST(test_drpc_client_call_refuses_the_answer_to_another_call),
		TEST(test_drpc_client_call_refuses_malformed_answers),
		TEST(test_drpc_client_call_refuses_less_than_a_header),
		TEST(test_drpc_client_call_reports_a_server_that_leaves),
		TEST(test_drpc_client_call_reports_a_server_that_leaves_midway),
		TEST(test_drpc_client_call_reads_the_answer_that_came_before_the_call),
		TEST(test_drpc_client_call_takes_the_answer_behind_a_reset),
		TEST(test_drpc_client_call_takes_an_early_answer_before_a_reset),
		TEST(test_drpc_client_call_takes_an_early_answer_while_it_cannot_send),
		TEST(test_drpc_client_call_keeps_its_deadline),
		TEST(test_drpc_client_call_keeps_its_deadline_midway),
		TEST(test_drpc_client_call_keeps_its_deadline_while_it_cannot_send),
		TEST(test_drpc_client_cancel_ends_the_call_under_way),
		TEST(test_drpc_client_cancel_ends_a_call_that_cannot_be_sent),
		TEST(test_drpc_client_cancel_works_in_a_signal_handler),
		TEST(test_drpc_client_cancel_holds_until_the_next_connect),
		TEST(test_drpc_client_call_lets_threads_take_turns),
		TEST(test_drpc_client_lock_nests_and_keeps_other_threads_off),
		TEST(test_drpc_client_call_applies_the_limit_at_its_edge),
		TEST(test_drpc_client_call_refuses_a_body_that_is_not_there),
		TEST(test_drpc_client_new_reports_want_of_memory),
		TEST(test_drpc_client_call_reports_want_of_memory_each_time),
#undef TEST
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
