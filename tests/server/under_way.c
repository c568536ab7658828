/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Calls under way: several of one session, clients that leave, peers that stop in the middle. */
#include "groups.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"
#include "raw.h"
#include "util/cleanup.h"

static void keep_call(int fd, int64_t sequence)
{
	assert_true(raw_call(fd, LAB_ID, LAB_LATER_KEPT, sequence, "kept", 4));
	assert_true(lab_wait(&lab.entered));
}

static void answer_kept(unsigned index, const char *body)
{
	struct drpc_request *request = lab_take(index);

	assert_non_null(request);
	drpc_request_set_body(request, body, strlen(body));
	drpc_request_answer(request, 0);
}

static void assert_answer(int fd, int64_t sequence, const char *body)
{
	struct raw_answer answer;

	assert_true(raw_receive(fd, &answer));
	assert_int_equal(answer.response.sequence, sequence);
	assert_int_equal(answer.response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(answer.response.body_size, strlen(body));
	assert_memory_equal(answer.response.body, body, strlen(body));
	free(answer.bytes);
}

static void test_drpc_request_answer_matches_by_sequence(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_start();
	fd = raw_connect(house.path);
	keep_call(fd, 10);
	keep_call(fd, 11);
	keep_call(fd, 12);
	assert_true(raw_call(fd, LAB_ID, LAB_ECHO, 13, "now", 3));
	assert_answer(fd, 13, "now");
	answer_kept(2, "twelve");
	assert_answer(fd, 12, "twelve");
	answer_kept(0, "ten");
	assert_answer(fd, 10, "ten");
	answer_kept(1, "eleven");
	assert_answer(fd, 11, "eleven");
}

/* Beyond 64 of them the session is not read until one is answered. */
static void test_drpc_server_bounds_the_calls_of_a_session(void **state)
{
	AUTO_CLOSE int fd = -1;
	int count = -1;

	(void)state;
	house.options.threads = 1;
	house_start();
	fd = raw_connect(house.path);
	for (int64_t i = 0; i < 65; i++)
		assert_true(raw_call(fd, LAB_ID, LAB_LATER_KEPT, i, NULL, 0));
	for (int i = 0; i < 64; i++)
		assert_true(lab_wait(&lab.entered));
	/* The one loop goes round for somebody else, and does not take number 65. */
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int other = raw_connect(house.path);

		assert_true(raw_call(other, LAB_ID, LAB_ECHO, 1, NULL, 0));
		assert_int_equal(raw_receive_status(other, 1), DRPC_STATUS_SUCCESS);
	}
	sem_getvalue(&lab.entered, &count);
	assert_int_equal(count, 0);
	answer_kept(0, "first");
	assert_answer(fd, 0, "first");
	assert_true(lab_wait(&lab.entered));
	for (unsigned i = 1; i < 65; i++) {
		answer_kept(i, "x");
		assert_answer(fd, i, "x");
	}
}

/* One blocking call of a session at a time; its loop serves others meanwhile. */
static void test_drpc_server_goes_on_while_a_method_blocks(void **state)
{
	AUTO_CLOSE int busy = -1, other = -1;

	(void)state;
	house.options.threads = 1;
	house_start();
	busy = raw_connect(house.path);
	other = raw_connect(house.path);
	assert_true(raw_call(busy, LAB_ID, LAB_BLOCKING, 1, "a", 1));
	assert_true(raw_call(busy, LAB_ID, LAB_ECHO, 2, "b", 1));
	assert_true(lab_wait(&lab.entered));
	for (int64_t i = 0; i < 20; i++) {
		assert_true(raw_call(other, LAB_ID, LAB_ECHO, i, "c", 1));
		assert_answer(other, i, "c");
	}
	assert_int_equal(lab.runs, 21);
	sem_post(&lab.gate);
	assert_answer(busy, 1, "a");
	assert_answer(busy, 2, "b");
}

static void test_drpc_server_cancels_the_calls_of_who_leaves(void **state)
{
	int fd;

	(void)state;
	house_start();
	lab.listens_cancel = true;
	fd = raw_connect(house.path);
	keep_call(fd, 1);
	keep_call(fd, 2);
	close(fd);
	assert_true(lab_wait(&lab.cancelled));
	assert_true(lab_wait(&lab.cancelled));
	/* Each is to be answered all the same, and its memory is good until then. */
	for (unsigned i = 0; i < 2; i++) {
		struct drpc_request *request = lab_take(i);

		assert_true(drpc_request_is_cancelled(request));
		assert_memory_equal(drpc_request_call(request)->body, "kept", 4);
		assert_int_equal(drpc_peer_uid(drpc_request_peer(request)), geteuid());
		assert_non_null(drpc_request_alloc(request, 100));
		drpc_request_answer(request, -ECANCELED);
	}
}

