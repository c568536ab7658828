/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * INI: what is handed on of each kind of line, and that nothing libinih would cut or pass over gets
 * through. The answers are written as text: "3[a]" opens section a in line 3, "4 k=v" is a pair,
 * "5+k=v" goes on.
 */
#include "groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/ini.h"

struct seen {
	char events[4096];
	char problems[4096];
	int result;
};

static void take(void *data, const struct ini_event *event)
{
	char *events = data;
	size_t used = strlen(events);

	if (event->key == NULL)
		snprintf(events + used, 4096 - used, "%u[%s] ", event->line, event->section);
	else
		snprintf(events + used, 4096 - used, "%u%c%s=%s ", event->line,
			event->continued ? '+' : ' ', event->key, event->value);
}

static struct seen read_bytes(const char *text, size_t size)
{
	struct drpc_problems *problems = drpc_problems_new();
	char *copy = malloc(size + 1); /* of the exact size, for the sanitizers */
	struct seen seen = { 0 };

	assert_non_null(copy);
	memcpy(copy, text, size);
	copy = realloc(copy, size == 0 ? 1 : size);
	seen.result = ini_read("f", copy, size, problems, take, seen.events);
	for (size_t i = 0; i < drpc_problems_count(problems); i++) {
		strcat(seen.problems, drpc_problems_text(problems, i));
		strcat(seen.problems, "\n");
	}
	assert_int_equal(seen.result, drpc_problems_count(problems) == 0 ? 0 : -EINVAL);
	drpc_problems_free(problems);
	free(copy);
	return seen;
}

static void expect(const char *text, const char *events)
{
	struct seen seen = read_bytes(text, strlen(text));

	assert_string_equal(seen.problems, "");
	assert_string_equal(seen.events, events);
}

/* @problem: the beginning of the only one. */
static void expect_refused(const char *text, const char *problem, const char *events)
{
	struct seen seen = read_bytes(text, strlen(text));

	assert_int_equal(strncmp(seen.problems, problem, strlen(problem)), 0);
	assert_ptr_equal(strchr(seen.problems, '\n'), seen.problems + strlen(seen.problems) - 1);
	assert_string_equal(seen.events, events);
}

static void test_ini_read_hands_on_sections_and_pairs(void **state)
{
	(void)state;
	expect("", "");
	expect("\n\n", "");
	expect("[a]\nk = v\n", "1[a] 2 k=v ");
	expect("[a]\n[b]\n\n[c]", "1[a] 2[b] 4[c] ");
	expect("[a]\nk=v", "1[a] 2 k=v ");
	expect("[a]\nk=\n", "1[a] 2 k= ");
	expect("[a]\nk = b=c:d\n", "1[a] 2 k=b=c:d ");
}

static void test_ini_read_takes_comments_away(void **state)
{
	(void)state;
	expect("; c\n# c\n[a] ; c\nk = v ; c\n  ; c\n\t# c\nl = ; c\n", "3[a] 4 k=v 7 l= ");
}

static void test_ini_read_tells_continuation_from_repetition(void **state)
{
	(void)state;
	expect("[a]\nk = 1\nk = 2\n  3\n\n\t4 ; c\n", "1[a] 2 k=1 3 k=2 4+k=3 6+k=4 ");
}

static void test_ini_read_takes_windows_files(void **state)
{
	(void)state;
	expect("\xEF\xBB\xBF[a]\r\nk = v\r\n  w\r\n", "1[a] 2 k=v 3+k=w ");
}

static void test_ini_read_refuses_what_inih_would_misread(void **state)
{
	(void)state;
	expect_refused("[a]\nk : v\n", "f:2: ':' after a key; write '='", "1[a] ");
	expect_refused("[a]\nk:v=w\n", "f:2: ':' after a key; write '='", "1[a] ");
	expect_refused("[a]\nk\n", "f:2: neither", "1[a] ");
	expect_refused("[a]\nk ; = v\n", "f:2: neither", "1[a] ");
	expect_refused("[a]\n= v\n", "f:2: a key has 1 to 49", "1[a] ");
	expect_refused("[a]\nk = v;w\n", "f:2: ';' within", "1[a] ");
	expect_refused("[a]\nk =;w\n", "f:2: ';' within", "1[a] ");
	expect_refused("[a]\nk = v # w\n", "f:2: '#' within", "1[a] ");
	expect_refused("[a]\nk = v\n w;x\n", "f:3: ';' within", "1[a] 2 k=v ");
}

