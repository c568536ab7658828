/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Problems: receives what is wrong, piece by piece; hands on a list of lines. A problem for which
 * there was no memory is still counted, so that a wrong file can never pass for a right one.
 */
#include <drpc/problems.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

struct drpc_problems {
	char **texts;
	size_t kept;
	size_t capacity;
	size_t lost; /* counted, but there was no memory for the words */
};

struct drpc_problems *drpc_problems_new(void)
{
	return calloc(1, sizeof(struct drpc_problems));
}

void drpc_problems_free(struct drpc_problems *problems)
{
	if (problems == NULL)
		return;
	for (size_t i = 0; i < problems->kept; i++)
		free(problems->texts[i]);
	free(problems->texts);
	free(problems);
}

size_t drpc_problems_count(const struct drpc_problems *problems)
{
	return problems == NULL ? 0 : problems->kept + problems->lost;
}

const char *drpc_problems_text(const struct drpc_problems *problems, size_t index)
{
	if (problems == NULL || index >= drpc_problems_count(problems))
		return NULL;
	if (index >= problems->kept)
		return "out of memory: a problem was found, but could not be kept";
	return problems->texts[index];
}

static char *place_text(const char *file, unsigned line, const char *what)
{
	char *text = NULL;
	int length;

	if (file == NULL)
		length = asprintf(&text, "%s", what);
	else if (line == 0)
		length = asprintf(&text, "%s: %s", file, what);
	else
		length = asprintf(&text, "%s:%u: %s", file, line, what);
	return length < 0 ? NULL : text;
}

/* A problem is one line, and what it quotes must not command the terminal that shows it. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

static bool make_room(struct drpc_problems *problems)
{
	size_t wanted = problems->capacity == 0 ? 8 : problems->capacity * 2;
	char **texts;

	if (problems->kept < problems->capacity)
		return true;
	texts = reallocarray(problems->texts, wanted, sizeof(*texts));
	if (texts == NULL)
		return false;
	problems->texts = texts;
	problems->capacity = wanted;
	return true;
}

static void keep(struct drpc_problems *problems, const char *file, unsigned line,
	const char *format, va_list values) __attribute__((format(printf, 4, 0)));

static void keep(struct drpc_problems *problems, const char *file, unsigned line,
	const char *format, va_list values)
{
	AUTO_FREE char *what = NULL;
	char *text;

	if (vasprintf(&what, format, values) < 0) {
		what = NULL;
		problems->lost++;
		return;
	}
	text = place_text(file, line, what);
	if (text == NULL || !make_room(problems)) {
		free(text);
		problems->lost++;
		return;
	}
	make_printable(text);
	problems->texts[problems->kept++] = text;
}

void drpc_problems_add(
	struct drpc_problems *problems, const char *file, unsigned line, const char *format, ...)
{
	va_list values;

	if (problems == NULL)
		return;
	va_start(values, format);
	keep(problems, file, line, format, values);
	va_end(values);
}
