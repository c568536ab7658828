/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sessions without a server: one end of a socketpair, served by the test's own thread. */
#include "groups.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <drpc/session.h>

#include "fail_alloc.h"
#include "raw.h"
#include "service/lab.h"
#include "util/cleanup.h"

static struct drpc_session *session;
static int peer_fd;

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	raw_be_patient(pair[1]);
}

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	lab_open(lab_open_policy, false);
	make_pair(pair);
	peer_fd = pair[1];
	return drpc_session_new(pair[0], lab.service, &session);
}

static int tear_down(void **state)
{
	(void)state;
	drpc_session_free(take_ptr(session));
	if (peer_fd >= 0)
		close(peer_fd);
	lab_close();
	return 0;
}

static void hang_up(void)
{
	close(take_fd(&peer_fd));
}

static void test_drpc_session_process_answers_one_call(void **state)
{
	struct raw_answer answer;
	static const enum lab_method methods[] = { LAB_ECHO, LAB_BLOCKING_ECHO, LAB_LATER_INSIDE,
		LAB_LATER_AFTER };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		assert_true(raw_call(peer_fd, LAB_ID, (int)methods[i], 3, "body", 4));
		assert_int_equal(drpc_session_process(session, -1), 0);
		assert_true(raw_receive(peer_fd, &answer));
		assert_int_equal(answer.response.sequence, 3);
		assert_int_equal(answer.response.status, DRPC_STATUS_SUCCESS);
		assert_int_equal(answer.response.body_size, 4);
		assert_memory_equal(answer.response.body, "body", 4);
		free(answer.bytes);
	}
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
}

static void test_drpc_session_process_answers_a_refusal(void **state)
{
	(void)state;
	assert_true(raw_call(peer_fd, 9, 0, 5, NULL, 0));
	assert_int_equal(drpc_session_process(session, 0), 0);
	assert_int_equal(raw_receive_status(peer_fd, 5), DRPC_STATUS_UNKNOWN_MODULE);
}

static void test_drpc_session_fd_is_readable_when_there_is_work(void **state)
{
	struct pollfd ready = { .fd = drpc_session_fd(session), .events = POLLIN };

	(void)state;
	assert_int_equal(poll(&ready, 1, 0), 0);
	assert_true(raw_call(peer_fd, 9, 0, 5, NULL, 0));
	assert_int_equal(poll(&ready, 1, 0), 1);
	assert_int_equal(drpc_peer_uid(drpc_session_peer(session)), geteuid());
	assert_int_equal(drpc_peer_pid(drpc_session_peer(session)), getpid());
}

static void test_drpc_session_process_waits_no_longer_than_told(void **state)
{
	(void)state;
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	assert_int_equal(drpc_session_process(session, 20), -ETIMEDOUT);
	assert_true(raw_call(peer_fd, LAB_ID, LAB_ECHO, 1, NULL, 0));
	assert_int_equal(drpc_session_process(session, 0), 0);
	assert_int_equal(raw_receive_status(peer_fd, 1), DRPC_STATUS_SUCCESS);
}

static void test_drpc_session_process_goes_on_with_a_partial_message(void **state)
{
	const size_t total = 2 * DRPC_CHUNK_MAX_BYTES + 1;

	(void)state;
	assert_true(raw_send_chunk(peer_fd, total, 0));
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	assert_true(raw_send_chunk(peer_fd, total, 1));
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	assert_true(raw_send_chunk(peer_fd, total, 2));
	assert_int_equal(drpc_session_process(session, 0), 0);
	assert_int_equal(raw_receive_status(peer_fd, -1), DRPC_STATUS_FAILED_UNMARSHAL_CALL);
}

static void *receive_big(void *argument)
{
	struct raw_answer *answer = argument;

	return raw_receive(peer_fd, answer) ? answer : NULL;
}

static void test_drpc_session_process_goes_on_with_an_unread_answer(void **state)
{
	struct raw_answer answer;
	pthread_t thread;
	void *result;

	(void)state;
	assert_true(raw_call(peer_fd, LAB_ID, LAB_BIG, 1, "10000000", 8));
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	assert_int_equal(lab.runs, 1);
	assert_int_equal(pthread_create(&thread, NULL, receive_big, &answer), 0);
	assert_int_equal(drpc_session_process(session, -1), 0);
	pthread_join(thread, &result);
	assert_non_null(result);
	assert_int_equal(lab.runs, 1);
	assert_int_equal(answer.response.body_size, 10000000);
	for (size_t i = 0; i < 10000000; i++)
		assert_true(answer.response.body[i] == 'b');
	free(answer.bytes);
}

static void test_drpc_session_free_takes_back_an_unread_answer(void **state)
{
	(void)state;
	assert_true(raw_call(peer_fd, LAB_ID, LAB_BIG, 1, "10000000", 8));
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
	drpc_session_free(take_ptr(session));
	drpc_session_free(NULL);
}

static void test_drpc_session_process_tells_the_end(void **state)
{
	(void)state;
	hang_up();
	assert_int_equal(drpc_session_process(session, -1), -ENOTCONN);
}

/* A call that was sent before its sender left is run; its answer has nobody to go to. */
static void test_drpc_session_process_tells_the_end_of_who_does_not_wait(void **state)
{
	(void)state;
	assert_true(raw_call(peer_fd, LAB_ID, LAB_ECHO, 1, NULL, 0));
	hang_up();
	assert_true(drpc_session_process(session, -1) < 0);
}

