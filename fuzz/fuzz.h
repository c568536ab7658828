/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Fuzz: what all harnesses share. Receives the bytes of an input; hands them on a piece at a time,
 * and ends the process with a message when a property does not hold.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every harness defines it; libFuzzer or replay.c calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A harness may define it: runs once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* What a harness promises of the code under test. The rest is a printf format and its arguments. */
#define REQUIRE(condition, ...)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_violated(__FILE__, __LINE__, #condition, __VA_ARGS__);                \
	} while (0)

_Noreturn void fuzz_violated(const char *file, int line, const char *condition, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* Out of memory is no finding: says so and exits. */
void *fuzz_alloc(size_t size);

/* A copy of exactly @size bytes, so that AddressSanitizer sees a read of one more. */
uint8_t *fuzz_copy(const uint8_t *data, size_t size);

/* What is left of an input. Past its end every number is 0. */
struct input {
	const uint8_t *at;
	size_t left;
};

uint8_t input_u8(struct input *input);
uint16_t input_u16(struct input *input);
uint32_t input_u32(struct input *input);
uint64_t input_u64(struct input *input);

/* A number from @first to @last, both included. */
uint64_t input_between(struct input *input, uint64_t first, uint64_t last);

/* Up to @wanted bytes, where they lie. Returns how many. */
size_t input_take(struct input *input, size_t wanted, const uint8_t **ret_data);

/* Random numbers that depend on @seed alone (splitmix64), for what an input has no bytes for. */
uint64_t fuzz_random(uint64_t *seed);

/* A number that depends on all of the bytes (FNV-1a). */
uint64_t fuzz_hash(const uint8_t *data, size_t size);

#endif
