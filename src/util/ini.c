/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * INI: receives text; hands on events. Each line is classified here before libinih sees it, because
 * libinih remembers only its first error, announces no sections, cuts long names and passes over
 * what follows a bracket. A line that is refused here reaches libinih as a blank one. libinih then
 * takes the pairs apart; a pair that it does not deliver is a problem too, so neither can lose a
 * line.
 */
#include "util/ini.h"

#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <string.h>

#include "util/cleanup.h"

#define BLANKS	       " \t"
#define NAME_MAX_BYTES 49 /* of sections and keys: inih cuts what is longer */

enum line_kind { LINE_BLANK, LINE_SECTION, LINE_PAIR, LINE_CONTINUED, LINE_REFUSED };

struct ini_state {
	const char *file;
	const char *rest;
	size_t rest_size;
	unsigned line;
	struct drpc_problems *problems;
	ini_handler_fn *handler;
	void *data;
	bool refused;

	bool section_refused; /* its pairs are not handed on: whose they are is not known */
	bool key_above;	      /* an indented line has a key to continue, good or refused */
	bool key_refused;     /* its continuation is not handed on either */
	bool pair_fed;	      /* inih owes an event for the line that it was given */
	bool continued;	      /* that line was indented */
	char section[NAME_MAX_BYTES + 1];
};

#define refuse(state, ...)                                                                         \
	do {                                                                                       \
		(state)->refused = true;                                                           \
		drpc_problems_add((state)->problems, (state)->file, (state)->line, __VA_ARGS__);   \
	} while (0)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The first of @wanted, or the ';' after a blank that starts a comment, or the end. */
static char *find_or_comment(char *text, const char *wanted)
{
	bool after_blank = false;

	for (; *text != '\0' && strchr(wanted, *text) == NULL; text++) {
		if (after_blank && *text == ';')
			break;
		after_blank = is_blank(*text);
	}
	return text;
}

/* Values: what is left of a comment that was not recognised as one must not become part of a list.
 */
static bool check_value(struct ini_state *state, char *value)
{
	*find_or_comment(value, "") = '\0';
	if (strchr(value, ';') != NULL) {
		refuse(state, "';' within a value; a comment starts with ' ;', a blank before it");
		return false;
	}
	if (strchr(value, '#') != NULL) {
		refuse(state, "'#' within a value; a comment after text starts with ' ;'");
		return false;
	}
	return true;
}

static enum line_kind check_section(struct ini_state *state, char *line)
{
	char *end = find_or_comment(line + 1, "]");
	const char *after;

	if (*end != ']') {
		refuse(state, "the bracket is not closed; write [section]");
		return LINE_REFUSED;
	}
	after = end + 1 + strspn(end + 1, BLANKS);
	if (*after != '\0' && (*after != ';' || after == end + 1)) {
		refuse(state, "text after ']'; write it on a line of its own");
		return LINE_REFUSED;
	}
	*end = '\0';
	if (end == line + 1 || end - line - 1 > NAME_MAX_BYTES) {
		refuse(state, "a section's name has 1 to %d characters; this one has %zu",
			NAME_MAX_BYTES, strlen(line + 1));
		return LINE_REFUSED;
	}
	return LINE_SECTION;
}

static enum line_kind check_pair(struct ini_state *state, char *line)
{
	char *separator = find_or_comment(line, "=:");
	size_t length = (size_t)(separator - line);

	if (*separator != '=' && *separator != ':') {
		refuse(state, "neither a [section], a key = value nor a comment");
		return LINE_REFUSED;
	}
	if (*separator == ':') {
		refuse(state, "':' after a key; write '=' instead");
		return LINE_REFUSED;
	}
	while (length > 0 && is_blank(line[length - 1]))
		length--;
	if (length == 0 || length > NAME_MAX_BYTES) {
		refuse(state, "a key has 1 to %d characters; this one has %zu", NAME_MAX_BYTES,
			length);
		return LINE_REFUSED;
	}
	return check_value(state, separator + 1) ? LINE_PAIR : LINE_REFUSED;
}

static enum line_kind check_continuation(struct ini_state *state, char *text)
{
	if (*text == '[') {
		refuse(state, "an indented '['; start a section at the beginning of the line");
		return LINE_REFUSED;
	}
	if (!state->key_above) {
		refuse(state, "an indented line continues a list, but there is none above; "
			      "remove the blanks before it");
		return LINE_REFUSED;
	}
	if (*find_or_comment(text, "=") == '=') {
		refuse(state,
			"'=' on an indented line, which continues the list above; for a key of its "
			"own, remove the blanks before it");
		return LINE_REFUSED;
	}
	return check_value(state, text) ? LINE_CONTINUED : LINE_REFUSED;
}

static enum line_kind classify(struct ini_state *state, char *line)
{
	char *text = line + strspn(line, BLANKS);

