/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Log: whatever a stranger chose, a line is one line, ends well, and has no key but ours. */
#include "util/log.h"

#include "groups.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct log sink;
static int pipe_fds[2];
static char line[3 * LOG_LINE_MAX];
static size_t line_size;

static int set_up(void **state)
{
	(void)state;
	if (pipe(pipe_fds) < 0)
		return -1;
	sink = (struct log){ .fd = pipe_fds[1] };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* End the line, and read what was written: one write, one line. */
static void finish(struct log_line *l)
{
	ssize_t n;

	log_end(l);
	n = read(pipe_fds[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line_size = (size_t)n;
	line[n] = '\0';
	assert_true(line_size <= LOG_LINE_MAX);
	assert_int_equal(strlen(line), line_size);
	assert_int_equal(line[line_size - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + line_size - 1);
	for (size_t i = 0; i < line_size - 1; i++)
		assert_true(line[i] >= 0x20 && line[i] < 0x7f);
}

static void write_pair(enum log_format format, const char *key, const char *value)
{
	struct log_line l;

	sink.format = format;
	log_begin(&l, &sink, "deny");
	log_text(&l, key, value);
	log_number(&l, "sequence", -1);
	finish(&l);
}

static void assert_text(const char *value, const char *expected)
{
	char whole[256];

	write_pair(LOG_TEXT, "k", value);
	snprintf(whole, sizeof(whole), "deny k=%s sequence=-1\n", expected);
	assert_string_equal(line, whole);
}

static void assert_json(const char *value, const char *expected)
{
	char whole[256];

	write_pair(LOG_JSON, "k", value);
	snprintf(whole, sizeof(whole), "{\"event\":\"deny\",\"k\":\"%s\",\"sequence\":-1}\n",
		expected);
	assert_string_equal(line, whole);
}

static void test_log_text_quotes_and_escapes(void **state)
{
	(void)state;
	assert_text("plain-text.1:2/3", "plain-text.1:2/3");
	assert_text("", "\"\"");
	assert_text("two words", "\"two words\"");
	assert_text("a=b", "\"a=b\"");
	assert_text("a,b", "\"a,b\"");
	assert_text("say \"no\"", "\"say \\\"no\\\"\"");
	assert_text("back\\slash", "\"back\\\\slash\"");
	assert_text("x\ndeny k=y", "\"x\\x0adeny k=y\"");
	assert_text("\r\t\x01\x7f\x1b[31m", "\"\\x0d\\x09\\x01\\x7f\\x1b[31m\"");
	assert_text("\xc3\xa4\xff", "\"\\xc3\\xa4\\xff\"");
}

static void test_log_text_escapes_json(void **state)
{
	(void)state;
	assert_json("plain", "plain");
	assert_json("", "");
	assert_json("say \"no\"", "say \\\"no\\\"");
	assert_json("back\\slash", "back\\\\slash");
	assert_json("\",\"uid\":\"0", "\\\",\\\"uid\\\":\\\"0");
	assert_json("x\n{\"event\"", "x\\u000a{\\\"event\\\"");
	assert_json("\x7f\xff\x01", "\\u007f\\u00ff\\u0001");
}

static void test_log_number_writes_extremes(void **state)
{
	struct log_line l;

	(void)state;
	log_begin(&l, &sink, "call");
	log_number(&l, "a", INT64_MIN);
	log_number(&l, "b", INT64_MAX);
	log_number(&l, "c", 0);
	finish(&l);
	assert_string_equal(line, "call a=-9223372036854775808 b=9223372036854775807 c=0\n");
}

/* A reader of what log.c may write in JSON: one flat object of texts and numbers. */

static bool take(const char **at, const char *piece)
{
	if (strncmp(*at, piece, strlen(piece)) != 0)
		return false;
	*at += strlen(piece);
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool take_string(const char **at)
{
	if (!take(at, "\""))
		return false;
	while (**at != '"') {
		if (**at == '\0' || **at == '\n')
			return false;
		if (**at != '\\') {
			++*at;
			continue;
		}
		++*at;
		if (**at == 'u') {
			for (int i = 1; i <= 4; i++) {
				if (!is_hex((*at)[i]))
					return false;
			}
			*at += 4;
		} else if (**at != '"' && **at != '\\') {
			return false;
		}
		++*at;
	}
	++*at;
	return true;
}

static bool take_value(const char **at)
{
	const char *start = *at;

	if (**at == '"')
		return take_string(at);
	while (**at == '-' || (**at >= '0' && **at <= '9'))
		++*at;
	return *at > start;
}

static bool is_json_line(const char *text)
{
	if (!take(&text, "{"))
		return false;
	do {
		if (!take_string(&text) || !take(&text, ":") || !take_value(&text))
			return false;
	} while (take(&text, ","));
	return take(&text, "}\n") && *text == '\0';
}

/* And of what it may write as text: a word, and pairs whose values are bare or quoted. */
static bool is_text_line(const char *text)
{
	text += strcspn(text, " \n");
	while (take(&text, " ")) {
		size_t key = strcspn(text, "= \"\n");

		text += key;
		if (key == 0 || !take(&text, "="))
			return false;
		if (*text != '"') {
			text += strcspn(text, " \"\n=");
			continue;
		}
		for (text++; *text != '"'; text++) {
			if (*text == '\\')
				text++;
			if (*text == '\0' || *text == '\n')
				return false;
		}
		text++;
	}
	return strcmp(text, "\n") == 0;
}

static void assert_line_is_good(void)
{
	if (sink.format == LOG_JSON ? !is_json_line(line) : !is_text_line(line))
		fail_msg("not a line: %s", line);
}

static char *fill(char *buffer, char c, size_t size)
{
	memset(buffer, c, size);
	buffer[size] = '\0';
	return buffer;
}

/* Every length about the end of the line, with characters that take one, two, four or six bytes. */
static void test_log_text_ends_a_line_well_at_any_length(void **state)
{
	static const char characters[] = { 'a', ' ', '"', '\n', '\xff' };
	static char value[LOG_LINE_MAX + 200];

	(void)state;
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		for (size_t c = 0; c < sizeof(characters); c++) {
			for (size_t size = 1;
				size<sizeof(value); size += size % 512> 480 || size > 1960 ? 1
											   : 17) {
				write_pair((enum log_format)format, "k",
					fill(value, characters[c], size));
				assert_line_is_good();
			}
		}
	}
}

static void test_log_text_leaves_out_what_does_not_fit(void **state)
{
	static char value[10 * LOG_LINE_MAX];
	struct log_line l;

	(void)state;
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		sink.format = (enum log_format)format;
		log_begin(&l, &sink, "deny");
		log_number(&l, "uid", 7);
		log_text(&l, "reason", fill(value, 'x', sizeof(value) - 1));
		log_text(&l, "more", "y");
		log_number(&l, "sequence", 1);
		finish(&l);
		assert_line_is_good();
		assert_non_null(strstr(line, "uid"));
		assert_non_null(strstr(line, "xxxx"));
		assert_null(strstr(line, "more"));
		assert_null(strstr(line, "sequence"));
	}
}

static void test_log_text_takes_many_keys(void **state)
{
	struct log_line l;

	(void)state;
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		for (int step = 1; step < 40; step++) {
			char value[48];

			sink.format = (enum log_format)format;
			log_begin(&l, &sink, "call");
			for (int i = 0; i < 3000; i++) {
				if (i % 3 == 0)
					log_number(&l, "number", i * step);
				else
					log_text(&l, "text",
						fill(value, i % 3 == 1 ? 'v' : '"', (size_t)step));
			}
			finish(&l);
			assert_line_is_good();
		}
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Bytes of all kinds, and more often those that mean something. */
static void fill_random(char *text, size_t size, uint32_t *seed)
{
	static const char special[] = "\"\\\n\r =,{}:\x1b\x7f";

	for (size_t i = 0; i < size; i++) {
		uint32_t r = next_random(seed);

		text[i] = r % 3 == 0 ? special[r / 3 % (sizeof(special) - 1)]
				     : (char)(r / 3 % 255 + 1);
	}
	text[size] = '\0';
}

static void test_log_text_survives_random_values(void **state)
{
	static char value[LOG_LINE_MAX * 2];
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct log_line l;
		uint32_t pairs = next_random(&seed) % 9;

		sink.format = i % 2 == 0 ? LOG_TEXT : LOG_JSON;
		log_begin(&l, &sink, "fail");
		for (uint32_t p = 0; p < pairs; p++) {
			uint32_t most = next_random(&seed) % 4 == 0 ? sizeof(value) : 300;

			fill_random(value, next_random(&seed) % most, &seed);
			if (next_random(&seed) % 3 == 0)
				log_number(&l, "n", (int64_t)next_random(&seed) - 1000);
			else
				log_text(&l, "key", value);
		}
		finish(&l);
		assert_line_is_good();
	}
}

static void test_log_end_does_not_mind_that_nobody_reads(void **state)
{
	struct log_line l;

	(void)state;
	sink.fd = -1;
	log_begin(&l, &sink, "call");
	log_end(&l);
}

int log_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_log_text_quotes_and_escapes),
		TEST(test_log_text_escapes_json),
		TEST(test_log_number_writes_extremes),
		TEST(test_log_text_ends_a_line_well_at_any_length),
		TEST(test_log_text_leaves_out_what_does_not_fit),
		TEST(test_log_text_takes_many_keys),
		TEST(test_log_text_survives_random_values),
		TEST(test_log_end_does_not_mind_that_nobody_reads),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
