/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Quota: each limit at its edge, under a clock that the test reads out. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "fail_alloc.h"
#include "service/quota.h"

#define SECOND UINT64_C(1000000000)
#define NOON   (1000 * SECOND)

static struct quota quota;

static int set_up(void **state)
{
	const struct quota_limits limits = {
		.max_sessions = 1000,
		.max_sessions_per_uid = 500,
		.max_bytes_per_uid = 1000,
	};

	(void)state;
	quota_init(&quota, &limits);
	quota_set_modules(&quota, 2);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	quota_deinit(&quota);
	return 0;
}

static struct quota_user *open_at(uid_t uid, uint64_t now_ns)
{
	struct quota_user *user = NULL;

	assert_null(quota_open_session(&quota, uid, now_ns, &user));
	assert_non_null(user);
	return user;
}

static void refuse_at(uid_t uid, uint64_t now_ns, const char *limit)
{
	struct quota_user *user = NULL;
	quota_refusal refusal = quota_open_session(&quota, uid, now_ns, &user);

	assert_non_null(refusal);
	assert_string_equal(refusal, limit);
	assert_null(user);
}

static const char *begin(struct quota_user *user, size_t module, uint32_t per_second,
	uint32_t concurrent, uint64_t now_ns, bool *counted)
{
	const struct drpc_policy_limits limits = {
		.calls_per_second = per_second,
		.concurrent_calls = concurrent,
	};

	return quota_begin_call(user, module, &limits, now_ns, counted);
}

/* How many calls pass at one moment. */
static unsigned burst(
	struct quota_user *user, uint32_t per_second, uint64_t now_ns, unsigned try_at_most)
{
	bool counted = false;
	unsigned passed = 0;

	while (passed < try_at_most && begin(user, 0, per_second, 0, now_ns, &counted) == NULL)
		passed++;
	assert_false(counted);
	return passed;
}

static void test_quota_begin_call_lets_a_burst_of_a_second_pass(void **state)
{
	static const uint32_t rates[] = { 1, 2, 3, 7, 10, 99, 100, 333, 1000, 4096, 10000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct quota_user *user = open_at((uid_t)i, NOON);

		assert_int_equal(burst(user, rates[i], NOON, 20000), rates[i]);
		quota_close_session(&quota, user, NOON);
	}
}

static void test_quota_begin_call_refills_evenly(void **state)
{
	struct quota_user *user = open_at(1, NOON);

	(void)state;
	assert_int_equal(burst(user, 10, NOON, 100), 10);
	assert_int_equal(burst(user, 10, NOON + SECOND / 10 - 1, 100), 0);
	assert_int_equal(burst(user, 10, NOON + SECOND / 10, 100), 1);
	assert_int_equal(burst(user, 10, NOON + SECOND / 10, 100), 0);
	assert_int_equal(burst(user, 10, NOON + SECOND / 2, 100), 4);
	assert_int_equal(burst(user, 10, NOON + 3 * SECOND / 2, 100), 10);
	assert_int_equal(burst(user, 10, NOON + 50 * SECOND, 100), 10);
	quota_close_session(&quota, user, NOON + 50 * SECOND);
}

static void test_quota_begin_call_names_the_rate(void **state)
{
	struct quota_user *user = open_at(1, NOON);
	bool counted = false;

	(void)state;
	assert_null(begin(user, 0, 1, 5, NOON, &counted));
	assert_true(counted);
	quota_end_call(user, 0);
	counted = false;
	assert_string_equal(begin(user, 0, 1, 5, NOON + SECOND - 1, &counted), "calls-per-second");
	assert_false(counted);
	assert_int_equal(user->calls[0].under_way, 0);
	quota_close_session(&quota, user, NOON);
}

static void test_quota_begin_call_has_rates_of_each_module_and_uid(void **state)
{
	struct quota_user *user = open_at(1, NOON), *other = open_at(257, NOON);
	bool counted;

	(void)state;
	assert_int_equal(burst(user, 3, NOON, 10), 3);
	assert_null(begin(user, 1, 3, 0, NOON, &counted));
	assert_int_equal(burst(other, 3, NOON, 10), 3);
	quota_close_session(&quota, user, NOON);
	quota_close_session(&quota, other, NOON);
}

