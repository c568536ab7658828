/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Calls that are answered by others than their handler's thread, kept requests, and cancelling. */
#include "groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "service/request.h"
#include "util/cleanup.h"

/* A request as the server's sessions keep one. */
static struct {
	struct drpc_peer *peer;
	struct quota_user *user;
	struct arena arena;
	_Atomic unsigned answers;
} owner;

static int set_up(void **state)
{
	(void)state;
	lab_open(lab_open_policy, false);
	service_begin(lab.service, &service_default_limits, DRPC_MESSAGE_MAX_BYTES);
	owner.answers = 0;
	arena_init(&owner.arena);
	if (drpc_peer_new(1000, 1000, NULL, 0, &owner.peer) < 0)
		return -1;
	return quota_open_session(&lab.service->quota, 1000, 0, &owner.user) == NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	quota_close_session(&lab.service->quota, owner.user, 0);
	arena_deinit(&owner.arena);
	drpc_peer_free(owner.peer);
	lab_close();
	return 0;
}

static void count_answer(struct kept *kept)
{
	(void)kept;
	owner.answers++;
}

static struct drpc_request judge(enum lab_method method, const void *body, size_t size,
	uint8_t **ret_message, size_t *ret_size)
{
	const struct drpc_call call = { .module = LAB_ID,
		.method = (int)method,
		.sequence = 5,
		.body = body,
		.body_size = size };
	struct drpc_request request;

	assert_int_equal(drpc_call_marshal(&call, ret_message, ret_size), 0);
	request_begin(&request, lab.service, owner.peer, owner.user, &owner.arena, -1);
	assert_true(request_judge(&request, *ret_message, *ret_size, 0));
	return request;
}

/* A call that was judged and kept; the message that it came in is gone. */
static struct kept *keep(enum lab_method method, const char *body)
{
	struct message message = { 0 };
	struct drpc_request request;
	struct kept *kept = NULL;
	uint8_t *bytes;

	request = judge(method, body, strlen(body), &bytes, &message.size);
	message.data = bytes;
	assert_int_equal(request_keep(&request, &message, &kept), 0);
	memset(bytes, 0xee, message.size);
	free(bytes);
	kept->answered = count_answer;
	return kept;
}

static void end(struct kept *kept)
{
	request_end(&kept->request);
	kept_free(kept);
}

static void assert_answer(struct kept *kept, const char *body)
{
	const struct drpc_response *response = &kept->request.response;

	assert_int_equal(response->sequence, 5);
	assert_int_equal(response->status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response->body_size, strlen(body));
	assert_memory_equal(response->body, body, strlen(body));
}

static void process_echo(enum lab_method method)
{
	const struct drpc_call call = {
		.module = LAB_ID,
		.method = (int)method,
		.sequence = 9,
		.body = (const uint8_t *)"later",
		.body_size = 5,
	};
	struct drpc_response response;
	uint8_t *message, *answer;
	size_t size;

	assert_int_equal(drpc_call_marshal(&call, &message, &size), 0);
	assert_int_equal(
		drpc_service_process(lab.service, owner.peer, message, size, &answer, &size), 0);
	assert_int_equal(drpc_response_unmarshal(answer, size, &response), 0);
	assert_int_equal(response.sequence, 9);
	assert_int_equal(response.status, DRPC_STATUS_SUCCESS);
	assert_int_equal(response.body_size, 5);
	assert_memory_equal(response.body, "later", 5);
	free(message);
	free(answer);
}

static void test_drpc_service_process_waits_for_an_answer(void **state)
{
	(void)state;
	process_echo(LAB_LATER_AT_ONCE);
	process_echo(LAB_LATER_INSIDE);
	process_echo(LAB_LATER_BEFORE);
	for (int i = 0; i < 100; i++)
		process_echo(LAB_LATER_AFTER);
	process_echo(LAB_BLOCKING_ECHO);
	assert_int_equal(seen_total(&lab.seen), 0);
}

static void test_request_keep_copies_a_view(void **state)
{
	struct kept *kept = keep(LAB_LATER_AT_ONCE, "a view");

	(void)state;
	assert_true(request_run(&kept->request));
	assert_answer(kept, "a view");
	end(kept);
	kept = keep(LAB_LATER_AT_ONCE, "");
	assert_true(request_run(&kept->request));
	assert_answer(kept, "");
	end(kept);
}

static void test_request_keep_takes_a_buffer_over(void **state)
{
	struct message message = { 0 };
	struct drpc_request request;
	struct kept *kept = NULL;
	const uint8_t *body;

	(void)state;
	request = judge(LAB_LATER_AT_ONCE, "a buffer", 8, &message.buffer, &message.size);
	message.data = message.buffer;
	body = request.call.body;
	assert_int_equal(request_keep(&request, &message, &kept), 0);
	assert_null(message.buffer);
	assert_ptr_equal(drpc_request_call(&kept->request)->body, body);
	assert_true(request_run(&kept->request));
	assert_answer(kept, "a buffer");
	end(kept);
}

