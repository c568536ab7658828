/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Log: a line an event on a descriptor, a word and key=value pairs, or JSON with the same keys.
 * Each line is one write(2), so lines of several threads never mix; nothing is allocated. What a
 * stranger chose is quoted and escaped: it can neither end a line nor invent a key.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_TEXT = 0, LOG_JSON };

struct log {
	int fd; /* does not wait: a line that its reader is too slow for is dropped and counted */
	int own_fd; /* to be closed; 0 or less: none */
	bool is_socket;
	enum log_format format;
	_Atomic unsigned dropped;
};

/*
 * A log on @fd. Where @fd could make a writer wait (a pipe, a terminal, a socket) the log gets a
 * way of its own to it that does not: nobody who stops reading a log can stop what is logged. @fd
 * stays the caller's.
 */
void log_open(struct log *log, int fd, enum log_format format);
void log_close(struct log *log);

#define LOG_LINE_MAX 2048

/* A line being made. What does not fit is left out, and the line still ends well. */
struct log_line {
	struct log *log;
	size_t length;
	bool is_full;
	char text[LOG_LINE_MAX];
};

/* Open a line; add pairs in the order in which they are to appear; write it. */
void log_begin(struct log_line *line, struct log *log, const char *word);
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, int64_t value);
void log_end(struct log_line *line);

#endif
