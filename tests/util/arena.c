/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Arena: zeroed, aligned, never beyond its budget, and able to say why it refused. */
#include "util/arena.h"

#include "groups.h"

#include <stdalign.h>
#include <string.h>

#include "fail_alloc.h"

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_deinit(&arena);
	return 0;
}

static bool is_zero(const uint8_t *place, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (place[i] != 0)
			return false;
	}
	return true;
}

static void test_arena_alloc_gives_zeroed_and_aligned_memory(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 4095, 16383, 16384,
		16385, 100000 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		arena_reset(&arena, 1000000);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint8_t *place = arena_alloc(&arena, sizes[i]);

			assert_non_null(place);
			assert_int_equal((uintptr_t)place % alignof(max_align_t), 0);
			assert_true(is_zero(place, sizes[i]));
			memset(place, 0xff, sizes[i]);
		}
	}
}

static void test_arena_alloc_gives_each_a_place_of_its_own(void **state)
{
	uint8_t *places[200];

	(void)state;
	arena_reset(&arena, 1000000);
	for (size_t i = 0; i < 200; i++) {
		places[i] = arena_alloc(&arena, i * 7);
		assert_non_null(places[i]);
		memset(places[i], (int)i, i * 7);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t j = 0; j < i * 7; j++)
			assert_int_equal(places[i][j], i);
	}
}

static void test_arena_alloc_gives_nothing_without_a_budget(void **state)
{
	(void)state;
	assert_null(arena_alloc(&arena, 1));
	assert_true(arena.over_budget);
	assert_int_equal(arena_held(&arena), 0);
	arena_reset(&arena, 0);
	assert_false(arena.over_budget);
	assert_null(arena_alloc(&arena, 0));
	assert_true(arena.over_budget);
}

static void test_arena_alloc_holds_to_its_budget(void **state)
{
	(void)state;
	arena_reset(&arena, 64);
	assert_non_null(arena_alloc(&arena, 32));
	assert_null(arena_alloc(&arena, 33));
	assert_true(arena.over_budget);
	assert_false(arena.out_of_memory);
	assert_non_null(arena_alloc(&arena, 17)); /* counts as 32 */
	assert_null(arena_alloc(&arena, 1));
	arena_set_budget(&arena, 16);
	assert_false(arena.over_budget);
	assert_non_null(arena_alloc(&arena, 1));
	assert_null(arena_alloc(&arena, 1));
}

static void test_arena_alloc_counts_empty_pieces(void **state)
{
	size_t count = 0;

	(void)state;
	arena_reset(&arena, 1000);
	while (arena_alloc(&arena, 0) != NULL)
		count++;
	assert_true(count <= 1000);
}

static void test_arena_alloc_refuses_sizes_that_overflow(void **state)
{
	static const size_t budgets[] = { 100, SIZE_MAX - 100, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		/* With the rounding, or the head of a block, more than a size can count. */
		for (size_t less = 0; less < 31; less++) {
			arena_reset(&arena, budgets[i]);
			assert_null(arena_alloc_raw(&arena, SIZE_MAX - less));
			assert_true(arena.over_budget || arena.out_of_memory);
		}
	}
	arena_reset(&arena, 100);
	assert_non_null(arena_alloc(&arena, 50));
}

static void test_arena_alloc_tells_want_of_memory(void **state)
{
	void *place;

	(void)state;
	arena_reset(&arena, 100000);
	fail_alloc_after(0);
	place = arena_alloc(&arena, 50);
	fail_alloc_off();
	assert_null(place);
	assert_true(arena.out_of_memory);
	assert_false(arena.over_budget);
	assert_int_equal(arena.budget, 100000);
	assert_non_null(arena_alloc(&arena, 50));
	fail_alloc_after(0);
	place = arena_alloc(&arena, 50000);
	fail_alloc_off();
	assert_null(place);
	assert_non_null(arena_alloc(&arena, 50)); /* the old block is still good */
	arena_set_budget(&arena, 100);
	assert_false(arena.out_of_memory);
}

static void test_arena_reset_keeps_a_block_for_small_calls(void **state)
{
	(void)state;
	arena_reset(&arena, 10000);
	assert_non_null(arena_alloc(&arena, 1000));
	fail_alloc_after(0);
	for (int i = 0; i < 100; i++) {
		uint8_t *place;

		arena_reset(&arena, 10000);
		place = arena_alloc(&arena, 10000 - 10000 % 16);
		if (place != NULL && is_zero(place, 9000))
			memset(place, 0xff, 9000);
		else
			fail_msg("round %d", i);
	}
	assert_int_equal(fail_alloc_count(), 0);
	fail_alloc_off();
}

/* One large call does not make the idle thread hold what it took. */
static void test_arena_reset_gives_back_what_is_large(void **state)
{
	(void)state;
	arena_reset(&arena, 10000000);
	assert_non_null(arena_alloc(&arena, 5000000));
	assert_true(arena_held(&arena) >= 5000000);
	arena_reset(&arena, 10000000);
	assert_true(arena_held(&arena) <= 16384);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&arena, 10000));
	arena_reset(&arena, 0);
	assert_true(arena_held(&arena) <= 16384);
}

static void test_arena_held_stays_near_the_budget(void **state)
{
	static const size_t sizes[] = { 1, 40, 8200, 16000, 17000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		arena_reset(&arena, 1000000);
		while (arena_alloc_raw(&arena, sizes[i]) != NULL)
			;
		assert_true(arena.over_budget);
		assert_true(arena_held(&arena) <= 2 * 1000000 + 16384);
	}
}

static void test_arena_move_hands_everything_over(void **state)
{
	struct arena other;
	uint8_t *place, *more;

	(void)state;
	arena_init(&other);
	arena_reset(&arena, 1000);
	place = arena_alloc(&arena, 100);
	assert_non_null(place);
	memset(place, 7, 100);
	arena_move(&arena, &other);
	assert_int_equal(arena_held(&arena), 0);
	assert_null(arena_alloc(&arena, 1));
	assert_int_equal(place[99], 7);
	more = arena_alloc(&other, 100);
	assert_non_null(more);
	assert_true(more >= place + 100 || more + 100 <= place);
	arena_reset(&arena, 100);
	assert_non_null(arena_alloc(&arena, 100 - 100 % 16));
	assert_int_equal(place[0], 7);
	arena_deinit(&other);
	arena_deinit(&other);
}

int arena_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_arena_alloc_gives_zeroed_and_aligned_memory),
		TEST(test_arena_alloc_gives_each_a_place_of_its_own),
		TEST(test_arena_alloc_gives_nothing_without_a_budget),
		TEST(test_arena_alloc_holds_to_its_budget),
		TEST(test_arena_alloc_counts_empty_pieces),
		TEST(test_arena_alloc_refuses_sizes_that_overflow),
		TEST(test_arena_alloc_tells_want_of_memory),
		TEST(test_arena_reset_keeps_a_block_for_small_calls),
		TEST(test_arena_reset_gives_back_what_is_large),
		TEST(test_arena_held_stays_near_the_budget),
		TEST(test_arena_move_hands_everything_over),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
