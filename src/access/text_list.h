/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Text list: receives strings, one at a time; hands on an array of copies that ends with NULL.
 */
#ifndef ACCESS_TEXT_LIST_H
#define ACCESS_TEXT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct text_list {
	char **items; /* NULL: empty */
	size_t count;
	size_t capacity;
};

/* Copies @text. Returns 0 or -ENOMEM. */
int text_list_add(struct text_list *list, const char *text);

bool text_list_has(const struct text_list *list, const char *text);

/* The array, never NULL; good until the next addition. */
const char *const *text_list_items(const struct text_list *list);

/* All of it in one string, ", " between. Returns NULL when out of memory. */
char *text_list_join(const struct text_list *list);

void text_list_deinit(struct text_list *list);

#endif
