/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Principal: each way to write a caller, what is none, and sets against a count by hand. */
#include "groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *item, enum principal_kind kind, uint32_t first, uint32_t last)
{
	struct principal p = { 0 };
	const char *fault = NULL;

	assert_int_equal(principal_parse(item, &test_names, &p, &fault), 0);
	assert_int_equal(p.kind, kind);
	assert_int_equal(p.ids.first, first);
	assert_int_equal(p.ids.last, last);
}

static void expect_refused(const char *item, int error, const char *words)
{
	struct principal p = { .kind = 77 };
	const char *fault = NULL;

	assert_int_equal(principal_parse(item, &test_names, &p, &fault), error);
	assert_int_equal(p.kind, 77); /* untouched */
	assert_non_null(fault);
	if (strstr(fault, words) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", item, fault, words);
}

static void test_principal_parse_takes_users_groups_and_ranges(void **state)
{
	(void)state;
	expect("alice", PRINCIPAL_USERS, 1001, 1001);
	expect("0", PRINCIPAL_USERS, 0, 0);
	expect("4294967294", PRINCIPAL_USERS, 4294967294, 4294967294);
	expect("2000-2999", PRINCIPAL_USERS, 2000, 2999);
	expect("5-5", PRINCIPAL_USERS, 5, 5);
	expect("%staff", PRINCIPAL_GROUPS, 50, 50);
	expect("%0-10", PRINCIPAL_GROUPS, 0, 10);
	expect("*", PRINCIPAL_ANYONE, 0, 0);
}

static void test_principal_parse_refuses_what_is_no_id(void **state)
{
	static const char *const items[] = { "1000-", "1-2-3", "1 2", "1_000", "0x10", "1e3", "5a",
		"10-%5", "1,2", "1-alice" };

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		expect_refused(items[i], -EINVAL, "");
	expect_refused("010", -EINVAL, "leading zero");
	expect_refused("00", -EINVAL, "leading zero");
	expect_refused("1-02", -EINVAL, "leading zero");
	expect_refused("2999-2000", -EINVAL, "upside down");
	expect_refused("4294967295", -EINVAL, "largest is 4294967294");
	expect_refused("0-4294967295", -EINVAL, "largest is 4294967294");
	expect_refused("4294967296", -EINVAL, "largest is 4294967294");
	expect_refused("18446744073709551616", -EINVAL, "largest is 4294967294");
	expect_refused("340282366920938463463374607431768211456", -EINVAL, "largest is 4294967294");
}

static void test_principal_parse_refuses_what_is_no_name(void **state)
{
	static const char *const items[] = { "", "%", "-5", "+5", "+", "@nis", "%*", "%%staff",
		"a b", "a*", "root:root", "\"root\"", "%-1", "%+1", " alice", "-", "alice " };

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		struct principal p;
		const char *fault = NULL;
		int r = principal_parse(items[i], &test_names, &p, &fault);

		assert_true(r == -EINVAL || r == -ENOENT);
		assert_non_null(fault);
	}
	expect_refused("bob", -ENOENT, "no such user");
	expect_refused("%bob", -ENOENT, "no such group");
	expect_refused("%alice", -ENOENT, "no such group");
	expect_refused("invalid", -EINVAL, "no id");
}

static void test_principal_parse_hands_errors_of_the_accounts_on(void **state)
{
	struct principal p;
	const char *fault = NULL;

	(void)state;
	assert_int_equal(principal_parse("broken", &test_names, &p, &fault), -EIO);
}

static void test_principal_accounts_knows_root_only_by_its_name(void **state)
{
	uint32_t id = 77;

	(void)state;
	assert_int_equal(principal_accounts.user(NULL, "root", &id), 0);
	assert_int_equal(id, 0);
	id = 77;
	assert_int_equal(principal_accounts.group(NULL, "root", &id), 0);
	assert_int_equal(id, 0);
	id = 77;
	assert_int_equal(principal_accounts.user(NULL, "no-such-user-here", &id), -ENOENT);
	assert_int_equal(principal_accounts.group(NULL, "no-such-group-here", &id), -ENOENT);
	assert_int_equal(id, 77);
}