static void test_drpc_session_process_refuses_broken_packets(void **state)
{
	(void)state;
	assert_true(raw_send(peer_fd, "broken", 6));
	assert_int_equal(drpc_session_process(session, -1), -EPROTO);
	assert_int_equal(drpc_session_process(session, 0), -ETIMEDOUT);
}

/* event.h: why a session ended must be known to somebody; an embedding program has only events. */
static void test_drpc_session_process_reports_why_it_refuses(void **state)
{
	struct seen_event event;

	(void)state;
	assert_true(raw_send(peer_fd, "broken", 6));
	assert_int_equal(drpc_session_process(session, -1), -EPROTO);
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_PROTOCOL), 1);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_PROTOCOL, 0, &event));
	assert_int_equal(event.uid, geteuid());
}

static void test_drpc_session_new_refuses_a_stranger(void **state)
{
	static const char policy[] = "[module]\nname = lab\nid = 7\n"
				     "[allow one]\ncallers = 4000000\nmethods = *\n";
	struct drpc_session *stranger = NULL;
	int pair[2];

	(void)state;
	tear_down(NULL);
	lab_open(policy, false);
	make_pair(pair);
	peer_fd = pair[1];
	assert_int_equal(drpc_session_new(pair[0], lab.service, &stranger), -EACCES);
	assert_null(stranger);
	assert_int_equal(raw_receive_status(peer_fd, -1), DRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(close(pair[0]), 0); /* still the caller's */
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_DENY), 1);
	assert_int_equal(seen_total(&lab.seen), 1);
}

static int refuse_unmapped(void)
{
	struct drpc_session *unmapped = NULL;
	int pair[2], r;

	assert_int_equal(seteuid(65534), 0);
	make_pair(pair);
	assert_int_equal(seteuid(0), 0);
	r = drpc_session_new(pair[0], lab.service, &unmapped);
	assert_null(unmapped);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static void test_drpc_session_new_refuses_an_unmapped_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(refuse_unmapped(), -EACCES);
}

static void test_drpc_session_new_reports_whom_the_system_refuses(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	refuse_unmapped();
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_REFUSE), 1);
}

static void test_drpc_session_new_refuses_what_is_no_socket(void **state)
{
	struct drpc_session *none = NULL;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(drpc_session_new(pipe_fds[0], lab.service, &none), -ENOTSOCK);
	assert_null(none);
	assert_int_equal(close(pipe_fds[0]), 0);
	assert_int_equal(close(pipe_fds[1]), 0);
}

/* module.h: in the handler of a NOW method, -EBADF elsewhere. There is a socket here to ask. */
static void test_drpc_request_pidfd_knows_the_peer_of_a_session(void **state)
{
	(void)state;
	assert_true(raw_call(peer_fd, LAB_ID, LAB_PIDFD, 1, NULL, 0));
	assert_int_equal(drpc_session_process(session, -1), 0);
	assert_int_equal(raw_receive_status(peer_fd, 1), DRPC_STATUS_SUCCESS);
}

/* A packet from before SO_PASSCRED was set has no sender, so nobody knows whether it is the
 * connector. */
static void test_drpc_session_process_refuses_a_packet_without_a_sender(void **state)
{
	struct drpc_session *late = NULL;
	int pair[2], r;

	(void)state;
	make_pair(pair);
	assert_true(raw_call(pair[1], LAB_ID, LAB_ECHO, 1, NULL, 0));
	assert_int_equal(drpc_session_new(pair[0], lab.service, &late), 0);
	r = drpc_session_process(late, -1);
	drpc_session_free(late);
	close(pair[1]);
	assert_int_equal(r, -EPROTO);
}

static void test_drpc_session_new_survives_want_of_memory(void **state)
{
	size_t n;

	(void)state;
	for (n = 0;; n++) {
		struct drpc_session *other = NULL;
		int pair[2], r;
		bool failed;

		make_pair(pair);
		fail_alloc_after(n);
		r = drpc_session_new(pair[0], lab.service, &other);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		if (r < 0)
			assert_int_equal(close(pair[0]), 0);
		drpc_session_free(other);
		close(pair[1]);
		if (!failed)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(other);
	}
	assert_true(n >= 2);
}

int single_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_session_process_answers_one_call),
		TEST(test_drpc_session_process_answers_a_refusal),
		TEST(test_drpc_session_fd_is_readable_when_there_is_work),
		TEST(test_drpc_session_process_waits_no_longer_than_told),
		TEST(test_drpc_session_process_goes_on_with_a_partial_message),
		TEST(test_drpc_session_process_goes_on_with_an_unread_answer),
		TEST(test_drpc_session_free_takes_back_an_unread_answer),
		TEST(test_drpc_session_process_tells_the_end),
		TEST(test_drpc_session_process_tells_the_end_of_who_does_not_wait),
		TEST(test_drpc_session_process_refuses_broken_packets),
		TEST(test_drpc_session_process_reports_why_it_refuses),
		TEST(test_drpc_session_new_refuses_a_stranger),
		TEST(test_drpc_session_new_refuses_an_unmapped_user),
		TEST(test_drpc_session_new_reports_whom_the_system_refuses),
		TEST(test_drpc_session_new_refuses_what_is_no_socket),
		TEST(test_drpc_request_pidfd_knows_the_peer_of_a_session),
		TEST(test_drpc_session_process_refuses_a_packet_without_a_sender),
		TEST(test_drpc_session_new_survives_want_of_memory),
	};

	return cmocka_run_group_tests_name("single", tests, NULL, NULL);
}