/* Uids 1, 257 and 513 share a bucket: the others' coming is when idle users are forgotten. */
static void test_quota_close_session_does_not_reset_the_rate(void **state)
{
	struct quota_user *user = open_at(1, NOON), *other;

	(void)state;
	assert_int_equal(burst(user, 5, NOON, 10), 5);
	quota_close_session(&quota, user, NOON);
	other = open_at(257, NOON + SECOND);
	quota_close_session(&quota, other, NOON + SECOND);
	user = open_at(1, NOON + SECOND / 5);
	assert_int_equal(burst(user, 5, NOON + SECOND / 5, 10), 1);
	quota_close_session(&quota, user, NOON + SECOND / 5);
}

static bool is_known(uid_t uid)
{
	for (const struct quota_user *u = quota.buckets[uid % QUOTA_BUCKETS]; u != NULL;
		u = u->next) {
		if (u->uid == uid)
			return true;
	}
	return false;
}

static void test_quota_open_session_forgets_idle_users(void **state)
{
	struct quota_user *idle = open_at(1, NOON), *busy = open_at(257, NOON), *new;

	(void)state;
	quota_close_session(&quota, idle, NOON + SECOND);
	new = open_at(513, NOON + 2 * SECOND);
	assert_true(is_known(1)); /* a second exactly: its rate may not have recovered */
	quota_close_session(&quota, new, NOON + 2 * SECOND);
	new = open_at(769, NOON + 2 * SECOND + 1);
	assert_false(is_known(1));
	assert_true(is_known(257));
	assert_true(is_known(513));
	quota_close_session(&quota, new, NOON + 2 * SECOND + 1);
	new = open_at(1, NOON + 9 * SECOND);
	assert_false(is_known(513));
	assert_false(is_known(769));
	assert_true(is_known(257));
	quota_close_session(&quota, new, NOON + 9 * SECOND);
	quota_close_session(&quota, busy, NOON + 9 * SECOND);
}

static void test_quota_open_session_keeps_a_user_across_sessions(void **state)
{
	struct quota_user *first = open_at(1, NOON), *second = open_at(1, NOON);

	(void)state;
	assert_ptr_equal(first, second);
	quota_close_session(&quota, first, NOON);
	assert_ptr_equal(open_at(1, NOON + 10 * SECOND), second);
	quota_close_session(&quota, second, NOON);
	quota_close_session(&quota, second, NOON);
}

static void test_quota_begin_call_counts_what_is_under_way(void **state)
{
	struct quota_user *user = open_at(1, NOON);
	bool counted[3] = { false, false, false };

	(void)state;
	assert_null(begin(user, 1, 0, 2, NOON, &counted[0]));
	assert_null(begin(user, 1, 0, 2, NOON, &counted[1]));
	assert_string_equal(begin(user, 1, 0, 2, NOON, &counted[2]), "concurrent-calls");
	assert_true(counted[0] && counted[1] && !counted[2]);
	assert_null(begin(user, 0, 0, 2, NOON, &counted[2]));
	quota_end_call(user, 0);
	quota_end_call(user, 1);
	counted[1] = false;
	assert_null(begin(user, 1, 0, 2, NOON, &counted[1]));
	assert_true(counted[1]);
	quota_end_call(user, 1);
	quota_end_call(user, 1);
	quota_close_session(&quota, user, NOON);
}

static void test_quota_begin_call_without_limits_counts_nothing(void **state)
{
	struct quota_user *user = open_at(1, NOON);
	bool counted = false;

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_null(begin(user, 0, 0, 0, NOON, &counted));
	assert_false(counted);
	quota_close_session(&quota, user, NOON);
}

static void set_sessions(uint32_t max, uint32_t per_uid)
{
	const struct quota_limits limits = { max, per_uid, 1000 };

	quota_set_limits(&quota, &limits);
	quota_set_modules(&quota, 1);
}

/* @count sessions of different uids from 1; at most 200. */
static void open_many(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		open_at(i + 1, NOON);
}

static void close_many(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct quota_user *user = quota.buckets[(i + 1) % QUOTA_BUCKETS];

		assert_int_equal(user->uid, i + 1);
		quota_close_session(&quota, user, NOON);
	}
}

