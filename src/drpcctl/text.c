/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Text: receives strings and bytes from files and servers; hands on what a terminal or a JSON
 * parser can take, whatever is in them.
 */
#include "drpcctl/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * The length of the UTF-8 sequence at the start of @bytes, 0 when it is none: no surrogates,
 * nothing longer than it need be, nothing above U+10FFFF.
 */
static size_t utf8_length(const uint8_t *bytes, size_t size)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t length;

	if (bytes[0] < 0x80)
		return 1;
	length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
	if (bytes[0] < 0xc0 || bytes[0] > 0xf4 || length > size)
		return 0;
	code = bytes[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3fU);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

/* U+0080 to U+009F command some terminals too. */
static bool is_control(const uint8_t *bytes, size_t length)
{
	if (length == 1)
		return bytes[0] < ' ' || bytes[0] == 0x7f;
	return length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

bool is_printable_text(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size;) {
		size_t length = utf8_length(bytes + i, size - i);

		if (length == 0)
			return false;
		if (is_control(bytes + i, length) && bytes[i] != '\n' && bytes[i] != '\t')
			return false;
		i += length;
	}
	return true;
}

void print_hex(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		putchar(digits[bytes[i] >> 4]);
		putchar(digits[bytes[i] & 15]);
	}
}

void print_json_bytes(const uint8_t *bytes, size_t size)
{
	putchar('"');
	for (size_t i = 0; i < size;) {
		size_t length = utf8_length(bytes + i, size - i);

		if (length == 0)
			fputs("\\ufffd", stdout);
		else if (length == 1 && (bytes[i] == '"' || bytes[i] == '\\'))
			printf("\\%c", bytes[i]);
		else if (is_control(bytes + i, length))
			printf("\\u%04x", length == 1 ? bytes[i] : bytes[i + 1]);
		else
			fwrite(bytes + i, 1, length, stdout);
		i += length == 0 ? 1 : length;
	}
	putchar('"');
}

void print_json(const char *text)
{
	if (text == NULL)
		fputs("null", stdout);
	else
		print_json_bytes((const uint8_t *)text, strlen(text));
}

void print_json_problems(const struct drpc_problems *problems)
{
	putchar('[');
	for (size_t i = 0; i < drpc_problems_count(problems); i++) {
		fputs(i == 0 ? "" : ",", stdout);
		print_json(drpc_problems_text(problems, i));
	}
	putchar(']');
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int parse_hex(const char *text, uint8_t **ret_bytes, size_t *ret_size)
{
	AUTO_FREE uint8_t *bytes = malloc(strlen(text) / 2 + 1);
	size_t size = 0;

	if (bytes == NULL)
		return -ENOMEM;
	while (*(text += strspn(text, " \t\n")) != '\0') {
		int high = digit_value(text[0]);
		int low = high < 0 ? -1 : digit_value(text[1]);

		if (low < 0)
			return -EINVAL;
		bytes[size++] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	*ret_bytes = take_ptr(bytes);
	*ret_size = size;
	return 0;
}
