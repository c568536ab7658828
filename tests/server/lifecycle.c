/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Start, shutdown and free, in every order; what a shutdown finishes, cuts and refuses. */
#include "groups.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "house.h"
#include "raw.h"
#include "util/cleanup.h"
#include "write_gate.h"

static bool is_there(void)
{
	return access(house.path, F_OK) == 0;
}

/* Connect and call once, so that the session is open at the server's end. */
static int connect_known(void)
{
	int fd = raw_connect(house.path);

	assert_true(fd >= 0);
	assert_true(raw_call(fd, LAB_ID, LAB_ECHO, 1, "x", 1));
	assert_int_equal(raw_receive_status(fd, 1), DRPC_STATUS_SUCCESS);
	return fd;
}

static void refuse_options(struct drpc_server_options options, int error)
{
	struct drpc_server *server = NULL;

	assert_int_equal(drpc_server_new(lab.service, &options, &server), error);
	assert_null(server);
}

static void test_drpc_server_new_refuses_bad_options(void **state)
{
	const struct drpc_server_options good = house.options;
	struct drpc_server_options o;
	char path[109];

	(void)state;
	house_open(lab_open_policy);
	memset(path, 'x', 108);
	path[108] = '\0';
	o = good;
	o.path = NULL;
	refuse_options(o, -EINVAL);
	o.path = "";
	refuse_options(o, -EINVAL);
	o.path = path;
	refuse_options(o, -ENAMETOOLONG);
	o = good;
	o.mode = 01000;
	refuse_options(o, -EINVAL);
	o = good;
	o.threads = 257;
	refuse_options(o, -EINVAL);
	o = good;
	o.workers = 257;
	refuse_options(o, -EINVAL);
	o = good;
	o.max_message_size = 4095;
	refuse_options(o, -EINVAL);
	o.max_message_size = (uint64_t)INT32_MAX + 1;
	refuse_options(o, -EINVAL);
	o.max_message_size = UINT64_MAX;
	refuse_options(o, -EINVAL);
}

static void test_drpc_server_free_takes_null_and_what_never_started(void **state)
{
	(void)state;
	drpc_server_free(NULL);
	house_open(lab_open_policy);
	drpc_server_free(take_ptr(house.server));
	assert_int_equal(lab.starts, 0);
	assert_int_equal(lab.stops, 0);
}

static void test_drpc_server_bind_makes_the_socket_once(void **state)
{
	struct stat st;

	(void)state;
	house.options.mode = 0640;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_bind(house.server), 0);
	assert_int_equal(drpc_server_bind(house.server), 0);
	assert_int_equal(stat(house.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(lab.starts, 0);
	drpc_server_free(take_ptr(house.server));
	assert_false(is_there());
}

static void test_drpc_server_prepare_starts_modules_and_accepts_nobody(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_prepare(house.server), 0);
	assert_int_equal(drpc_server_prepare(house.server), 0);
	assert_int_equal(lab.starts, 1);
	fd = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_DATA, 4, NULL, 0));
	assert_int_equal(lab.runs, 0);
	assert_int_equal(drpc_server_start(house.server), 0);
	assert_int_equal(raw_receive_status(fd, 4), DRPC_STATUS_SUCCESS);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_int_equal(lab.starts, 1);
	assert_int_equal(lab.stops, 1);
}

static void test_drpc_server_free_ends_what_was_only_prepared(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_prepare(house.server), 0);
	fd = raw_connect(house.path);
	drpc_server_free(take_ptr(house.server));
	assert_true(raw_is_closed(fd));
	assert_false(is_there());
	assert_int_equal(lab.stops, 1);
}

static void test_drpc_server_shutdown_may_be_repeated(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_start();
	fd = connect_known();
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_true(raw_is_closed(fd));
	assert_false(is_there());
	assert_int_equal(lab.stops, 1);
}

/* -ETIMEDOUT says that calls were cut short: there are none. */
static void test_drpc_server_shutdown_needs_no_time_for_no_calls(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		int fd, r;

		house_start();
		fd = connect_known();
		r = drpc_server_shutdown(house.server, 0);
		drpc_server_free(take_ptr(house.server));
		lab_close();
		close(fd);
		assert_int_equal(r, 0);
	}
}