static void test_drpc_request_answer_may_come_from_the_cancel_function(void **state)
{
	int fd;

	(void)state;
	house_start();
	lab.listens_cancel = lab.answers_cancel = true;
	fd = raw_connect(house.path);
	for (int64_t i = 0; i < 10; i++)
		keep_call(fd, i);
	close(fd);
	for (int i = 0; i < 10; i++)
		assert_true(lab_wait(&lab.cancelled));
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
}

static void test_drpc_request_is_cancelled_on_a_worker(void **state)
{
	int fd;

	(void)state;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_AWAIT_CANCEL, 1, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	close(fd);
	assert_true(lab_wait(&lab.cancelled));
}

/* A client that is gone before its queued call began: the call never begins. */
static void test_drpc_server_does_not_begin_a_queued_call_of_who_left(void **state)
{
	AUTO_CLOSE int first = -1;
	struct seen_event event;
	int second;

	(void)state;
	house.options.threads = house.options.workers = 1;
	house_start();
	first = raw_connect(house.path);
	assert_true(raw_call(first, LAB_ID, LAB_BLOCKING, 1, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	second = raw_connect(house.path);
	assert_true(raw_call(second, LAB_ID, LAB_BLOCKING_ECHO, 1, NULL, 0));
	close(raw_connect(house.path));
	close(second);
	/* A round of the one loop later, it knows. */
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int other = raw_connect(house.path);

		assert_true(raw_call(other, LAB_ID, LAB_ECHO, 1, NULL, 0));
		assert_int_equal(raw_receive_status(other, 1), DRPC_STATUS_SUCCESS);
	}
	sem_post(&lab.gate);
	assert_int_equal(raw_receive_status(first, 1), DRPC_STATUS_SUCCESS);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_FAIL, 0, &event));
	assert_string_equal(event.method, "blocking-echo");
	assert_string_equal(event.reason, strerror(ECANCELED));
	assert_int_equal(lab.runs, 3);
}

static void test_drpc_server_ends_a_message_that_is_never_complete(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct seen_event event;

	(void)state;
	house.options.message_timeout_ms = 50;
	house_start();
	fd = raw_connect(house.path);
	assert_true(raw_send_chunk(fd, 3 * DRPC_CHUNK_MAX_BYTES, 0));
	assert_true(raw_send_chunk(fd, 3 * DRPC_CHUNK_MAX_BYTES, 1));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_non_null(strstr(event.reason, "message-timeout"));
	assert_int_equal(event.uid, geteuid());
	assert_true(raw_is_closed(fd));
	assert_int_equal(lab.runs, 0);
}

/* An idle session has all the time there is; so has the one beside a half message. */
static void test_drpc_server_lets_idle_sessions_be(void **state)
{
	AUTO_CLOSE int idle = -1, half = -1;
	struct seen_event event;

	(void)state;
	house.options.threads = 1;
	house.options.message_timeout_ms = house.options.send_timeout_ms = 20;
	house_start();
	idle = raw_connect(house.path);
	assert_true(raw_call(idle, LAB_ID, LAB_BIG, 1, "1000000", 7));
	assert_int_equal(raw_receive_status(idle, 1), DRPC_STATUS_SUCCESS);
	half = raw_connect(house.path);
	assert_true(raw_send_chunk(half, 3 * DRPC_CHUNK_MAX_BYTES, 0));
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_true(raw_call(idle, LAB_ID, LAB_ECHO, 2, NULL, 0));
	assert_int_equal(raw_receive_status(idle, 2), DRPC_STATUS_SUCCESS);
}

static void test_drpc_server_ends_a_peer_that_does_not_read(void **state)
{
	AUTO_CLOSE int fd = -1, other = -1;
	struct seen_event event;

	(void)state;
	house.options.threads = 1;
	house.options.send_timeout_ms = 50;
	house_start();
	fd = raw_connect(house.path);
	other = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_BIG, 1, "20000000", 8));
	assert_true(raw_call(other, LAB_ID, LAB_ECHO, 1, NULL, 0));
	assert_int_equal(raw_receive_status(other, 1), DRPC_STATUS_SUCCESS);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_non_null(strstr(event.reason, "send-timeout"));
	assert_true(raw_is_closed(fd));
}

