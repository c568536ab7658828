/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The life of a call, from its bytes to its Response and its event: every status, every limit. */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "service/service.h"

/* Uid 1000 may call all, 2000 only echo, 3000 is denied by a rule, 4000 is in no rule. */
static const char mixed_policy[] = "[module]\n"
				   "name = lab\n"
				   "id = 7\n"
				   "[allow all]\n"
				   "callers = 1000, 3000\n"
				   "methods = *\n"
				   "[allow few]\n"
				   "callers = 2000\n"
				   "methods = echo\n"
				   "[deny banned]\n"
				   "callers = 3000\n"
				   "methods = *\n";

static struct drpc_peer *peer;
static struct drpc_response response;
static uint8_t *bytes;

static void be(uid_t uid)
{
	drpc_peer_free(peer);
	assert_int_equal(drpc_peer_new(uid, uid, NULL, 0, &peer), 0);
}

static int set_up(void **state)
{
	(void)state;
	lab_open(mixed_policy, false);
	be(1000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	bytes = NULL;
	drpc_peer_free(peer);
	peer = NULL;
	lab_close();
	return 0;
}

/* Another service in place of the test's. */
static void open_again(const char *policy, bool every_call)
{
	lab_close();
	lab_open(policy, every_call);
}

static void process_bytes(const void *message, size_t size)
{
	size_t response_size;

	free(bytes);
	bytes = NULL;
	assert_int_equal(
		drpc_service_process(lab.service, peer, message, size, &bytes, &response_size), 0);
	assert_int_equal(drpc_response_unmarshal(bytes, response_size, &response), 0);
	if (response.status != DRPC_STATUS_SUCCESS)
		assert_int_equal(response.body_size, 0);
}

static void process_call(const struct drpc_call *call)
{
	uint8_t *message;
	size_t size;

	assert_int_equal(drpc_call_marshal(call, &message, &size), 0);
	process_bytes(message, size);
	free(message);
}

static void process(int32_t method, const void *body, size_t size)
{
	process_call(&(struct drpc_call){ .module = LAB_ID,
		.method = method,
		.sequence = 11,
		.body = body,
		.body_size = size });
	assert_int_equal(response.sequence, 11);
}

/* The one event that there was. */
static struct seen_event one_event(enum drpc_event_kind kind)
{
	assert_int_equal(seen_total(&lab.seen), 1);
	assert_int_equal(lab.seen.events[0].kind, kind);
	assert_true(lab.seen.events[0].has_peer);
	assert_int_equal(lab.seen.events[0].uid, drpc_peer_uid(peer));
	return lab.seen.events[0];
}

static void assert_call_event(
	enum drpc_event_kind kind, const char *method, int32_t status, const char *reason)
{
	struct seen_event event = one_event(kind);

	assert_true(event.has_call);
	assert_int_equal(event.sequence, 11);
	assert_string_equal(event.module, "lab");
	assert_string_equal(event.method, method);
	assert_int_equal(event.status, status);
	assert_string_equal(event.reason, reason);
	assert_int_equal(event.has_verdict, kind == DRPC_EVENT_DENY);
}

static void test_drpc_service_process_answers_success_with_a_body(void **state)
{
	(void)state;
	process(LAB_ECHO, "hello", 5);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response.body_size, 5);
	assert_memory_equal(response.body, "hello", 5);
	assert_int_equal(seen_total(&lab.seen), 0);
	process(LAB_ECHO, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response.body_size, 0);
}

static void test_drpc_service_process_unpacks_and_marshals(void **state)
{
	(void)state;
	process(LAB_NEST, "\x12\x03joe", 5);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response.body_size, 6);
	assert_memory_equal(response.body, "\x12\x04joe!", 6);
	process(LAB_NEST, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_memory_equal(response.body, "\x12\x01!", 3);
}

static void test_drpc_service_process_keeps_the_sequence(void **state)
{
	static const int64_t sequences[] = { INT64_MIN, -1, 0, 1, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		process_call(&(struct drpc_call){ .module = LAB_ID, .sequence = sequences[i] });
		assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
		assert_true(response.sequence == sequences[i]);
		process_call(&(struct drpc_call){ .module = 1, .sequence = sequences[i] });
		assert_int_equal(response.status, DRPC_STATUS_UNKNOWN_MODULE);
		assert_true(response.sequence == sequences[i]);
	}
}