	if (*text == '\0' || *text == ';' || *text == '#')
		return LINE_BLANK;
	if (text > line)
		return check_continuation(state, text);
	return *line == '[' ? check_section(state, line) : check_pair(state, line);
}

/* Take the next line off the text into @line, if it is of the kind that can be a line at all. */
static bool take_line(struct ini_state *state, char line[static INI_LINE_MAX_BYTES + 1])
{
	const char *newline = memchr(state->rest, '\n', state->rest_size);
	size_t length = newline == NULL ? state->rest_size : (size_t)(newline - state->rest);
	const char *start = state->rest;

	state->rest += length + (newline != NULL);
	state->rest_size -= length + (newline != NULL);
	state->line++;
	if (length > 0 && start[length - 1] == '\r')
		length--;
	if (length > INI_LINE_MAX_BYTES) {
		refuse(state,
			"a line of %zu characters; at most %d, break a list into indented lines",
			length, INI_LINE_MAX_BYTES);
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (((unsigned char)start[i] < ' ' && start[i] != '\t') || start[i] == 0x7f) {
			refuse(state, "a control character, number %u; remove it",
				(unsigned)(unsigned char)start[i]);
			return false;
		}
	}
	memcpy(line, start, length);
	line[length] = '\0';
	return true;
}

static void open_section(struct ini_state *state, const char *name)
{
	struct ini_event event = { .line = state->line, .section = state->section };

	strcpy(state->section, name); /* check_section() measured it */
	state->section_refused = false;
	state->key_above = false;
	state->handler(state->data, &event);
}

/* A refused line may have been a section, a key or neither: what follows it is not handed on as
 * another's. */
static void note_refused(struct ini_state *state, char first)
{
	if (first == '[')
		state->section_refused = true;
	if (!is_blank(first)) {
		state->key_above = true;
		state->key_refused = true;
	}
}

/* Whether inih is to see the line. */
static bool note_line(struct ini_state *state, enum line_kind kind, const char *line, char first)
{
	switch (kind) {
	case LINE_SECTION:
		open_section(state, line + 1);
		return false;
	case LINE_PAIR:
		state->key_above = true;
		state->key_refused = false;
		break;
	case LINE_REFUSED:
		note_refused(state, first);
		return false;
	case LINE_BLANK:
		return false;
	case LINE_CONTINUED:
		break;
	}
	state->continued = kind == LINE_CONTINUED;
	return !state->section_refused && !state->key_refused;
}

static void expect_nothing_owed(struct ini_state *state)
{
	if (state->pair_fed)
		refuse(state, "libinih did not understand this line; write key = value");
	state->pair_fed = false;
}

/* inih's reader, with the signature of fgets. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct ini_state *state = stream;
	char first;

	expect_nothing_owed(state);
	/* A newer inih asks so for the rest of a full line. There is none; ini_read() sees a real
	 * end. */
	if (size <= INI_LINE_MAX_BYTES || state->rest_size == 0)
		return NULL;
	first = state->rest[0];
	if (!take_line(state, buffer)) {
		note_refused(state, first);
		buffer[0] = '\0';
	} else if (note_line(state, classify(state, buffer), buffer, first)) {
		state->pair_fed = true;
	} else {
		buffer[0] = '\0';
	}
	return buffer;
}

/* inih's handler: a pair, or a line that continues one. */
static int take_pair(void *user, const char *section, const char *key, const char *value)
{
	struct ini_state *state = user;
	struct ini_event event = {
		.line = state->line,
		.section = state->section,
		.key = key,
		.value = value,
		.continued = state->continued,
	};

	(void)section; /* announced by open_section(), which inih cannot do */
	if (!state->pair_fed || key == NULL || value == NULL)
		return 0;
	state->pair_fed = false;
	state->handler(state->data, &event);
	return 1;
}

static void skip_byte_order_mark(struct ini_state *state)
{
	if (state->rest_size >= 3 && memcmp(state->rest, "\xEF\xBB\xBF", 3) == 0) {
		state->rest += 3;
		state->rest_size -= 3;
	}
}

int ini_read(const char *file, const char *text, size_t size, struct drpc_problems *problems,
	ini_handler_fn *handler, void *data)
{
	struct ini_state state = {
		.file = file,
		.rest = text,
		.rest_size = size,
		.problems = problems,
		.handler = handler,
		.data = data,
	};
	int r;

	skip_byte_order_mark(&state);
	r = ini_parse_stream(read_line, &state, take_pair, &state);
	expect_nothing_owed(&state);
	if (r == -2)
		return -ENOMEM;
	if (r != 0 || state.rest_size > 0)
		refuse(&state,
			"libinih stopped at or after this line; is it built for shorter lines?");
	return state.refused ? -EINVAL : 0;
}
