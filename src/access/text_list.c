/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Text list: receives strings, one at a time; hands on an array of copies that ends with NULL.
 */
#include "access/text_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int text_list_add(struct text_list *list, const char *text)
{
	char *copy;

	if (list->count + 1 >= list->capacity) { /* one for the NULL */
		size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
		char **items = reallocarray(list->items, capacity, sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	copy = strdup(text);
	list->items[list->count] = copy;
	if (copy == NULL)
		return -ENOMEM;
	list->items[++list->count] = NULL;
	return 0;
}

bool text_list_has(const struct text_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

const char *const *text_list_items(const struct text_list *list)
{
	static const char *const nothing[] = { NULL };

	return list->items == NULL ? nothing : (const char *const *)list->items;
}

char *text_list_join(const struct text_list *list)
{
	size_t size = 1;
	char *text, *end;

	for (size_t i = 0; i < list->count; i++)
		size += strlen(list->items[i]) + 2;
	text = malloc(size);
	if (text == NULL)
		return NULL;
	end = text;
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			end = stpcpy(end, ", ");
		end = stpcpy(end, list->items[i]);
	}
	*end = '\0';
	return text;
}

void text_list_deinit(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list){ 0 };
}