static void add(struct principal_set *set, enum principal_kind kind, uint32_t first, uint32_t last)
{
	const struct principal p = { kind, { first, last } };

	assert_int_equal(principal_set_add(set, &p), 0);
}

static void test_principal_set_has_holds_the_primary_and_every_supplementary_group(void **state)
{
	struct principal_set set = { 0 };
	const gid_t groups[] = { 7, 60, 8, (gid_t)-1 };
	const gid_t others[] = { 7, 59, 8, (gid_t)-1 };
	struct drpc_peer *peers[] = { make_peer(1, 60, NULL), make_peer(1, 2, groups),
		make_peer(1, 2, others), make_peer(60, 2, NULL) };
	const bool expected[] = { true, true, false, false };

	(void)state;
	add(&set, PRINCIPAL_GROUPS, 60, 69);
	principal_set_finish(&set);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(principal_set_has(&set, peers[i]), expected[i]);
		drpc_peer_free(peers[i]);
	}
	principal_set_deinit(&set);
}

static void test_principal_set_has_nobody_when_empty(void **state)
{
	struct principal_set set = { 0 };
	struct drpc_peer *peer = make_peer(0, 0, NULL);

	(void)state;
	principal_set_finish(&set);
	assert_false(principal_set_has(&set, peer));
	add(&set, PRINCIPAL_ANYONE, 0, 0);
	assert_true(principal_set_has(&set, peer));
	drpc_peer_free(peer);
	principal_set_deinit(&set);
}

static void test_principal_set_has_the_ends_of_ranges(void **state)
{
	struct principal_set set = { 0 };

	(void)state;
	add(&set, PRINCIPAL_USERS, 4294967290, 4294967294);
	add(&set, PRINCIPAL_USERS, 0, 2);
	principal_set_finish(&set);
	for (uint32_t i = 0; i < 10; i++) {
		struct drpc_peer low = { .uid = i }, high = { .uid = UINT32_MAX - i };

		assert_int_equal(principal_set_has(&set, &low), i <= 2);
		assert_int_equal(principal_set_has(&set, &high), i >= 1 && i <= 5);
	}
	principal_set_deinit(&set);
}

/* Random ranges, merged, against a table that has a place for each id. */
static void test_principal_set_has_what_a_table_has(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct principal_set set = { 0 };
		bool table[256] = { false };
		int ranges = rand_r(&seed) % 30;

		for (int i = 0; i < ranges; i++) {
			uint32_t first = (uint32_t)rand_r(&seed) % 200;
			uint32_t last = first + (uint32_t)rand_r(&seed) % 20;

			add(&set, PRINCIPAL_USERS, first, last);
			for (uint32_t id = first; id <= last; id++)
				table[id] = true;
		}
		principal_set_finish(&set);
		for (size_t i = 1; i < set.users.count; i++)
			assert_true(set.users.ranges[i - 1].last + 1 < set.users.ranges[i].first);
		for (uint32_t id = 0; id < 256; id++) {
			struct drpc_peer peer = { .uid = id };

			assert_int_equal(principal_set_has(&set, &peer), table[id]);
		}
		principal_set_deinit(&set);
	}
}

int principal_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_principal_parse_takes_users_groups_and_ranges),
		cmocka_unit_test(test_principal_parse_refuses_what_is_no_id),
		cmocka_unit_test(test_principal_parse_refuses_what_is_no_name),
		cmocka_unit_test(test_principal_parse_hands_errors_of_the_accounts_on),
		cmocka_unit_test(test_principal_accounts_knows_root_only_by_its_name),
		cmocka_unit_test(
			test_principal_set_has_holds_the_primary_and_every_supplementary_group),
		cmocka_unit_test(test_principal_set_has_nobody_when_empty),
		cmocka_unit_test(test_principal_set_has_the_ends_of_ranges),
		cmocka_unit_test(test_principal_set_has_what_a_table_has),
	};

	return cmocka_run_group_tests_name("principal", tests, NULL, NULL);
}
