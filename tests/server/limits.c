/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A server's limits, each at its edge: what is answered, what is reported, and that it comes back.
 */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <drpc/client.h>

#include "house.h"
#include "raw.h"
#include "server/workers.h"
#include "util/cleanup.h"

/* Connect, and be served: the status of a first call. */
static int connect_and_call(int *ret_fd)
{
	int status;

	*ret_fd = raw_connect(house.path);
	assert_true(*ret_fd >= 0);
	raw_call(*ret_fd, LAB_ID, LAB_ECHO, 1, "x", 1);
	status = raw_receive_status(*ret_fd, 1);
	if (status == -2)
		status = -3; /* an answer to nobody in particular */
	return status;
}

/* Refused at the door: BUSY to nobody in particular, and closed. */
static void assert_turned_away(const char *limit, size_t index)
{
	AUTO_CLOSE int fd = raw_connect(house.path);
	struct seen_event event;

	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_BUSY);
	assert_true(raw_is_closed(fd));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, index, &event));
	assert_string_equal(event.reason, limit);
	assert_int_equal(event.status, DRPC_STATUS_BUSY);
	assert_int_equal(event.uid, geteuid());
	assert_false(event.has_call);
}

/* The place of one that left is free as soon as the server has seen it. */
static void assert_room_comes_back(void)
{
	int fd, status, tries = 0;

	do {
		status = connect_and_call(&fd);
		close(fd);
	} while (status != DRPC_STATUS_SUCCESS && ++tries < 10000);
	assert_int_equal(status, DRPC_STATUS_SUCCESS);
}

static void test_drpc_server_holds_to_max_sessions_per_uid(void **state)
{
	int fds[3];

	(void)state;
	house.options.max_sessions_per_uid = 3;
	house_start();
	for (int i = 0; i < 3; i++)
		assert_int_equal(connect_and_call(&fds[i]), DRPC_STATUS_SUCCESS);
	assert_turned_away("max-sessions-per-uid", 0);
	assert_turned_away("max-sessions-per-uid", 1);
	close(fds[1]);
	assert_room_comes_back();
	close(fds[0]);
	close(fds[2]);
}

static void test_drpc_server_holds_to_max_sessions(void **state)
{
	unsigned open_to_me = geteuid() == 0 ? 4 : 2;
	int fds[4];

	(void)state;
	house.options.max_sessions = 4;
	house_start();
	for (unsigned i = 0; i < open_to_me; i++)
		assert_int_equal(connect_and_call(&fds[i]), DRPC_STATUS_SUCCESS);
	assert_turned_away("max-sessions", 0);
	close(fds[0]);
	assert_room_comes_back();
	for (unsigned i = 1; i < open_to_me; i++)
		close(fds[i]);
}

/* Whoever uses libdrpc reads BUSY, not a connection that was reset. */
static void test_drpc_server_tells_a_client_that_it_is_full(void **state)
{
	int fd;

	(void)state;
	house.options.max_sessions_per_uid = 1;
	house_start();
	assert_int_equal(connect_and_call(&fd), DRPC_STATUS_SUCCESS);
	for (int i = 0; i < 100; i++) {
		struct drpc_response *response = NULL;
		struct drpc_client *client;
		int r;

		assert_int_equal(drpc_client_new(house.path, &client), 0);
		assert_int_equal(drpc_client_connect(client, -1), 0);
		r = drpc_client_call(client, LAB_ID, LAB_ECHO, "x", 1, -1, &response);
		drpc_client_free(client);
		if (r != 0)
			fail_msg("client number %d: %s", i, strerror(-r));
		assert_int_equal(response->status, DRPC_STATUS_BUSY);
		drpc_response_free(response);
	}
	close(fd);
}

static void test_drpc_server_holds_to_max_bytes_of_a_message_midway(void **state)
{
	AUTO_CLOSE int fd = -1, other = -1;
	struct seen_event event;

	(void)state;
	house.options.max_bytes_per_uid = 300000;
	house_start();
	fd = raw_connect(house.path);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(raw_send_chunk(fd, 1000000, i));
	raw_send_chunk(fd, 1000000, 2);
	assert_int_equal(raw_receive_status(fd, -1), DRPC_STATUS_BUSY);
	assert_true(raw_is_closed(fd));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_string_equal(event.reason, "max-bytes-per-uid");
	/* What it held is given back. */
	assert_int_equal(connect_and_call(&other), DRPC_STATUS_SUCCESS);
	assert_true(raw_send_chunk(other, 250000, 0));
	assert_true(raw_send_chunk(other, 250000, 1));
	assert_int_equal(raw_receive_status(other, -1), DRPC_STATUS_FAILED_UNMARSHAL_CALL);
}

static void test_drpc_server_answers_busy_to_a_call_that_it_cannot_keep(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct seen_event event;
	uint8_t *body = calloc(1, 100000);

	(void)state;
	assert_non_null(body);
	house.options.max_bytes_per_uid = 100000;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_BLOCKING_ECHO, 1, body, 100000));
	assert_int_equal(raw_receive_status(fd, 1), DRPC_STATUS_BUSY);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_string_equal(event.reason, "max-bytes-per-uid");
	assert_int_equal(event.sequence, 1);
	assert_true(raw_call(fd, LAB_ID, LAB_BLOCKING_ECHO, 2, body, 50000));
	assert_int_equal(raw_receive_status(fd, 2), DRPC_STATUS_SUCCESS);
	free(body);
}

