/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Text: receives strings and bytes from files and servers; hands on what a terminal or a JSON
 * parser can take, whatever is in them.
 */
#ifndef DRPCCTL_TEXT_H
#define DRPCCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/problems.h>

/* UTF-8 without control characters, newline and tab apart. */
bool is_printable_text(const uint8_t *bytes, size_t size);

/* Two lower-case digits a byte, on standard output. */
void print_hex(const uint8_t *bytes, size_t size);

/* A JSON string with its quotes, on standard output; null for NULL. Bytes that are no UTF-8 become
 * U+FFFD. */
void print_json(const char *text);
void print_json_bytes(const uint8_t *bytes, size_t size);

/* A JSON array of the problems. */
void print_json_problems(const struct drpc_problems *problems);

/* Bytes of hexadecimal digits, blanks between bytes allowed. Returns 0, -EINVAL or -ENOMEM. */
int parse_hex(const char *text, uint8_t **ret_bytes, size_t *ret_size);

#endif
