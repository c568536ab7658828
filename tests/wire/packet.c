/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packet: each refusal of a header by itself, at its edge. */
#include "groups.h"

#include <string.h>

#include "util/cleanup.h"
#include "wire/packet.h"

static void test_packet_chunks_for_is_exact_at_each_edge(void **state)
{
	static const struct {
		uint64_t size;
		uint64_t chunks;
	} cases[] = {
		{ 0, 1 },
		{ 1, 1 },
		{ 131047, 1 },
		{ 131048, 1 },
		{ 131049, 2 },
		{ 262096, 2 },
		{ 262097, 3 },
		{ (uint64_t)131048 * UINT32_MAX, UINT32_MAX },
		{ (uint64_t)131048 * UINT32_MAX + 1, (uint64_t)UINT32_MAX + 1 },
		{ UINT64_MAX, UINT64_MAX / 131048 + 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(packet_chunks_for(cases[i].size), cases[i].chunks);
}

struct packet_case {
	struct packet_header header;
	size_t received;
	bool truncated;
	enum packet_fault fault;
};

static const struct packet_case packet_cases[] = {
	{ { 0, 0, 0, 1 }, 24, false, PACKET_FINE },
	{ { 1, 1, 0, 1 }, 25, false, PACKET_FINE },
	{ { 131048, 131048, 0, 1 }, 131072, false, PACKET_FINE },
	{ { 131049, 1, 1, 2 }, 25, false, PACKET_FINE },
	/* Less than a header, whatever it says. */
	{ { 0, 0, 0, 1 }, 0, false, PACKET_SHORT },
	{ { 0, 0, 0, 1 }, 23, false, PACKET_SHORT },
	{ { 0, 0, 0, 1 }, 23, true, PACKET_SHORT },
	/* More than a packet. */
	{ { 1, 1, 0, 1 }, 25, true, PACKET_TRUNCATED },
	{ { 131049, 131049, 0, 2 }, 131073, false, PACKET_TRUNCATED },
	/* One byte too few, one too many, and sizes that would wrap. */
	{ { 2, 2, 0, 1 }, 25, false, PACKET_CHUNK_SIZE },
	{ { 2, 2, 0, 1 }, 27, false, PACKET_CHUNK_SIZE },
	{ { 0, 1, 0, 1 }, 24, false, PACKET_CHUNK_SIZE },
	{ { 0, UINT64_MAX, 0, 1 }, 24, false, PACKET_CHUNK_SIZE },
	{ { 1, UINT64_MAX - 23, 0, 1 }, 24, false, PACKET_CHUNK_SIZE },
	{ { 1, (uint64_t)1 << 32 | 1, 0, 1 }, 25, false, PACKET_CHUNK_SIZE },
	/* A number of chunks that the size does not need. */
	{ { 0, 0, 0, 0 }, 24, false, PACKET_TOTAL_CHUNKS },
	{ { 0, 0, 0, 2 }, 24, false, PACKET_TOTAL_CHUNKS },
	{ { 131048, 1, 0, 2 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { 131049, 1, 0, 1 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { 131049, 1, 0, 3 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { UINT64_MAX, 1, 0, 0 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { UINT64_MAX, 1, 0, 1 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { UINT64_MAX, 1, 0, UINT32_MAX }, 25, false, PACKET_TOTAL_CHUNKS },
	/* 2^32 chunks: a count that 32 bits would cut to 0, and one more that they would cut to 1.
	 */
	{ { (uint64_t)131048 << 32, 1, 0, 0 }, 25, false, PACKET_TOTAL_CHUNKS },
	{ { ((uint64_t)131048 << 32) + 1, 1, 0, 1 }, 25, false, PACKET_TOTAL_CHUNKS },
};

static void test_packet_check_tells_each_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++) {
		const struct packet_case *c = &packet_cases[i];

		if (packet_check(&c->header, c->received, c->truncated) != c->fault)
			fail_msg("case %zu: not \"%s\"", i, packet_fault_text(c->fault));
	}
}

static void test_packet_fault_text_differs_for_each_fault(void **state)
{
	(void)state;
	for (int i = PACKET_FINE; i <= PACKET_TOO_LARGE; i++)
		for (int j = PACKET_FINE; j < i; j++)
			assert_string_not_equal(packet_fault_text((enum packet_fault)i),
				packet_fault_text((enum packet_fault)j));
	assert_string_equal(
		packet_fault_text((enum packet_fault)(PACKET_TOO_LARGE + 1)), "unknown fault");
}

int packet_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_chunks_for_is_exact_at_each_edge),
		cmocka_unit_test(test_packet_check_tells_each_fault),
		cmocka_unit_test(test_packet_fault_text_differs_for_each_fault),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