static void test_request_keep_charges_until_it_is_freed(void **state)
{
	uint64_t before = owner.user->bytes;
	struct kept *kept = keep(LAB_LATER_AT_ONCE, "a call");

	(void)state;
	assert_true(owner.user->bytes >= before + sizeof(*kept) + 6);
	end(kept);
	assert_int_equal(owner.user->bytes, before);
}

static void test_request_keep_leaves_everything_at_the_limit(void **state)
{
	struct message message = { 0 };
	struct drpc_request request;
	struct kept *kept = NULL;
	uint64_t before;

	(void)state;
	request = judge(LAB_LATER_AT_ONCE, "a buffer", 8, &message.buffer, &message.size);
	message.data = message.buffer;
	message.capacity = message.size + 100; /* what is held, not what is used, is charged */
	lab.service->quota.max_bytes_per_uid = sizeof(struct kept) + message.capacity - 1;
	before = owner.user->bytes;
	assert_int_equal(request_keep(&request, &message, &kept), -ENOBUFS);
	assert_null(kept);
	assert_ptr_equal(message.buffer, message.data);
	assert_int_equal(owner.user->bytes, before);
	lab.service->quota.max_bytes_per_uid++;
	assert_int_equal(request_keep(&request, &message, &kept), 0);
	end(kept);
}

static void test_drpc_request_pidfd_refuses_a_kept_request(void **state)
{
	struct kept *kept = keep(LAB_LATER_AT_ONCE, "");

	(void)state;
	assert_int_equal(drpc_request_pidfd(&kept->request), -EBADF);
	end(kept);
}

static struct kept *run_pending(const char *body)
{
	struct kept *kept = keep(LAB_LATER_KEPT, body);

	assert_false(request_run(&kept->request));
	assert_int_equal(owner.answers, 0);
	assert_false(drpc_request_is_cancelled(&kept->request));
	return kept;
}

static int cancel_calls(void)
{
	int count;

	sem_getvalue(&lab.cancelled, &count);
	return count;
}

static void test_kept_cancel_tells_the_handler_once(void **state)
{
	struct kept *kept;

	(void)state;
	lab.listens_cancel = true;
	kept = run_pending("x");
	kept_cancel(kept);
	kept_cancel(kept);
	assert_int_equal(cancel_calls(), 1);
	assert_true(drpc_request_is_cancelled(&kept->request));
	assert_int_equal(owner.answers, 0);
	drpc_request_answer(&kept->request, -ECANCELED);
	assert_int_equal(owner.answers, 1);
	assert_int_equal(kept->request.response.status, DRPC_STATUS_FAILURE);
	end(kept);
}

static void test_kept_cancel_lets_its_function_answer(void **state)
{
	struct kept *kept;

	(void)state;
	lab.listens_cancel = lab.answers_cancel = true;
	kept = run_pending("x");
	kept_cancel(kept);
	assert_int_equal(owner.answers, 1);
	assert_int_equal(cancel_calls(), 1);
	kept_cancel(kept);
	assert_int_equal(cancel_calls(), 1);
	assert_null(lab_take(0));
	end(kept);
}

static void test_kept_cancel_is_silent_after_the_answer(void **state)
{
	struct kept *kept;

	(void)state;
	lab.listens_cancel = true;
	kept = run_pending("x");
	drpc_request_answer(&kept->request, 0);
	kept_cancel(kept);
	assert_int_equal(cancel_calls(), 0);
	assert_int_equal(owner.answers, 1);
	end(kept);
}

static void test_kept_cancel_needs_no_function(void **state)
{
	struct kept *kept = run_pending("x");

	(void)state;
	kept_cancel(kept);
	assert_true(drpc_request_is_cancelled(&kept->request));
	drpc_request_answer(&kept->request, 0);
	end(kept);
}

static void test_drpc_request_on_cancel_is_for_later_methods(void **state)
{
	struct kept *kept = keep(LAB_BLOCKING_ECHO, "x");
	struct drpc_request request;
	uint8_t *bytes;
	size_t size;

	(void)state;
	assert_int_equal(drpc_request_on_cancel(&kept->request, NULL, NULL), -EINVAL);
	end(kept);
	request = judge(LAB_ECHO, "x", 1, &bytes, &size);
	assert_int_equal(drpc_request_on_cancel(&request, NULL, NULL), -EINVAL);
	assert_false(drpc_request_is_cancelled(&request));
	request_end(&request);
	free(bytes);
}

static void *answer_thread(void *request)
{
	drpc_request_answer(request, 0);
	return NULL;
}

/* Either the cancel function came first, or it never comes. */
static void test_kept_cancel_and_an_answer_may_meet(void **state)
{
	(void)state;
	lab.listens_cancel = true;
	for (int i = 0; i < 300; i++) {
		struct kept *kept;
		pthread_t thread;

		lab.kept_count = 0;
		owner.answers = 0;
		kept = run_pending("x");
		assert_int_equal(pthread_create(&thread, NULL, answer_thread, &kept->request), 0);
		kept_cancel(kept);
		pthread_join(thread, NULL);
		assert_int_equal(owner.answers, 1);
		assert_int_equal(kept->request.response.status, DRPC_STATUS_SUCCESS);
		end(kept);
	}
	assert_true(cancel_calls() <= 300);
}