static void test_drpc_service_process_answers_unknown_numbers(void **state)
{
	static const int32_t numbers[] = { INT32_MIN, -1, LAB_METHODS, INT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		process_call(&(struct drpc_call){ .module = numbers[i], .sequence = 2 });
		assert_int_equal(response.status, DRPC_STATUS_UNKNOWN_MODULE);
		assert_int_equal(response.sequence, 2);
		process(numbers[i], "x", 1);
		assert_int_equal(response.status, DRPC_STATUS_UNKNOWN_METHOD);
	}
	assert_int_equal(lab.runs, 0);
	assert_int_equal(seen_total(&lab.seen), 0);
}

static void test_drpc_service_process_answers_what_is_no_call(void **state)
{
	struct seen_event event;

	(void)state;
	process_bytes("\x08", 1);
	assert_int_equal(response.status, DRPC_STATUS_FAILED_UNMARSHAL_CALL);
	assert_int_equal(response.sequence, DRPC_SEQUENCE_NONE);
	event = one_event(DRPC_EVENT_FAIL);
	assert_int_equal(event.status, DRPC_STATUS_FAILED_UNMARSHAL_CALL);
	assert_false(event.has_call); /* there is none to speak of */
}

/* An empty message is a Call of all zeros. */
static void test_drpc_service_process_takes_an_empty_call(void **state)
{
	(void)state;
	process_bytes("", 0);
	assert_int_equal(response.status, DRPC_STATUS_UNKNOWN_MODULE);
	assert_int_equal(response.sequence, 0);
}

static void test_drpc_service_process_denies_by_no_rule(void **state)
{
	struct seen_event event;

	(void)state;
	be(4000);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	assert_call_event(DRPC_EVENT_DENY, "echo", DRPC_STATUS_PERMISSION_DENIED, "no rule allows");
	event = one_event(DRPC_EVENT_DENY);
	assert_string_equal(event.rule, "");
	assert_int_equal(event.line, 0);
	assert_int_equal(lab.runs, 0);
}

static void test_drpc_service_process_denies_by_a_rule(void **state)
{
	struct seen_event event;

	(void)state;
	be(3000);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	event = one_event(DRPC_EVENT_DENY);
	assert_string_equal(event.rule, "banned");
	assert_int_equal(event.line, 10);
	assert_string_equal(event.reason, "denied by a rule");
	assert_int_equal(lab.runs, 0);
}