static void test_drpc_server_holds_to_max_bytes_of_an_unread_answer(void **state)
{
	AUTO_CLOSE int fd = -1, other = -1;
	struct seen_event event;

	(void)state;
	house.options.max_bytes_per_uid = 1000000;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_BIG, 1, "20000000", 8));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_string_equal(event.reason, "max-bytes-per-uid");
	assert_true(raw_is_closed(fd));
	assert_int_equal(connect_and_call(&other), DRPC_STATUS_SUCCESS);
}

#define LIMITS(text)                                                                               \
	"[module]\nname = lab\nid = 7\n[allow all]\ncallers = *\nmethods = *\n[limits]\n" text "\n"

static void test_drpc_server_holds_to_concurrent_calls_across_sessions(void **state)
{
	AUTO_CLOSE int first = -1, second = -1;

	(void)state;
	house_open(LIMITS("concurrent-calls = 1"));
	assert_int_equal(drpc_server_start(house.server), 0);
	first = raw_connect(house.path);
	second = raw_connect(house.path);
	assert_true(raw_call(first, LAB_ID, LAB_LATER_KEPT, 1, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_true(raw_call(second, LAB_ID, LAB_ECHO, 1, NULL, 0));
	assert_int_equal(raw_receive_status(second, 1), DRPC_STATUS_BUSY);
	drpc_request_answer(lab_take(0), 0);
	assert_int_equal(raw_receive_status(first, 1), DRPC_STATUS_SUCCESS);
	assert_true(raw_call(second, LAB_ID, LAB_ECHO, 2, NULL, 0));
	assert_int_equal(raw_receive_status(second, 2), DRPC_STATUS_SUCCESS);
}

/* A client that leaves gives its places back, and its rate stays. */
static void test_drpc_server_does_not_reset_a_rate_on_reconnecting(void **state)
{
	int fd, busy = 0;

	(void)state;
	house_open(LIMITS("calls-per-second = 1"));
	assert_int_equal(drpc_server_start(house.server), 0);
	for (int i = 0; i < 3; i++) {
		busy += connect_and_call(&fd) == DRPC_STATUS_BUSY;
		close(fd);
	}
	assert_true(busy >= 1);
}

/* One running, a uid's share waiting, one too many. */
static void test_drpc_server_bounds_the_queue_for_blocking_methods(void **state)
{
	enum { CALLS = 1 + WORKERS_QUEUE_MAX_PER_UID + 1 };
	struct rlimit before, limit;
	static int fds[CALLS];
	struct seen_event event;
	int busy = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < 2 * CALLS + 100)
		skip();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	house.options.workers = 1;
	house.options.max_sessions_per_uid = 4096;
	house_start();
	for (int i = 0; i < CALLS; i++) {
		fds[i] = raw_connect(house.path);
		assert_true(fds[i] >= 0);
		assert_true(raw_call(fds[i], LAB_ID, LAB_BLOCKING, i, NULL, 0));
		if (i == 0)
			assert_true(lab_wait(&lab.entered));
	}
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_string_equal(event.reason, "the queue for blocking methods");
	assert_int_equal(event.status, DRPC_STATUS_BUSY);
	for (int i = 0; i < CALLS; i++)
		sem_post(&lab.gate);
	for (int i = 0; i < CALLS; i++) {
		int status = raw_receive_status(fds[i], i);

		busy += status == DRPC_STATUS_BUSY;
		assert_true(status == DRPC_STATUS_BUSY || status == DRPC_STATUS_SUCCESS);
		close(fds[i]);
	}
	assert_int_equal(busy, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Its accept(2) takes a caller before it says EMFILE, and drops it: no kernel does. */
static bool is_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* Out of descriptors: those who wait are accepted when there are some again. */
static void test_drpc_server_pauses_accepting_without_descriptors(void **state)
{
	struct rlimit before, limit;
	struct seen_event event;
	int fd, next;

	(void)state;
	if (is_under_valgrind())
		skip();
	house.options.threads = 1;
	house_start();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	next = dup(0);
	close(next);
	limit = before;
	limit.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = raw_connect(house.path);
	assert_int_equal(fd, next);
	assert_true(raw_call(fd, LAB_ID, LAB_ECHO, 1, "x", 1));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_PAUSE, 0, &event));
	assert_false(event.has_peer);
	assert_string_equal(event.reason, strerror(EMFILE));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(raw_receive_status(fd, 1), DRPC_STATUS_SUCCESS);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_RESUME, 0, &event));
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_PAUSE), 1);
	close(fd);
}

int limits_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_server_holds_to_max_sessions_per_uid),
		TEST(test_drpc_server_holds_to_max_sessions),
		TEST(test_drpc_server_tells_a_client_that_it_is_full),
		TEST(test_drpc_server_holds_to_max_bytes_of_a_message_midway),
		TEST(test_drpc_server_answers_busy_to_a_call_that_it_cannot_keep),
		TEST(test_drpc_server_holds_to_max_bytes_of_an_unread_answer),
		TEST(test_drpc_server_holds_to_concurrent_calls_across_sessions),
		TEST(test_drpc_server_does_not_reset_a_rate_on_reconnecting),
		TEST(test_drpc_server_bounds_the_queue_for_blocking_methods),
		TEST(test_drpc_server_pauses_accepting_without_descriptors),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
