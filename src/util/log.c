/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Log: see log.h. */
#include "util/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

void log_begin(struct log_line *line, struct log *log, const char *word)
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

static bool put(const struct log *log, const char *text, size_t length)
{
	struct iovec iov = { (void *)(uintptr_t)text, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (log->is_socket)
		return sendmsg(log->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	return write(log->fd, text, length) >= 0;
}

static bool finish(struct log_line *line)
{
	if (line->log->format == LOG_JSON)
		line->text[line->length++] = '}';
	line->text[line->length++] = '\n';
	return put(line->log, line->text, line->length);
}

/* Say how many lines are missing before the one that gets through again. */
static void say_dropped(struct log *log)
{
	unsigned dropped = atomic_exchange(&log->dropped, 0);
	struct log_line line;

	if (dropped == 0)
		return;
	log_begin(&line, log, "dropped");
	log_number(&line, "lines", (int64_t)dropped);
	if (!finish(&line))
		atomic_fetch_add(&log->dropped, dropped);
}

void log_end(struct log_line *line)
{
	say_dropped(line->log);
	if (!finish(line))
		atomic_fetch_add(&line->log->dropped, 1);
}

void log_open(struct log *log, int fd, enum log_format format)
{
	struct stat st;
	char name[32];

	*log = (struct log){ .fd = fd, .format = format };
	if (fstat(fd, &st) < 0)
		return;
	log->is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	log->own_fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (log->own_fd >= 0)
		log->fd = log->own_fd;
}

void log_close(struct log *log)
{
	if (log->own_fd > 0)
		close(log->own_fd);
}
