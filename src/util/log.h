/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Log: a line an event on a descriptor, a word and key=value pairs, or JSON with the same keys.
 * Each line is one write(2), so lines of several threads never mix; nothing is allocated. What a
 * stranger chose is quoted and escaped: it can neither end a line nor invent a key.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_TEXT = 0, LOG_JSON };

struct log {
	int fd;
	enum log_format format;
};

#define LOG_LINE_MAX 2048

/* A line being made. What does not fit is left out, and the line still ends well. */
struct log_line {
	const struct log *log;
	size_t length;
	bool is_full;
	char text[LOG_LINE_MAX];
};

/* Open a line; add pairs in the order in which they are to appear; write it. */
void log_begin(struct log_line *line, const struct log *log, const char *word);
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, int64_t value);
void log_end(struct log_line *line);

#endif
