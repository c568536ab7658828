/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Log: see log.h. */
#include "util/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Kept free for what ends a line whatever was left out: a quote, a brace, a newline. */
#define END_BYTES 4

/* Add a piece whole or not at all, so that an escape is never cut in two. */
static void add(struct log_line *line, const char *piece, size_t length)
{
	if (line->is_full || length > LOG_LINE_MAX - END_BYTES - line->length) {
		line->is_full = true;
		return;
	}
	memcpy(line->text + line->length, piece, length);
	line->length += length;
}

static void add_text(struct log_line *line, const char *text)
{
	add(line, text, strlen(text));
}

/* Bytes that stand for themselves between quotes; all others are escaped, one by one. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_escaped(struct log_line *line, unsigned char c)
{
	char escape[8];

	if (is_plain(c)) {
		add(line, (const char[]){ (char)c }, 1);
		return;
	}
	if (c == '"' || c == '\\')
		snprintf(escape, sizeof(escape), "\\%c", c);
	else if (line->log->format == LOG_JSON)
		snprintf(escape, sizeof(escape), "\\u%04x", c);
	else
		snprintf(escape, sizeof(escape), "\\x%02x", c);
	add_text(line, escape);
}

static void add_quoted(struct log_line *line, const char *value)
{
	add_text(line, "\"");
	for (const char *c = value; *c != '\0' && !line->is_full; c++)
		add_escaped(line, (unsigned char)*c);
	line->text[line->length++] = '"';
	line->is_full = line->is_full || line->length > LOG_LINE_MAX - END_BYTES;
}

/* Whether a text can stand without quotes. */
static bool is_bare(const char *value)
{
	if (value[0] == '\0')
		return false;
	for (const char *c = value; *c != '\0'; c++) {
		if (!is_plain((unsigned char)*c) || *c == ' ' || *c == '=' || *c == ',')
			return false;
	}
	return true;
}

static void add_key(struct log_line *line, const char *key)
{
	bool is_json = line->log->format == LOG_JSON;

	add_text(line, is_json ? ",\"" : " ");
	add_text(line, key);
	add_text(line, is_json ? "\":" : "=");
}

void log_begin(struct log_line *line, const struct log *log, const char *word)
{
	line->log = log;
	line->length = 0;
	line->is_full = false;
	if (log->format == LOG_JSON)
		add_text(line, "{\"event\":\"");
	add_text(line, word);
	if (log->format == LOG_JSON)
		add_text(line, "\"");
}

/* A pair of which not even so much fits is left out with its key. */
static bool has_room_for_pair(struct log_line *line, const char *key, const char *value)
{
	size_t room = LOG_LINE_MAX - END_BYTES;

	if (line->is_full || line->length + strlen(key) + strlen(value) + 8 > room)
		line->is_full = true;
	return !line->is_full;
}

void log_text(struct log_line *line, const char *key, const char *value)
{
	bool is_short =
		line->log->format == LOG_TEXT && is_bare(value) && strlen(value) < LOG_LINE_MAX / 4;

	if (!has_room_for_pair(line, key, is_short ? value : ""))
		return;
	add_key(line, key);
	if (is_short)
		add_text(line, value);
	else
		add_quoted(line, value);
}

void log_number(struct log_line *line, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	if (!has_room_for_pair(line, key, digits))
		return;
	add_key(line, key);
	add_text(line, digits);
}

void log_end(struct log_line *line)
{
	if (line->log->format == LOG_JSON)
		line->text[line->length++] = '}';
	line->text[line->length++] = '\n';
	/* There is nobody to tell when the log cannot be written. */
	if (write(line->log->fd, line->text, line->length) < 0)
		return;
}