/* module.h: the function is registered in the handler, when others may have the request already. */
static int gives_then_listens(struct drpc_request *request, const void *input, void *output);

static struct {
	pthread_t thread;
} given;

static void never(struct drpc_request *request, void *data)
{
	(void)request;
	(void)data;
	abort();
}

static int gives_then_listens(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	if (pthread_create(&given.thread, NULL, answer_thread, request) != 0)
		return -EAGAIN;
	drpc_request_on_cancel(request, never, NULL);
	return DRPC_PENDING;
}

static void test_drpc_request_on_cancel_may_meet_an_answer(void **state)
{
	static const struct drpc_method method = {
		.id = LAB_LATER_KEPT,
		.name = "given",
		.mode = DRPC_METHOD_LATER,
		.handler = gives_then_listens,
	};

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct kept *kept = keep(LAB_LATER_KEPT, "x");

		owner.answers = 0;
		kept->request.method = &method;
		assert_false(request_run(&kept->request));
		pthread_join(given.thread, NULL);
		kept_cancel(kept); /* the call is answered: never() must not run */
		assert_int_equal(owner.answers, 1);
		end(kept);
	}
}

static void test_drpc_request_answer_refuses_a_result_that_means_nothing(void **state)
{
	struct kept *kept = run_pending("x");
	struct seen_event event;

	(void)state;
	drpc_request_answer(&kept->request, DRPC_PENDING);
	assert_int_equal(kept->request.response.status, DRPC_STATUS_FAILURE);
	end(kept);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_FAIL, 0, &event));
	assert_string_equal(event.reason, "the handler returned 1, which means nothing here");
}

/*
 * What strerror() gives for a number that is no errno is the thread's own, and gone with its next
 * one: a call that is reported later, on another thread, needs words of its own.
 */
static void test_drpc_request_answer_keeps_the_words_of_an_odd_errno(void **state)
{
	struct kept *first = run_pending("x"), *second;
	struct seen_event event;
	char expected[64];

	(void)state;
	snprintf(expected, sizeof(expected), "%s", strerror(4001));
	drpc_request_answer(&first->request, -4001);
	owner.answers = 0;
	second = run_pending("y");
	drpc_request_answer(&second->request, -4002);
	end(first);
	end(second);
	assert_true(seen_wait(&lab.seen, DRPC_EVENT_FAIL, 0, &event));
	assert_string_equal(event.reason, expected);
}

static void test_request_end_gives_back_the_place_once(void **state)
{
	struct drpc_policy *policy =
		lab_parse("[module]\nname = lab\nid = 7\n[allow all]\ncallers = *\n"
			  "methods = *\n[limits]\nconcurrent-calls = 1\n");
	struct message message = { 0 };
	struct drpc_request request;
	struct kept *kept;
	uint8_t *bytes;

	(void)state;
	assert_int_equal(drpc_policy_bind(policy, &lab_module, NULL), 0);
	lab.service->modules[0].policy = policy;
	kept = keep(LAB_LATER_KEPT, "x");
	assert_int_equal(owner.user->calls[0].under_way, 1);
	assert_int_equal(
		drpc_call_marshal(&(struct drpc_call){ .module = LAB_ID, .method = LAB_ECHO },
			&bytes, &message.size),
		0);
	request_begin(&request, lab.service, owner.peer, owner.user, &owner.arena, -1);
	assert_false(request_judge(&request, bytes, message.size, 0));
	assert_int_equal(request.response.status, DRPC_STATUS_BUSY);
	request_end(&request);
	free(bytes);
	assert_int_equal(owner.user->calls[0].under_way, 1);
	request_end(&kept->request);
	request_end(&kept->request);
	assert_int_equal(owner.user->calls[0].under_way, 0);
	kept_free(kept);
	lab.service->modules[0].policy = lab.policy;
	drpc_policy_free(policy);
}

int later_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_drpc_service_process_waits_for_an_answer),
		TEST(test_request_keep_copies_a_view),
		TEST(test_request_keep_takes_a_buffer_over),
		TEST(test_request_keep_charges_until_it_is_freed),
		TEST(test_request_keep_leaves_everything_at_the_limit),
		TEST(test_drpc_request_pidfd_refuses_a_kept_request),
		TEST(test_kept_cancel_tells_the_handler_once),
		TEST(test_kept_cancel_lets_its_function_answer),
		TEST(test_kept_cancel_is_silent_after_the_answer),
		TEST(test_kept_cancel_needs_no_function),
		TEST(test_drpc_request_on_cancel_is_for_later_methods),
		TEST(test_kept_cancel_and_an_answer_may_meet),
		TEST(test_drpc_request_on_cancel_may_meet_an_answer),
		TEST(test_drpc_request_answer_refuses_a_result_that_means_nothing),
		TEST(test_drpc_request_answer_keeps_the_words_of_an_odd_errno),
		TEST(test_request_end_gives_back_the_place_once),
	};

	return cmocka_run_group_tests_name("later", tests, NULL, NULL);
}
