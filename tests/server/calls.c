/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Calls through libdrpc's client: sizes, modes, strangers, broken packets, many threads. */
#include "groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <drpc/client.h>

#include "house.h"
#include "raw.h"
#include "util/cleanup.h"

static struct drpc_client *client;

static int tear_down(void **state)
{
	drpc_client_free(take_ptr(client));
	return house_tear_down(state);
}

static void connect_client(void)
{
	assert_int_equal(drpc_client_new(house.path, &client), 0);
	assert_int_equal(drpc_client_connect(client, -1), 0);
}

static uint8_t *pattern(size_t size)
{
	uint8_t *bytes = malloc(size > 0 ? size : 1);

	if (bytes == NULL)
		abort();
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	return bytes;
}

/* 0: the body came back. */
static int echo(struct drpc_client *c, enum lab_method method, const uint8_t *body, size_t size)
{
	struct drpc_response *response;
	int r = drpc_client_call(
		c, LAB_ID, (int)method, body, size, PATIENCE_SECONDS * 1000, &response);

	if (r < 0)
		return r;
	r = response->status;
	if (r == 0 && (response->body_size != size ||
			      (size > 0 && memcmp(response->body, body, size) != 0)))
		r = -EBADMSG;
	drpc_response_free(response);
	return r;
}

static int status_of(enum lab_method method, const void *body, size_t size)
{
	struct drpc_response *response;
	int status;

	assert_int_equal(drpc_client_call(client, LAB_ID, (int)method, body, size,
				 PATIENCE_SECONDS * 1000, &response),
		0);
	status = response->status;
	drpc_response_free(response);
	return status;
}

static const enum lab_method echoes[] = { LAB_ECHO, LAB_BLOCKING_ECHO, LAB_LATER_AT_ONCE,
	LAB_LATER_INSIDE, LAB_LATER_BEFORE, LAB_LATER_AFTER };

static void test_drpc_server_answers_any_size_in_any_mode(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 131000, 131048, 131049, 3000000 };
	uint8_t *body = pattern(3000000);

	(void)state;
	house_start();
	connect_client();
	for (size_t i = 0; i < ARRAY_SIZE(echoes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			assert_int_equal(echo(client, echoes[i], body, sizes[j]), 0);
	}
	assert_int_equal(seen_total(&lab.seen), 0);
	free(body);
}

static void test_drpc_server_answers_the_largest_message(void **state)
{
	const size_t size = DRPC_MESSAGE_MAX_BYTES - 64;
	uint8_t *body = pattern(size);

	(void)state;
	house_start();
	connect_client();
	assert_int_equal(echo(client, LAB_ECHO, body, size), 0);
	free(body);
}

static void test_drpc_server_answers_each_status(void **state)
{
	struct drpc_response *response;

	(void)state;
	house_start();
	connect_client();
	assert_int_equal(status_of(LAB_NEST, "\x12\x03joe", 5), DRPC_STATUS_SUCCESS);
	assert_int_equal(
		status_of(LAB_NEST, "\x12\x05joe", 5), DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD);
	assert_int_equal(status_of(LAB_ERRNO, NULL, 0), DRPC_STATUS_FAILURE);
	assert_int_equal(status_of(LAB_HUGE, NULL, 0), DRPC_STATUS_FAILED_MARSHAL);
	assert_int_equal(status_of(LAB_METHODS, NULL, 0), DRPC_STATUS_UNKNOWN_METHOD);
	assert_int_equal(status_of(LAB_PIDFD, NULL, 0), DRPC_STATUS_SUCCESS);
	assert_int_equal(status_of(LAB_DATA, NULL, 0), DRPC_STATUS_SUCCESS);
	assert_int_equal(drpc_client_call(client, 8, 0, NULL, 0, -1, &response), 0);
	assert_int_equal(response->status, DRPC_STATUS_UNKNOWN_MODULE);
	drpc_response_free(response);
}

