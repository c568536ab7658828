/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Want of memory: each allocation of a run fails in turn. What comes of it is an error or a
 * refusal, never a leak, and never a handler that runs for a call that policy denies.
 */
#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fail_alloc.h"
#include "lab.h"
#include "service/service.h"

static void test_drpc_service_new_survives_want_of_memory(void **state)
{
	size_t n;

	(void)state;
	for (n = 0;; n++) {
		struct drpc_service *service = NULL;
		bool failed;
		int r;

		fail_alloc_after(n);
		r = drpc_service_new(&service);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		drpc_service_free(service);
		if (!failed)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(service);
	}
	assert_true(n > 0);
}

static int register_all(struct drpc_service *service, struct drpc_policy *policy)
{
	static const struct drpc_module others[] = {
		{ .abi = DRPC_MODULE_ABI, .id = 1, .name = "one" },
		{ .abi = DRPC_MODULE_ABI, .id = 2, .name = "two" },
	};
	int r = drpc_service_register(service, &lab_module, policy, NULL);

	for (size_t i = 0; i < 2 && r == 0; i++)
		r = drpc_service_register(service, &others[i], NULL, NULL);
	return r;
}

static void test_drpc_service_register_survives_want_of_memory(void **state)
{
	size_t n;

	(void)state;
	for (n = 0;; n++) {
		struct drpc_policy *policy = lab_parse(lab_open_policy);
		struct drpc_service *service;
		bool failed;
		int r;

		assert_int_equal(drpc_service_new(&service), 0);
		fail_alloc_after(n);
		r = register_all(service, policy);
		failed = fail_alloc_count() > n;
		fail_alloc_off();
		if (failed) {
			assert_int_equal(r, -ENOMEM);
			assert_null(drpc_service_get(service, 2));
		}
		assert_int_equal(failed ? 0 : r, 0);
		drpc_service_free(service);
		drpc_policy_free(policy);
		if (!failed)
			break;
	}
	assert_true(n >= 3);
}

struct outcome {
	int r;
	int32_t status;
	bool failed; /* an allocation did */
};

/* One call to a new service, of which allocation number @n fails. */
static struct outcome process(
	const char *policy, enum lab_method method, const void *body, size_t size, size_t n)
{
	const struct drpc_call call = { .module = LAB_ID,
		.method = (int)method,
		.sequence = 3,
		.body = body,
		.body_size = size };
	struct drpc_response response = { .status = -1 };
	uint8_t *message, *answer = NULL;
	struct outcome outcome;
	struct drpc_peer *peer;

	lab_open(policy, true);
	assert_int_equal(drpc_peer_new(1000, 1000, NULL, 0, &peer), 0);
	assert_int_equal(drpc_call_marshal(&call, &message, &size), 0);
	fail_alloc_after(n);
	outcome.r = drpc_service_process(lab.service, peer, message, size, &answer, &size);
	outcome.failed = fail_alloc_count() > n;
	fail_alloc_off();
	if (outcome.r == 0) {
		assert_int_equal(drpc_response_unmarshal(answer, size, &response), 0);
		assert_int_equal(response.sequence, 3);
		if (response.status != DRPC_STATUS_SUCCESS)
			assert_int_equal(response.body_size, 0);
		assert_int_equal(seen_total(&lab.seen), 1);
	} else {
		assert_null(answer);
	}
	outcome.status = response.status;
	free(answer);
	free(message);
	drpc_peer_free(peer);
	lab_close();
	return outcome;
}

static void process_all(enum lab_method method, const void *body, size_t size, size_t at_least)
{
	size_t n;

	for (n = 0;; n++) {
		struct outcome outcome = process(lab_open_policy, method, body, size, n);

		if (!outcome.failed) {
			assert_int_equal(outcome.r, 0);
			assert_int_equal(outcome.status, DRPC_STATUS_SUCCESS);
			assert_int_equal(lab.runs, 1);
			break;
		}
		assert_true(outcome.r == 0 || outcome.r == -ENOMEM);
		assert_int_not_equal(outcome.status, DRPC_STATUS_SUCCESS);
		if (outcome.r == 0)
			assert_true(outcome.status == DRPC_STATUS_FAILURE ||
				    outcome.status == DRPC_STATUS_FAILED_MARSHAL ||
				    outcome.status == DRPC_STATUS_BUSY);
	}
	assert_true(n >= at_least);
}

static void test_drpc_service_process_survives_want_of_memory(void **state)
{
	uint8_t *word = malloc(40000);

	(void)state;
	assert_non_null(word);
	memset(word, 'w', 40000);
	memcpy(word, "\x12\xbc\xb8\x02", 4); /* a word of 39996 bytes */
	process_all(LAB_ECHO, "x", 1, 2);
	process_all(LAB_NEST, "\x12\x03joe", 5, 3);
	process_all(LAB_NEST, word, 40000, 5);
	process_all(LAB_LATER_INSIDE, "x", 1, 4);
	process_all(LAB_LATER_BEFORE, "x", 1, 4);
	process_all(LAB_BLOCKING_ECHO, "x", 1, 2);
	free(word);
}

static void test_drpc_service_process_denies_in_want_of_memory(void **state)
{
	size_t n;

	(void)state;
	for (n = 0;; n++) {
		struct outcome outcome = process(
			"[module]\nname = lab\nid = 7\n[deny all]\ncallers = *\nmethods = *\n",
			LAB_ECHO, "x", 1, n);

		assert_int_equal(lab.runs, 0);
		if (outcome.r == 0)
			assert_int_equal(outcome.status, DRPC_STATUS_PERMISSION_DENIED);
		else
			assert_int_equal(outcome.r, -ENOMEM);
		if (!outcome.failed)
			break;
	}
	assert_true(n >= 2);
}

int memory_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drpc_service_new_survives_want_of_memory),
		cmocka_unit_test(test_drpc_service_register_survives_want_of_memory),
		cmocka_unit_test(test_drpc_service_process_survives_want_of_memory),
		cmocka_unit_test(test_drpc_service_process_denies_in_want_of_memory),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
