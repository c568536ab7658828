/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Fuzz: see fuzz.h. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_violated(const char *file, int line, const char *condition, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s:%d: violated: ", file, line);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " (%s)\n", condition);
	abort();
}

void *fuzz_alloc(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL) {
		fprintf(stderr, "the harness is out of memory\n");
		exit(EXIT_FAILURE);
	}
	return memory;
}

uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size);

	if (copy == NULL && size > 0) {
		fprintf(stderr, "the harness is out of memory\n");
		exit(EXIT_FAILURE);
	}
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

static uint64_t take_number(struct input *input, size_t bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes && input->left > 0; i++) {
		number |= (uint64_t)*input->at << (8 * i);
		input->at++;
		input->left--;
	}
	return number;
}

uint8_t input_u8(struct input *input)
{
	return (uint8_t)take_number(input, 1);
}

uint16_t input_u16(struct input *input)
{
	return (uint16_t)take_number(input, 2);
}

uint32_t input_u32(struct input *input)
{
	return (uint32_t)take_number(input, 4);
}

uint64_t input_u64(struct input *input)
{
	return take_number(input, 8);
}

/* As many bytes as the span needs, so that small choices cost one. */
uint64_t input_between(struct input *input, uint64_t first, uint64_t last)
{
	uint64_t span = last - first;
	size_t bytes = span < 256 ? 1 : span < 65536 ? 2 : span <= UINT32_MAX ? 4 : 8;
	uint64_t number = take_number(input, bytes);

	return span == UINT64_MAX ? number : first + number % (span + 1);
}

size_t input_take(struct input *input, size_t wanted, const uint8_t **ret_data)
{
	size_t size = wanted < input->left ? wanted : input->left;

	*ret_data = input->at;
	input->at += size;
	input->left -= size;
	return size;
}

uint64_t fuzz_random(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t fuzz_hash(const uint8_t *data, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	return hash;
}