static void test_ini_read_refuses_broken_sections(void **state)
{
	(void)state;
	expect_refused("[a\n", "f:1: the bracket is not closed", "");
	expect_refused("[a ; ]\n", "f:1: the bracket is not closed", "");
	expect_refused("[a] b\n", "f:1: text after ']'", "");
	expect_refused("[a];b\n", "f:1: text after ']'", "");
	expect_refused("[a] # b\n", "f:1: text after ']'", "");
	expect_refused("[a]]\n", "f:1: text after ']'", "");
	expect_refused("[]\n", "f:1: a section's name", "");
	expect_refused("[a]\nk = v\n [b]\n", "f:3: an indented '['", "1[a] 2 k=v ");
	expect_refused("\t[a]\n", "f:1: an indented '['", "");
}

static void test_ini_read_refuses_continuation_of_nothing(void **state)
{
	(void)state;
	expect_refused("[a]\n k = v\n", "f:2: an indented line continues", "1[a] ");
	expect_refused(
		"[a]\nk = v\n[b]\n w\n", "f:4: an indented line continues", "1[a] 2 k=v 3[b] ");
	expect_refused("[a]\nk = v\n l = w\n", "f:3: '=' on an indented line", "1[a] 2 k=v ");
}

/* Whose they are is not known, and a problem of their own would only mislead. */
static void test_ini_read_keeps_back_what_follows_a_refused_line(void **state)
{
	(void)state;
	expect_refused("[a\nk = v\n  w\n[b]\nl = 1\n", "f:1: the bracket", "4[b] 5 l=1 ");
	expect_refused("[a]\nj = 1\nk : v\n  w\nl = 2\n", "f:3: ':'", "1[a] 2 j=1 5 l=2 ");
}

static void test_ini_read_reports_every_problem(void **state)
{
	struct seen seen = read_bytes("[a\nx\n[b]\ny\n:\n", 13);

	(void)state;
	assert_string_equal(seen.problems, "f:1: the bracket is not closed; write [section]\n"
					   "f:2: neither a [section], a key = value nor a comment\n"
					   "f:4: neither a [section], a key = value nor a comment\n"
					   "f:5: ':' after a key; write '=' instead\n");
	assert_string_equal(seen.events, "3[b] ");
}

static void test_ini_read_takes_lines_to_the_limit(void **state)
{
	char text[2 * INI_LINE_MAX_BYTES + 16];
	struct seen seen;

	(void)state;
	for (size_t length = INI_LINE_MAX_BYTES - 2; length <= INI_LINE_MAX_BYTES + 2; length++) {
		for (int last = 0; last < 2; last++) {
			memset(text, 'x', sizeof(text));
			text[1] = '=';
			strcpy(text + length, last ? "" : "\nk=v");
			seen = read_bytes(text, strlen(text));
			assert_int_equal(seen.result, length <= INI_LINE_MAX_BYTES ? 0 : -EINVAL);
			if (seen.result == 0)
				assert_int_equal(strlen(seen.events), length + 3 + (last ? 0 : 6));
			else
				assert_string_equal(seen.events, last ? "" : "2 k=v ");
		}
	}
}

static void test_ini_read_takes_names_to_the_limit(void **state)
{
	char text[128];

	(void)state;
	for (int length = 48; length <= 51; length++) {
		int good = length <= 49;

		snprintf(text, sizeof(text), "[%0*d]", length, 0);
		assert_int_equal(read_bytes(text, strlen(text)).result, good ? 0 : -EINVAL);
		snprintf(text, sizeof(text), "[a]\n%0*d = 1\n  2\n", length, 0);
		assert_int_equal(read_bytes(text, strlen(text)).result, good ? 0 : -EINVAL);
	}
}

static void test_ini_read_refuses_every_control_character(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[] = "[a]\n; .\nk = v\n";
		bool control = (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
		struct seen seen;

		text[6] = (char)c;
		seen = read_bytes(text, sizeof(text) - 1);
		assert_int_equal(seen.result, control ? -EINVAL : 0);
	}
	assert_int_equal(read_bytes("[a]\nk = a\rb\n", 12).result, -EINVAL);
}

int ini_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ini_read_hands_on_sections_and_pairs),
		cmocka_unit_test(test_ini_read_takes_comments_away),
		cmocka_unit_test(test_ini_read_tells_continuation_from_repetition),
		cmocka_unit_test(test_ini_read_takes_windows_files),
		cmocka_unit_test(test_ini_read_refuses_what_inih_would_misread),
		cmocka_unit_test(test_ini_read_refuses_broken_sections),
		cmocka_unit_test(test_ini_read_refuses_continuation_of_nothing),
		cmocka_unit_test(test_ini_read_keeps_back_what_follows_a_refused_line),
		cmocka_unit_test(test_ini_read_reports_every_problem),
		cmocka_unit_test(test_ini_read_takes_lines_to_the_limit),
		cmocka_unit_test(test_ini_read_takes_names_to_the_limit),
		cmocka_unit_test(test_ini_read_refuses_every_control_character),
	};

	return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}