/* The session goes on. */
static void test_drpc_server_answers_what_is_no_call(void **state)
{
	static const struct {
		uint64_t total, chunk;
		uint32_t index, chunks;
		uint8_t data[1];
	} __attribute__((packed)) packet = { 1, 1, 0, 1, { 0x08 } };
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_send(fd, &packet, sizeof(packet)));
	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_FAILED_UNMARSHAL_CALL);
	assert_true(raw_call(fd, LAB_ID, LAB_ECHO, INT64_MIN, NULL, 0));
	assert_int_equal(raw_receive_status(fd, INT64_MIN), DRPC_STATUS_SUCCESS);
}

static void test_drpc_server_ends_the_session_of_a_broken_packet_only(void **state)
{
	AUTO_CLOSE int bad = -1, good = -1;
	struct seen_event event;

	(void)state;
	house.options.threads = 1;
	house_start();
	bad = raw_connect(house.path);
	good = raw_connect(house.path);
	assert_true(raw_send(bad, "broken", 6));
	assert_true(raw_is_closed(bad));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_PROTOCOL, 0, &event));
	assert_int_equal(event.uid, geteuid());
	assert_false(event.has_call);
	assert_true(raw_call(good, LAB_ID, LAB_ECHO, 1, NULL, 0));
	assert_int_equal(raw_receive_status(good, 1), DRPC_STATUS_SUCCESS);
	assert_int_equal(seen_total(&lab.seen), 1);
}

static void test_drpc_server_refuses_a_message_above_its_limit(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct seen_event event;

	(void)state;
	house.options.max_message_size = 300000;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_send_chunk(fd, 300001, 0));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_PROTOCOL, 0, &event));
	assert_true(raw_is_closed(fd));
}

static void test_drpc_server_lets_a_client_go_without_a_word(void **state)
{
	(void)state;
	house.options.threads = 1;
	house_start();
	for (int i = 0; i < 50; i++)
		close(raw_connect(house.path));
	connect_client();
	assert_int_equal(status_of(LAB_ECHO, NULL, 0), DRPC_STATUS_SUCCESS);
	assert_int_equal(seen_total(&lab.seen), 0);
}

static const char strangers[] = "[module]\nname = lab\nid = 7\n"
				"[allow one]\ncallers = 4000000\nmethods = *\n";

static void test_drpc_server_turns_a_stranger_away(void **state)
{
	struct drpc_response *response;
	struct seen_event event;

	(void)state;
	house_open(strangers);
	assert_int_equal(drpc_server_start(house.server), 0);
	connect_client();
	assert_int_equal(drpc_client_call(client, LAB_ID, LAB_ECHO, "x", 1, -1, &response), 0);
	assert_int_equal(response->status, DRPC_STATUS_PERMISSION_DENIED);
	drpc_response_free(response);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_DENY, 0, &event));
	assert_int_equal(event.uid, geteuid());
	assert_false(event.has_call);
	assert_int_equal(event.status, DRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(lab.runs, 0);
}

static void test_drpc_server_parses_nothing_of_a_stranger(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_open(strangers);
	assert_int_equal(drpc_server_start(house.server), 0);
	fd = raw_connect(house.path);
	raw_send(fd, "broken", 6);
	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_PERMISSION_DENIED);
	assert_true(raw_is_closed(fd));
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_DENY), 1);
	assert_int_equal(seen_total(&lab.seen), 1);
}

/* One who says nothing is not waited for. */
static void test_drpc_server_closes_a_silent_stranger(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_open(strangers);
	assert_int_equal(drpc_server_start(house.server), 0);
	fd = raw_connect(house.path);
	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_PERMISSION_DENIED);
	assert_true(raw_is_closed(fd));
}

/* A stranger with a large call gets the same answer, whenever the server looked. */
static void test_drpc_server_answers_a_stranger_whatever_it_sends(void **state)
{
	uint8_t *body = pattern(1000000);

	(void)state;
	house_open(strangers);
	assert_int_equal(drpc_server_start(house.server), 0);
	for (int i = 0; i < 50; i++) {
		struct drpc_response *response = NULL;
		int r;

		connect_client();
		r = drpc_client_call(client, LAB_ID, LAB_ECHO, body, 1000000, -1, &response);
		drpc_client_free(take_ptr(client));
		if (r != 0)
			fail_msg("stranger number %d: %s", i, strerror(-r));
		assert_int_equal(response->status, DRPC_STATUS_PERMISSION_DENIED);
		drpc_response_free(response);
	}
	free(body);
}