/* Who may call one method learns nothing of the others, not even that there are none. */
static void test_drpc_service_process_denies_methods_that_do_not_exist(void **state)
{
	(void)state;
	be(2000);
	process(LAB_ECHO, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	process(LAB_NEST, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	process(LAB_METHODS, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
}

static void test_drpc_service_process_denies_without_a_policy(void **state)
{
	(void)state;
	open_again(NULL, false);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	assert_call_event(
		DRPC_EVENT_DENY, "echo", DRPC_STATUS_PERMISSION_DENIED, "the module has no policy");
	be(0);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(lab.runs, 0);
}

static void test_drpc_service_process_denies_under_an_unbound_policy(void **state)
{
	(void)state;
	open_again(NULL, false);
	lab.policy = lab_parse(mixed_policy);
	lab.service->modules[0].policy = lab.policy;
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(seen_count(&lab.seen, DRPC_EVENT_DENY), 1);
	assert_int_equal(lab.runs, 0);
}

static void test_drpc_service_process_refuses_a_malformed_payload(void **state)
{
	(void)state;
	process(LAB_NEST, "\x12\x05joe", 5);
	assert_int_equal(response.status, DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD);
	assert_call_event(DRPC_EVENT_FAIL, "nest", DRPC_STATUS_FAILED_UNMARSHAL_PAYLOAD,
		"the payload is not a nest.Nest");
	assert_int_equal(lab.runs, 0);
}

static void test_drpc_service_process_answers_an_incomplete_output(void **state)
{
	(void)state;
	process(LAB_NEED, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILED_MARSHAL);
	assert_call_event(DRPC_EVENT_FAIL, "need", DRPC_STATUS_FAILED_MARSHAL,
		"the output lacks something that its type requires");
}

static void test_drpc_service_process_answers_an_output_that_is_too_large(void **state)
{
	(void)state;
	process(LAB_HUGE, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILED_MARSHAL);
	assert_call_event(DRPC_EVENT_FAIL, "huge", DRPC_STATUS_FAILED_MARSHAL,
		"the output is larger than max-message-size");
}

/* The largest response is one of exactly max-message-size: here 5 bytes of it are the envelope. */
static void test_drpc_service_process_sends_an_output_up_to_the_limit(void **state)
{
	(void)state;
	service_begin(lab.service, &service_default_limits, 4096);
	process(LAB_BIG, "4091", 4);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response.body_size, 4091);
	process(LAB_BIG, "4092", 4);
	assert_int_equal(response.status, DRPC_STATUS_FAILED_MARSHAL);
}

static void test_drpc_service_process_answers_an_errno(void **state)
{
	(void)state;
	process(LAB_ERRNO, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	assert_call_event(DRPC_EVENT_FAIL, "errno", DRPC_STATUS_FAILURE, strerror(EIO));
}

static void test_drpc_request_fail_tells_the_log_and_not_the_peer(void **state)
{
	(void)state;
	process(LAB_SAID, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_BUSY);
	assert_call_event(DRPC_EVENT_FAIL, "said", DRPC_STATUS_BUSY, "disk 3 is busy");
}

static void test_drpc_request_fail_never_succeeds(void **state)
{
	(void)state;
	process(LAB_SAID_SUCCESS, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	assert_call_event(DRPC_EVENT_FAIL, "said-success", DRPC_STATUS_FAILURE, "no success");
}

static void test_drpc_service_process_answers_a_result_that_means_nothing(void **state)
{
	(void)state;
	process(LAB_NONSENSE, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	assert_call_event(DRPC_EVENT_FAIL, "nonsense", DRPC_STATUS_FAILURE,
		"the handler returned 42, which means nothing here");
	process(LAB_PENDS, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
}

static void test_drpc_request_alloc_ends_with_the_budget(void **state)
{
	(void)state;
	process(LAB_HUNGRY, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	assert_call_event(DRPC_EVENT_FAIL, "hungry", DRPC_STATUS_FAILURE, "65 MiB");
}

static void test_drpc_request_pidfd_needs_a_connection(void **state)
{
	(void)state;
	process(LAB_PIDFD, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	assert_call_event(DRPC_EVENT_FAIL, "pidfd", DRPC_STATUS_FAILURE, strerror(EBADF));
}

/* module.h: start runs before the module serves, and what it gives is drpc_request_data(). */
static void test_drpc_service_process_serves_modules_that_were_started(void **state)
{
	(void)state;
	process(LAB_DATA, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(lab.starts, 1);
}

static void test_drpc_service_process_reports_every_call_once_if_asked(void **state)
{
	(void)state;
	open_again(mixed_policy, true);
	process(LAB_ECHO, "x", 1);
	assert_call_event(DRPC_EVENT_CALL, "echo", DRPC_STATUS_SUCCESS,
		drpc_status_text(DRPC_STATUS_SUCCESS));
	process(LAB_ERRNO, NULL, 0);
	assert_int_equal(seen_total(&lab.seen), 2);
	assert_int_equal(lab.seen.events[1].kind, DRPC_EVENT_FAIL);
	be(4000);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(seen_total(&lab.seen), 3);
	assert_int_equal(lab.seen.events[2].kind, DRPC_EVENT_DENY);
	be(1000);
	process(LAB_METHODS, "x", 1);
	assert_int_equal(seen_total(&lab.seen), 4);
	assert_int_equal(lab.seen.events[3].kind, DRPC_EVENT_CALL);
	assert_int_equal(lab.seen.events[3].status, DRPC_STATUS_UNKNOWN_METHOD);
	process_bytes("\x08", 1);
	assert_int_equal(seen_total(&lab.seen), 5);
	process(LAB_LATER_INSIDE, "x", 1);
	assert_int_equal(seen_total(&lab.seen), 6);
	assert_int_equal(lab.seen.events[5].kind, DRPC_EVENT_CALL);
}

static void test_drpc_service_process_needs_no_event_function(void **state)
{
	(void)state;
	drpc_service_on_event(lab.service, NULL, NULL, true);
	process(LAB_ERRNO, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_FAILURE);
	be(4000);
	process(LAB_ECHO, NULL, 0);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
}

#define LIMITS(text)                                                                               \
	"[module]\nname = lab\nid = 7\n[allow all]\ncallers = *\nmethods = *\n[limits]\n" text "\n"

static void test_drpc_service_process_enforces_max_call_size(void **state)
{
	(void)state;
	open_again(LIMITS("max-call-size = 8"), false);
	process(LAB_ECHO, "12345678", 8);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(seen_total(&lab.seen), 0);
	process(LAB_ECHO, "123456789", 9);
	assert_int_equal(response.status, DRPC_STATUS_BUSY);
	assert_call_event(DRPC_EVENT_LIMIT, "echo", DRPC_STATUS_BUSY, "max-call-size");
	assert_int_equal(lab.runs, 1);
}

static void test_drpc_service_process_enforces_calls_per_second(void **state)
{
	struct seen_event event;

	(void)state;
	/* So few that no clock is quick enough to let a third one in. */
	open_again(LIMITS("calls-per-second = 1"), false);
	for (int i = 0; i < 3; i++)
		process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_BUSY);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_LIMIT, 0, &event));
	assert_string_equal(event.reason, "calls-per-second");
	assert_int_equal(event.status, DRPC_STATUS_BUSY);
	be(1001);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
}

struct blocked {
	pthread_t thread;
	struct drpc_response response;
	uint8_t *bytes;
};

static void *process_blocking(void *argument)
{
	static const struct drpc_call call = { .module = LAB_ID, .method = LAB_BLOCKING };
	struct blocked *blocked = argument;
	uint8_t *message;
	size_t size;

	if (drpc_call_marshal(&call, &message, &size) < 0 ||
		drpc_service_process(lab.service, peer, message, size, &blocked->bytes, &size) < 0)
		return NULL;
	free(message);
	return drpc_response_unmarshal(blocked->bytes, size, &blocked->response) == 0 ? argument
										      : NULL;
}

static void start_blocked(struct blocked *blocked)
{
	*blocked = (struct blocked){ .bytes = NULL };
	assert_int_equal(pthread_create(&blocked->thread, NULL, process_blocking, blocked), 0);
	assert_true(lab_wait(&lab.entered));
}

static void end_blocked(struct blocked *blocked)
{
	void *result;

	pthread_join(blocked->thread, &result);
	assert_non_null(result);
	assert_int_equal(blocked->response.status, DRPC_STATUS_SUCCESS);
	free(blocked->bytes);
}

static void test_drpc_service_process_enforces_concurrent_calls(void **state)
{
	struct blocked blocked[2];

	(void)state;
	open_again(LIMITS("concurrent-calls = 2"), false);
	process(LAB_ECHO, "x", 1); /* seals, in this thread */
	start_blocked(&blocked[0]);
	start_blocked(&blocked[1]);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_BUSY);
	assert_call_event(DRPC_EVENT_LIMIT, "echo", DRPC_STATUS_BUSY, "concurrent-calls");
	sem_post(&lab.gate);
	sem_post(&lab.gate);
	end_blocked(&blocked[0]);
	end_blocked(&blocked[1]);
	process(LAB_ECHO, "x", 1);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
}

static void test_drpc_service_process_enforces_max_bytes_per_uid(void **state)
{
	struct quota_limits limits = service_default_limits;
	uint8_t *body;

	(void)state;
	limits.max_bytes_per_uid = 64 * 1024;
	service_begin(lab.service, &limits, DRPC_MESSAGE_MAX_BYTES);
	body = calloc(1, 64 * 1024);
	assert_non_null(body);
	process(LAB_LATER_INSIDE, body, 60 * 1024);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	process(LAB_LATER_INSIDE, body, 64 * 1024);
	assert_int_equal(response.status, DRPC_STATUS_BUSY);
	assert_call_event(DRPC_EVENT_LIMIT, "later-inside", DRPC_STATUS_BUSY, "max-bytes-per-uid");
	process(LAB_LATER_INSIDE, body, 60 * 1024);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	free(body);
}

/* A limit refuses what policy allowed; what policy denies is denied, not counted. */
static void test_drpc_service_process_denies_before_it_limits(void **state)
{
	(void)state;
	open_again("[module]\nname = lab\nid = 7\n[limits]\nmax-call-size = 1\n", false);
	process(LAB_ECHO, "xyz", 3);
	assert_int_equal(response.status, DRPC_STATUS_PERMISSION_DENIED);
}

#define FIRST_THREADS 8

static pthread_barrier_t first_barrier;

static void *process_first(void *argument)
{
	uint8_t *answer = NULL;
	size_t size;

	pthread_barrier_wait(&first_barrier);
	if (drpc_service_process(lab.service, peer, argument, 2, &answer, &size) < 0)
		return NULL;
	free(answer);
	return argument;
}

/* service.h: any thread, also when the first calls come from several at once. */
static void test_drpc_service_process_may_begin_in_many_threads(void **state)
{
	static uint8_t call[] = { 0x08, LAB_ID };

	(void)state;
	for (int round = 0; round < 20; round++) {
		pthread_t threads[FIRST_THREADS];

		open_again(LIMITS("concurrent-calls = 64"), false);
		pthread_barrier_init(&first_barrier, NULL, FIRST_THREADS);
		for (int i = 0; i < FIRST_THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, process_first, call), 0);
		for (int i = 0; i < FIRST_THREADS; i++) {
			void *result;

			pthread_join(threads[i], &result);
			assert_non_null(result);
		}
		pthread_barrier_destroy(&first_barrier);
		assert_int_equal(lab.runs, FIRST_THREADS);
	}
}

int process_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_service_process_answers_success_with_a_body),
		TEST(test_drpc_service_process_unpacks_and_marshals),
		TEST(test_drpc_service_process_keeps_the_sequence),
		TEST(test_drpc_service_process_answers_unknown_numbers),
		TEST(test_drpc_service_process_answers_what_is_no_call),
		TEST(test_drpc_service_process_takes_an_empty_call),
		TEST(test_drpc_service_process_denies_by_no_rule),
		TEST(test_drpc_service_process_denies_by_a_rule),
		TEST(test_drpc_service_process_denies_methods_that_do_not_exist),
		TEST(test_drpc_service_process_denies_without_a_policy),
		TEST(test_drpc_service_process_denies_under_an_unbound_policy),
		TEST(test_drpc_service_process_refuses_a_malformed_payload),
		TEST(test_drpc_service_process_answers_an_incomplete_output),
		TEST(test_drpc_service_process_answers_an_output_that_is_too_large),
		TEST(test_drpc_service_process_sends_an_output_up_to_the_limit),
		TEST(test_drpc_service_process_answers_an_errno),
		TEST(test_drpc_request_fail_tells_the_log_and_not_the_peer),
		TEST(test_drpc_request_fail_never_succeeds),
		TEST(test_drpc_service_process_answers_a_result_that_means_nothing),
		TEST(test_drpc_request_alloc_ends_with_the_budget),
		TEST(test_drpc_request_pidfd_needs_a_connection),
		TEST(test_drpc_service_process_serves_modules_that_were_started),
		TEST(test_drpc_service_process_reports_every_call_once_if_asked),
		TEST(test_drpc_service_process_needs_no_event_function),
		TEST(test_drpc_service_process_enforces_max_call_size),
		TEST(test_drpc_service_process_enforces_calls_per_second),
		TEST(test_drpc_service_process_enforces_concurrent_calls),
		TEST(test_drpc_service_process_enforces_max_bytes_per_uid),
		TEST(test_drpc_service_process_denies_before_it_limits),
		TEST(test_drpc_service_process_may_begin_in_many_threads),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