/* Answers that wait for one another in the socket keep their order and their bytes. */
static void test_drpc_server_queues_answers_behind_one_another(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct raw_answer answer;

	(void)state;
	house_start();
	fd = raw_connect(house.path);
	keep_call(fd, 1);
	keep_call(fd, 2);
	assert_true(raw_call(fd, LAB_ID, LAB_BIG, 3, "9000000", 7));
	while (lab.runs < 3)
		poll(NULL, 0, 1);
	answer_kept(0, "one");
	answer_kept(1, "two");
	assert_true(raw_receive(fd, &answer));
	assert_int_equal(answer.response.sequence, 3);
	assert_int_equal(answer.response.body_size, 9000000);
	for (size_t i = 0; i < 9000000; i++)
		assert_true(answer.response.body[i] == 'b');
	free(answer.bytes);
	assert_answer(fd, 1, "one");
	assert_answer(fd, 2, "two");
}

/* The echo of a small body that lay in the loop's own memory, while that memory is used by others.
 */
static void test_drpc_server_holds_back_what_lay_in_the_loops_memory(void **state)
{
	enum { COUNT = 40, SIZE = 120000 };
	AUTO_CLOSE int slow = -1, other = -1;
	uint8_t *body = malloc(SIZE);

	(void)state;
	assert_non_null(body);
	house.options.threads = 1;
	house_start();
	slow = raw_connect(house.path);
	other = raw_connect(house.path);
	/* As many as the sockets take; the server reads on only when its answers are read. */
	for (int i = 0; i < 3; i++) {
		memset(body, 'a' + i, SIZE);
		assert_true(raw_call(slow, LAB_ID, LAB_ECHO, i, body, SIZE));
	}
	for (int i = 0; i < COUNT; i++) {
		memset(body, 'z', SIZE);
		assert_true(raw_call(other, LAB_ID, LAB_ECHO, i, body, SIZE));
		assert_int_equal(raw_receive_status(other, i), DRPC_STATUS_SUCCESS);
	}
	for (int i = 0; i < 3; i++) {
		struct raw_answer answer;

		assert_true(raw_receive(slow, &answer));
		assert_int_equal(answer.response.sequence, i);
		assert_int_equal(answer.response.body_size, SIZE);
		for (size_t j = 0; j < SIZE; j++)
			assert_true(answer.response.body[j] == 'a' + i);
		free(answer.bytes);
	}
	free(body);
}

/* What is unknown to the C library's strerror() is the thread's own text; the report comes later.
 */
static void *answer_oddly(void *request)
{
	drpc_request_answer(request, -4001);
	return NULL;
}

static void test_drpc_request_answer_outlives_the_thread_that_answered(void **state)
{
	AUTO_CLOSE int fd = -1, stop = -1;
	struct seen_event event;
	pthread_t thread;

	(void)state;
	house.options.threads = 1;
	house_start();
	fd = raw_connect(house.path);
	stop = raw_connect(house.path);
	keep_call(fd, 1);
	/* The loop is held up, so that the thread is gone when it takes the answer. */
	assert_true(raw_call(stop, LAB_ID, LAB_STOP, 1, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_int_equal(pthread_create(&thread, NULL, answer_oddly, lab_take(0)), 0);
	pthread_join(thread, NULL);
	sem_post(&lab.gate);
	assert_int_equal(raw_receive_status(fd, 1), DRPC_STATUS_FAILURE);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_FAIL, 0, &event));
	assert_string_equal(event.reason, strerror(4001));
}

int under_way_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_request_answer_matches_by_sequence),
		TEST(test_drpc_server_bounds_the_calls_of_a_session),
		TEST(test_drpc_server_goes_on_while_a_method_blocks),
		TEST(test_drpc_server_cancels_the_calls_of_who_leaves),
		TEST(test_drpc_request_answer_may_come_from_the_cancel_function),
		TEST(test_drpc_request_is_cancelled_on_a_worker),
		TEST(test_drpc_server_does_not_begin_a_queued_call_of_who_left),
		TEST(test_drpc_server_ends_a_message_that_is_never_complete),
		TEST(test_drpc_server_lets_idle_sessions_be),
		TEST(test_drpc_server_ends_a_peer_that_does_not_read),
		TEST(test_drpc_server_queues_answers_behind_one_another),
		TEST(test_drpc_server_holds_back_what_lay_in_the_loops_memory),
		TEST(test_drpc_request_answer_outlives_the_thread_that_answered),
	};

	return cmocka_run_group_tests_name("under way", tests, NULL, NULL);
}