static void test_quota_open_session_keeps_a_reserve_for_root(void **state)
{
	static const struct {
		uint32_t max, others, root;
	} reserves[] = { { 200, 136, 64 }, { 129, 65, 64 }, { 128, 64, 64 }, { 9, 5, 4 },
		{ 2, 1, 1 }, { 1, 1, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(reserves) / sizeof(reserves[0]); i++) {
		struct quota_user *root = NULL;

		set_sessions(reserves[i].max, 1000);
		open_many(reserves[i].others);
		refuse_at(201, NOON, "max-sessions");
		refuse_at(1, NOON, "max-sessions");
		for (uint32_t j = 0; j < reserves[i].root; j++)
			root = open_at(0, NOON);
		refuse_at(0, NOON, "max-sessions");
		for (uint32_t j = 0; j < reserves[i].root; j++)
			quota_close_session(&quota, root, NOON);
		close_many(reserves[i].others);
	}
}

static void test_quota_open_session_limits_each_uid(void **state)
{
	struct quota_user *user = NULL, *other;

	(void)state;
	set_sessions(1000, 3);
	for (int i = 0; i < 3; i++)
		user = open_at(5, NOON);
	refuse_at(5, NOON, "max-sessions-per-uid");
	other = open_at(6, NOON);
	quota_close_session(&quota, other, NOON);
	quota_close_session(&quota, user, NOON);
	open_at(5, NOON);
	refuse_at(5, NOON, "max-sessions-per-uid");
	for (int i = 0; i < 3; i++)
		quota_close_session(&quota, user, NOON);
}

static void test_quota_open_session_tells_want_of_memory(void **state)
{
	(void)state;
	fail_alloc_after(0);
	refuse_at(5, NOON, QUOTA_OUT_OF_MEMORY);
	fail_alloc_off();
	quota_close_session(&quota, open_at(5, NOON), NOON);
}

static void test_quota_take_bytes_holds_to_the_limit(void **state)
{
	struct quota_user *user = open_at(1, NOON), *other = open_at(2, NOON);

	(void)state;
	assert_true(quota_take_bytes(&quota, user, 0));
	assert_true(quota_take_bytes(&quota, user, 999));
	assert_false(quota_take_bytes(&quota, user, 2));
	assert_true(quota_take_bytes(&quota, user, 1));
	assert_false(quota_take_bytes(&quota, user, 1));
	assert_true(quota_take_bytes(&quota, user, 0));
	assert_true(quota_take_bytes(&quota, other, 1000));
	quota_give_bytes(user, 1);
	assert_true(quota_take_bytes(&quota, user, 1));
	assert_int_equal(user->bytes, 1000);
	quota_give_bytes(user, 1000);
	quota_give_bytes(other, 1000);
	quota_close_session(&quota, user, NOON);
	quota_close_session(&quota, other, NOON);
}

#define THREADS 4
#define ROUNDS	2000

/* Opens, calls, takes and gives back, beside others who do the same with the same uid. */
static void *use_much(void *argument)
{
	_Atomic unsigned *passed = argument;
	const struct drpc_policy_limits limits = { .calls_per_second = 100, .concurrent_calls = 3 };

	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct quota_user *user;
		bool counted = false;

		if (quota_open_session(&quota, 7, NOON, &user) != NULL)
			return NULL;
		if (quota_begin_call(user, 1, &limits, NOON, &counted) == NULL)
			++*passed;
		if (counted)
			quota_end_call(user, 1);
		if (quota_take_bytes(&quota, user, 400))
			quota_give_bytes(user, 400);
		quota_close_session(&quota, user, NOON);
	}
	return argument;
}

static void test_quota_is_exact_under_many_threads(void **state)
{
	_Atomic unsigned passed = 0;
	struct quota_user *user = open_at(7, NOON);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_much, &passed), 0);
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_non_null(result);
	}
	assert_true(passed <= 100);
	assert_true(passed > 0);
	assert_int_equal(user->bytes, 0);
	assert_int_equal(user->calls[1].under_way, 0);
	assert_int_equal(user->sessions, 1);
	assert_int_equal(quota.sessions, 1);
	quota_close_session(&quota, user, NOON);
}

int quota_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_quota_begin_call_lets_a_burst_of_a_second_pass),
		TEST(test_quota_begin_call_refills_evenly),
		TEST(test_quota_begin_call_names_the_rate),
		TEST(test_quota_begin_call_has_rates_of_each_module_and_uid),
		TEST(test_quota_close_session_does_not_reset_the_rate),
		TEST(test_quota_open_session_forgets_idle_users),
		TEST(test_quota_open_session_keeps_a_user_across_sessions),
		TEST(test_quota_begin_call_counts_what_is_under_way),
		TEST(test_quota_begin_call_without_limits_counts_nothing),
		TEST(test_quota_open_session_keeps_a_reserve_for_root),
		TEST(test_quota_open_session_limits_each_uid),
		TEST(test_quota_open_session_tells_want_of_memory),
		TEST(test_quota_take_bytes_holds_to_the_limit),
		TEST(test_quota_is_exact_under_many_threads),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
