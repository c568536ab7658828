/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Suggest: receives a word that is not known; hands on the known word that was probably meant: the
 * one with the fewest letters to add, drop or change.
 */
#include "access/suggest.h"

#include <string.h>

#define WORD_MAX_BYTES 49 /* of a key or a section */
#define NEAR	       3  /* more changes than this make another word */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t least_two = a < b ? a : b;

	return least_two < c ? least_two : c;
}

/* The number of letters to add, drop or change: Levenshtein's distance, a row at a time. */
static size_t distance(const char *from, const char *to)
{
	size_t row[WORD_MAX_BYTES + 1];
	size_t length = strlen(to);

	if (length > WORD_MAX_BYTES || strlen(from) > WORD_MAX_BYTES)
		return WORD_MAX_BYTES;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; from[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t changed = diagonal + (from[i - 1] != to[j - 1]);

			diagonal = row[j];
			row[j] = least(row[j] + 1, row[j - 1] + 1, changed);
		}
	}
	return row[length];
}

const char *suggest(const char *word, const void *known, size_t count, size_t stride)
{
	const char *nearest = NULL;
	size_t best = NEAR + 1;

	for (size_t i = 0; i < count; i++) {
		const char *candidate;
		size_t changes;

		memcpy(&candidate, (const char *)known + i * stride, sizeof(candidate));
		changes = distance(word, candidate);
		if (changes < best && changes < strlen(candidate)) {
			best = changes;
			nearest = candidate;
		}
	}
	return nearest;
}