/* A server that is over says so, instead of a success that serves nobody. */
static void test_drpc_server_start_refuses_a_server_that_is_over(void **state)
{
	(void)state;
	house_start();
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_int_not_equal(drpc_server_start(house.server), 0);
	assert_false(is_there());
}

static void test_drpc_server_shutdown_before_a_start_is_final(void **state)
{
	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_int_not_equal(drpc_server_start(house.server), 0);
	assert_int_equal(lab.starts, 0);
}

/* What bind makes, free takes back, in whatever order they are called. */
static void test_drpc_server_free_takes_back_what_was_bound_late(void **state)
{
	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	(void)drpc_server_bind(house.server);
	drpc_server_free(take_ptr(house.server));
	if (is_there()) {
		unlink(house.path);
		close(house.free_fd); /* the listener, which nobody can reach any more */
		fail_msg("the socket outlives its server");
	}
}

static void test_drpc_server_start_tells_a_socket_in_use(void **state)
{
	struct drpc_server *second = NULL;
	AUTO_CLOSE int fd = -1;

	(void)state;
	house_start();
	assert_int_equal(drpc_server_new(lab.service, &house.options, &second), 0);
	assert_int_equal(drpc_server_bind(second), -EADDRINUSE);
	drpc_server_free(second);
	fd = connect_known();
}

static void test_drpc_server_shutdown_leaves_the_file_if_told(void **state)
{
	(void)state;
	house.options.leaves_socket = true;
	house_start();
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_true(is_there());
	unlink(house.path);
}

static void *run(void *server)
{
	return drpc_server_run(server, -1) == 0 ? server : NULL;
}

static void test_drpc_server_run_returns_after_a_shutdown(void **state)
{
	pthread_t thread;
	void *result;
	int fd;

	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_prepare(house.server), 0);
	assert_int_equal(pthread_create(&thread, NULL, run, house.server), 0);
	fd = connect_known();
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	pthread_join(thread, &result);
	assert_non_null(result);
	close(fd);
}

static void test_drpc_server_run_returns_when_time_has_passed(void **state)
{
	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_run(house.server, 0), -ETIMEDOUT);
	assert_int_equal(drpc_server_run(house.server, 10), -ETIMEDOUT);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
}

static void open_own_loop(void)
{
	house.options.threads = 1;
	house.options.serves_in_run = true;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_prepare(house.server), 0);
}

static void test_drpc_server_run_serves_on_the_calling_thread(void **state)
{
	AUTO_CLOSE int fd = -1;

	(void)state;
	open_own_loop();
	fd = raw_connect(house.path);
	assert_true(raw_call(fd, LAB_ID, LAB_ECHO, 1, "x", 1));
	assert_int_equal(lab.runs, 0);
	while (lab.runs == 0)
		assert_int_equal(drpc_server_run(house.server, 1), -ETIMEDOUT);
	assert_int_equal(raw_receive_status(fd, 1), DRPC_STATUS_SUCCESS);
	assert_true(raw_call(fd, LAB_ID, LAB_BLOCKING_ECHO, 2, "x", 1));
	assert_true(raw_call(fd, LAB_ID, LAB_LATER_BEFORE, 3, "x", 1));
	while (lab.runs < 3)
		assert_int_equal(drpc_server_run(house.server, 1), -ETIMEDOUT);
	/* What is under way is finished by the shutdown, in this thread. */
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_int_equal(raw_receive_status(fd, 2), DRPC_STATUS_SUCCESS);
	assert_int_equal(raw_receive_status(fd, 3), DRPC_STATUS_SUCCESS);
	assert_true(raw_is_closed(fd));
}

static void test_drpc_server_run_is_interrupted_now_or_next(void **state)
{
	AUTO_CLOSE int interrupts = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eventfd_t count;
	pthread_t thread;
	void *result;
	int fd;

	(void)state;
	house.options.interrupt_fd = &interrupts;
	open_own_loop();
	eventfd_write(interrupts, 1);
	assert_int_equal(drpc_server_run(house.server, -1), 0);
	eventfd_read(interrupts, &count);
	assert_int_equal(pthread_create(&thread, NULL, run, house.server), 0);
	fd = connect_known();
	eventfd_write(interrupts, 1);
	pthread_join(thread, &result);
	assert_non_null(result);
	assert_int_equal(drpc_server_run(house.server, 0), -ETIMEDOUT);
	eventfd_write(interrupts, 1); /* and nobody is there any more to be interrupted by it */
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	close(fd);
}