/* The system's refusal: the overflow uid stands for nobody. */
static void test_drpc_server_refuses_an_unmapped_user(void **state)
{
	struct seen_event event;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	house.options.mode = 0666;
	house_start();
	assert_int_equal(chmod(house.dir, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	fd = raw_connect(house.path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_PERMISSION_DENIED);
	assert_true(raw_is_closed(fd));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_REFUSE, 0, &event));
	assert_int_equal(event.uid, 65534);
	assert_int_equal(seen_total(&lab.seen), 1);
	close(fd);
}

/* One client of many: every mode, small and large, with a new connection now and then. */
static void *call_much(void *argument)
{
	const uintptr_t number = (uintptr_t)argument;
	uint8_t *body = pattern(400000);
	struct drpc_client *own = NULL;
	int r = drpc_client_new(house.path, &own);

	for (size_t i = 0; i < 60 && r == 0; i++) {
		size_t size = i % 10 == 0 ? 400000 : (i * 977 + number) % 3000;

		r = drpc_client_connect(own, PATIENCE_SECONDS * 1000);
		if (r == 0)
			r = echo(own, echoes[(i + number) % ARRAY_SIZE(echoes)], body, size);
		if (i % 7 == 3)
			drpc_client_close(own);
	}
	if (r != 0)
		fprintf(stderr, "client %zu: %d\n", (size_t)number, r);
	drpc_client_free(own);
	free(body);
	return r == 0 ? &lab : NULL;
}

static void test_drpc_server_serves_many_threads_at_once(void **state)
{
	pthread_t threads[8];

	(void)state;
	house.options.threads = 4;
	house_start();
	for (uintptr_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_much, (void *)i), 0);
	for (size_t i = 0; i < 8; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_non_null(result);
	}
	assert_int_equal(lab.runs, 8 * 60);
	assert_int_equal(seen_total(&lab.seen), 0);
}

/* Two servers of one process, and the process their client. */
static void test_drpc_server_shares_a_process_with_clients_and_servers(void **state)
{
	char path[64];
	struct drpc_server_options options;
	struct drpc_server *second = NULL;
	struct drpc_client *other = NULL;

	(void)state;
	house_start();
	connect_client();
	snprintf(path, sizeof(path), "%s/second", house.dir);
	options = house.options;
	options.path = path;
	assert_int_equal(drpc_server_new(lab.service, &options, &second), 0);
	assert_int_equal(drpc_server_start(second), 0);
	assert_int_equal(lab.starts, 1);
	assert_int_equal(drpc_client_new(path, &other), 0);
	assert_int_equal(drpc_client_connect(other, -1), 0);
	assert_int_equal(echo(client, LAB_BLOCKING_ECHO, (const uint8_t *)"x", 1), 0);
	assert_int_equal(echo(other, LAB_BLOCKING_ECHO, (const uint8_t *)"x", 1), 0);
	drpc_client_free(other);
	drpc_server_free(second);
	assert_int_equal(echo(client, LAB_ECHO, (const uint8_t *)"x", 1), 0);
}

int calls_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_server_answers_any_size_in_any_mode),
		TEST(test_drpc_server_answers_the_largest_message),
		TEST(test_drpc_server_answers_each_status),
		TEST(test_drpc_server_answers_what_is_no_call),
		TEST(test_drpc_server_ends_the_session_of_a_broken_packet_only),
		TEST(test_drpc_server_refuses_a_message_above_its_limit),
		TEST(test_drpc_server_lets_a_client_go_without_a_word),
		TEST(test_drpc_server_turns_a_stranger_away),
		TEST(test_drpc_server_parses_nothing_of_a_stranger),
		TEST(test_drpc_server_closes_a_silent_stranger),
		TEST(test_drpc_server_answers_a_stranger_whatever_it_sends),
		TEST(test_drpc_server_refuses_an_unmapped_user),
		TEST(test_drpc_server_serves_many_threads_at_once),
		TEST(test_drpc_server_shares_a_process_with_clients_and_servers),
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
