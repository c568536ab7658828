/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs the groups of room wire, and holds what several of them use. */
#include "groups.h"

#include <stdlib.h>

const size_t edge_sizes[] = { 0, 1, 131047, 131048, 131049, 262096, 262097, 5 * 1024 * 1024 + 3 };
const size_t edge_sizes_count = sizeof(edge_sizes) / sizeof(edge_sizes[0]);

uint8_t *pattern(size_t size)
{
	uint8_t *bytes = malloc(size > 0 ? size : 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	return bytes;
}

int main(void)
{
	int failed = 0;

	failed += packet_tests();
	failed += assembler_tests();
	failed += splitter_tests();
	failed += envelope_tests();
	failed += socket_tests();
	failed += status_tests();
	failed += message_tests();
	return failed > 0;
}