static void test_drpc_server_shutdown_ends_a_run_of_another_thread(void **state)
{
	pthread_t thread;
	void *result;
	int fd;

	(void)state;
	open_own_loop();
	assert_int_equal(pthread_create(&thread, NULL, run, house.server), 0);
	fd = connect_known();
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	pthread_join(thread, &result);
	assert_non_null(result);
	assert_true(raw_is_closed(fd));
	close(fd);
}

/* Run @function in a child, because what may be wrong there ends the process: how it ended. */
static int in_child(int (*function)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		/* cmocka would go on with the next test, in the child too. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		alarm(PATIENCE_SECONDS);
		_exit(function());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(house.path);
	return status;
}

static int run_and_shut_down(void)
{
	for (int i = 0; i < 200; i++) {
		struct drpc_server *server;
		pthread_t thread;

		lab_open(lab_open_policy, false);
		if (drpc_server_new(lab.service, &house.options, &server) < 0)
			return 1;
		if (pthread_create(&thread, NULL, run, server) != 0)
			return 1;
		drpc_server_shutdown(server, -1);
		pthread_join(thread, NULL);
		drpc_server_free(server);
		lab_close();
	}
	return 0;
}

static void test_drpc_server_run_may_meet_a_shutdown(void **state)
{
	(void)state;
	assert_int_equal(in_child(run_and_shut_down), 0);
}

static int failing_start(void **ret_data)
{
	(void)ret_data;
	return -ENODEV;
}

static void test_drpc_server_start_ends_when_a_module_does_not_start(void **state)
{
	static const struct drpc_module bad = {
		.abi = DRPC_MODULE_ABI,
		.id = 99,
		.name = "bad",
		.start = failing_start,
	};

	(void)state;
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_register(house.server, &bad, NULL, NULL), 0);
	assert_int_equal(drpc_server_start(house.server), -ENODEV);
	assert_int_equal(lab.starts, 1);
	assert_int_equal(lab.stops, 1);
	assert_false(is_there());
	drpc_server_free(take_ptr(house.server));
}

static void test_drpc_server_register_is_over_after_the_start(void **state)
{
	static const struct drpc_module late = { .abi = DRPC_MODULE_ABI, .id = 98, .name = "late" };

	(void)state;
	house_start();
	assert_int_equal(drpc_server_register(house.server, &late, NULL, NULL), -EBUSY);
}

/* module.h: stop runs after the last call. Another server of the service may still be serving. */
static void test_drpc_server_free_leaves_modules_that_others_serve(void **state)
{
	struct drpc_server *second = NULL;

	(void)state;
	house_start();
	assert_int_equal(drpc_server_new(lab.service, &house.options, &second), 0);
	drpc_server_free(second);
	assert_int_equal(lab.stops, 0);
}

/* A server's limits are its own, whatever used the service before. */
static void test_drpc_server_start_enforces_its_limits_on_a_service_in_use(void **state)
{
	struct drpc_peer *peer;
	uint8_t *answer;
	size_t size;
	int first, second;

	(void)state;
	house.options.max_sessions_per_uid = 1;
	house_open(lab_open_policy);
	assert_int_equal(drpc_peer_new(1, 1, NULL, 0, &peer), 0);
	assert_int_equal(
		drpc_service_process(lab.service, peer, (const uint8_t *)"", 0, &answer, &size), 0);
	free(answer);
	drpc_peer_free(peer);
	assert_int_equal(drpc_server_start(house.server), 0);
	first = connect_known();
	second = raw_connect(house.path);
	raw_call(second, LAB_ID, LAB_ECHO, 1, "x", 1);
	assert_int_equal(raw_receive_status(second, -1), DRPC_STATUS_BUSY);
	close(first);
	close(second);
}

static void test_drpc_server_shutdown_closes_idle_and_silent_sessions(void **state)
{
	AUTO_CLOSE int known = -1, silent = -1, midway = -1;

	(void)state;
	house_start();
	known = connect_known();
	midway = connect_known();
	assert_true(raw_send_chunk(midway, 2 * DRPC_CHUNK_MAX_BYTES, 0));
	silent = raw_connect(house.path);
	assert_int_equal(drpc_server_shutdown(house.server, -1), 0);
	assert_true(raw_is_closed(known));
	assert_true(raw_is_closed(silent));
	assert_true(raw_is_closed(midway));
}

static void test_drpc_server_shutdown_finishes_a_blocking_call(void **state)
{
	AUTO_CLOSE int busy = -1, idle = -1;
	struct house_end end;

	(void)state;
	house_start();
	idle = connect_known();
	busy = connect_known();
	assert_true(raw_call(busy, LAB_ID, LAB_BLOCKING, 2, "y", 1));
	assert_true(lab_wait(&lab.entered));
	house_end_start(&end, -1);
	assert_true(raw_is_closed(idle)); /* it has begun */
	sem_post(&lab.gate);
	assert_int_equal(raw_receive_status(busy, 2), DRPC_STATUS_SUCCESS);
	assert_int_equal(house_end_wait(&end), 0);
	assert_false(lab.was_cancelled);
	assert_true(raw_is_closed(busy));
	assert_false(is_there());
}

/* A response that is going out is finished too. */
static void test_drpc_server_shutdown_finishes_a_response(void **state)
{
	AUTO_CLOSE int busy = -1, idle = -1;
	struct house_end end;

	(void)state;
	house.options.threads = 1;
	house_start();
	idle = connect_known();
	busy = connect_known();
	assert_true(raw_call(busy, LAB_ID, LAB_BIG, 2, "8000000", 7));
	/* The loop has answered when it answers somebody else. */
	while (lab.runs < 3)
		sched_yield();
	house_end_start(&end, -1);
	assert_true(raw_is_closed(idle));
	assert_int_equal(raw_receive_status(busy, 2), DRPC_STATUS_SUCCESS);
	assert_int_equal(house_end_wait(&end), 0);
}

static void test_drpc_server_shutdown_cuts_and_cancels_at_its_deadline(void **state)
{
	AUTO_CLOSE int blocking = -1, later = -1;

	(void)state;
	house_start();
	lab.listens_cancel = lab.answers_cancel = true;
	blocking = connect_known();
	later = connect_known();
	assert_true(raw_call(blocking, LAB_ID, LAB_AWAIT_CANCEL, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_true(raw_call(later, LAB_ID, LAB_LATER_KEPT, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_int_equal(drpc_server_shutdown(house.server, 20), -ETIMEDOUT);
	assert_true(lab_wait(&lab.cancelled));
	assert_true(lab_wait(&lab.cancelled));
	assert_true(raw_is_closed(blocking));
	assert_true(raw_is_closed(later));
	assert_false(is_there());
	assert_int_equal(lab.stops, 1);
}

static void test_drpc_server_shutdown_does_not_begin_what_was_queued(void **state)
{
	AUTO_CLOSE int first = -1, second = -1;

	(void)state;
	house.options.threads = house.options.workers = 1;
	house_start();
	first = connect_known();
	second = connect_known();
	assert_true(raw_call(first, LAB_ID, LAB_AWAIT_CANCEL, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_true(raw_call(second, LAB_ID, LAB_BLOCKING_ECHO, 2, NULL, 0));
	/* With one loop, the answer to a third says that the second was taken. */
	close(connect_known());
	assert_int_equal(lab.runs, 4);
	assert_int_equal(drpc_server_shutdown(house.server, 0), -ETIMEDOUT);
	assert_int_equal(lab.runs, 4);
}

/* The file goes also when a handler stays: nobody is going to answer there. */
static void test_drpc_server_shutdown_removes_the_socket_of_a_stuck_server(void **state)
{
	AUTO_CLOSE int fd = -1;
	bool was_there;

	(void)state;
	house_start();
	fd = connect_known();
	assert_true(raw_call(fd, LAB_ID, LAB_BLOCKING, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_int_equal(drpc_server_shutdown(house.server, 0), -ETIMEDOUT);
	was_there = is_there();
	sem_post(&lab.gate);
	drpc_server_shutdown(house.server, -1); /* only so that the test leaves nothing behind */
	assert_false(was_there);
}

/* loop.h: finish what is under way, take nothing new. */
static void test_drpc_server_shutdown_takes_no_new_call(void **state)
{
	AUTO_CLOSE int busy = -1, idle = -1;
	struct drpc_request *request;
	struct house_end end;
	int status;

	(void)state;
	house.options.threads = 1;
	house_start();
	idle = connect_known();
	busy = connect_known();
	assert_true(raw_call(busy, LAB_ID, LAB_LATER_KEPT, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	house_end_start(&end, -1);
	assert_true(raw_is_closed(idle));
	assert_true(raw_call(busy, LAB_ID, LAB_ECHO, 3, NULL, 0));
	request = lab_take(0);
	assert_non_null(request);
	drpc_request_answer(request, 0);
	status = raw_receive_status(busy, 2);
	assert_int_equal(house_end_wait(&end), 0);
	assert_int_equal(status, DRPC_STATUS_SUCCESS);
	assert_int_equal(lab.runs, 3);
}

static void *answer_gated(void *request)
{
	write_gate_close();
	drpc_request_answer(request, 0);
	return NULL;
}

/*
 * A thread that answers is inside the server until drpc_request_answer() returns. A shutdown that
 * ends before would free the loop under its feet, and let it write to a descriptor that is somebody
 * else's.
 */
static void test_drpc_server_shutdown_waits_for_the_thread_that_answers(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct timespec deadline;
	struct house_end end;
	pthread_t thread;
	bool ended_early;

	(void)state;
	house.options.threads = 1;
	house_start();
	fd = connect_known();
	assert_true(raw_call(fd, LAB_ID, LAB_LATER_KEPT, 2, NULL, 0));
	assert_true(lab_wait(&lab.entered));
	assert_int_equal(pthread_create(&thread, NULL, answer_gated, lab_take(0)), 0);
	write_gate_wait(); /* it is about to wake the loop */
	house_end_start(&end, -1);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += 300000000;
	deadline.tv_sec += deadline.tv_nsec / 1000000000;
	deadline.tv_nsec %= 1000000000;
	ended_early = sem_timedwait(&end.done, &deadline) == 0;
	write_gate_open(ended_early);
	pthread_join(thread, NULL);
	house_end_wait(&end);
	assert_false(ended_early);
}

int lifecycle_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_server_new_refuses_bad_options),
		TEST(test_drpc_server_free_takes_null_and_what_never_started),
		TEST(test_drpc_server_bind_makes_the_socket_once),
		TEST(test_drpc_server_prepare_starts_modules_and_accepts_nobody),
		TEST(test_drpc_server_free_ends_what_was_only_prepared),
		TEST(test_drpc_server_shutdown_may_be_repeated),
		TEST(test_drpc_server_shutdown_needs_no_time_for_no_calls),
		TEST(test_drpc_server_start_refuses_a_server_that_is_over),
		TEST(test_drpc_server_shutdown_before_a_start_is_final),
		TEST(test_drpc_server_free_takes_back_what_was_bound_late),
		TEST(test_drpc_server_start_tells_a_socket_in_use),
		TEST(test_drpc_server_shutdown_leaves_the_file_if_told),
		TEST(test_drpc_server_run_returns_after_a_shutdown),
		TEST(test_drpc_server_run_returns_when_time_has_passed),
		TEST(test_drpc_server_run_serves_on_the_calling_thread),
		TEST(test_drpc_server_run_is_interrupted_now_or_next),
		TEST(test_drpc_server_shutdown_ends_a_run_of_another_thread),
		TEST(test_drpc_server_run_may_meet_a_shutdown),
		TEST(test_drpc_server_start_ends_when_a_module_does_not_start),
		TEST(test_drpc_server_register_is_over_after_the_start),
		TEST(test_drpc_server_free_leaves_modules_that_others_serve),
		TEST(test_drpc_server_start_enforces_its_limits_on_a_service_in_use),
		TEST(test_drpc_server_shutdown_closes_idle_and_silent_sessions),
		TEST(test_drpc_server_shutdown_finishes_a_blocking_call),
		TEST(test_drpc_server_shutdown_finishes_a_response),
		TEST(test_drpc_server_shutdown_cuts_and_cancels_at_its_deadline),
		TEST(test_drpc_server_shutdown_does_not_begin_what_was_queued),
		TEST(test_drpc_server_shutdown_removes_the_socket_of_a_stuck_server),
		TEST(test_drpc_server_shutdown_takes_no_new_call),
		TEST(test_drpc_server_shutdown_waits_for_the_thread_that_answers),
	};

	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
