/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Splitter: the packets of messages of all sizes, with heads of all sizes. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/splitter.h"

/* Append the data of one packet to @joined; returns how much. Each slice must bring something. */
static size_t join(const struct iovec *iov, int count, uint8_t *joined)
{
	size_t size = 0;

	for (int i = 1; i < count; i++) {
		assert_true(iov[i].iov_len > 0);
		memcpy(joined + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return size;
}

static void split(const uint8_t *message, size_t head_size, size_t body_size)
{
	size_t total = head_size + body_size;
	uint8_t *joined = malloc(total + 1);
	struct packet_header header;
	struct iovec iov[SPLITTER_IOV_MAX];
	struct splitter s;
	uint32_t index = 0;
	size_t at = 0;

	splitter_init(
		&s, message, head_size, body_size > 0 ? message + head_size : NULL, body_size);
	for (; !splitter_is_done(&s); index++) {
		int count = splitter_packet(&s, &header, iov);
		size_t size;

		assert_in_range(count, 1, SPLITTER_IOV_MAX);
		assert_ptr_equal(iov[0].iov_base, &header);
		assert_int_equal(iov[0].iov_len, 24);
		size = join(iov, count, joined + at);
		at += size;
		assert_int_equal(header.total_size, total);
		assert_int_equal(header.chunk_size, size);
		assert_int_equal(header.chunk_index, index);
		assert_int_equal(header.total_chunks, packet_chunks_for(total));
		assert_true(size == DRPC_CHUNK_MAX_BYTES || at == total);
		splitter_advance(&s);
	}
	assert_int_equal(index, packet_chunks_for(total));
	assert_int_equal(at, total);
	assert_memory_equal(joined, message, total);
	free(joined);
}

static void test_splitter_packet_cuts_each_size_into_full_chunks(void **state)
{
	static const size_t heads[] = { 0, 1, 11, 48 };

	(void)state;
	for (size_t i = 0; i < edge_sizes_count; i++) {
		uint8_t *message = pattern(edge_sizes[i] + 48);

		for (size_t j = 0; j < ARRAY_SIZE(heads); j++) {
			split(message, heads[j], edge_sizes[i]);
			if (edge_sizes[i] >= heads[j])
				split(message, heads[j], edge_sizes[i] - heads[j]);
		}
		free(message);
	}
}

/* The pure part of a head larger than a chunk; no envelope has one, the arithmetic holds all the
 * same. */
static void test_splitter_packet_cuts_a_long_head(void **state)
{
	uint8_t *message = pattern(300000);

	(void)state;
	split(message, 131048, 1);
	split(message, 131049, 1);
	split(message, 262097, 37903);
	split(message, 300000, 0);
	free(message);
}

static void test_splitter_packet_repeats_until_advanced(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3 };
	struct packet_header header;
	struct iovec first[SPLITTER_IOV_MAX];
	struct iovec second[SPLITTER_IOV_MAX];
	struct splitter s;

	(void)state;
	splitter_init(&s, bytes, 1, bytes + 1, 2);
	assert_int_equal(splitter_packet(&s, &header, first), 3);
	assert_int_equal(splitter_packet(&s, &header, second), 3);
	assert_memory_equal(first, second, sizeof(first));
	assert_ptr_equal(first[1].iov_base, bytes);
	assert_ptr_equal(first[2].iov_base, bytes + 1);
	assert_false(splitter_is_done(&s));
	splitter_advance(&s);
	assert_true(splitter_is_done(&s));
}

int splitter_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_splitter_packet_cuts_each_size_into_full_chunks),
		cmocka_unit_test(test_splitter_packet_cuts_a_long_head),
		cmocka_unit_test(test_splitter_packet_repeats_until_advanced),
	};

	return cmocka_run_group_tests_name("splitter", tests, NULL, NULL);
}
