/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * INI: libinih, with what a careful reader of privileged configuration needs on top: line numbers,
 * every section announced (also an empty one), continuation lines told from repeated keys, and
 * nothing cut short or passed over in silence. Receives text; hands on events in the order of the
 * file.
 */
#ifndef UTIL_INI_H
#define UTIL_INI_H

#include <stdbool.h>
#include <stddef.h>

#include <drpc/problems.h>

/* The longest line, without its newline: libinih's buffer of 200, less a NUL. */
#define INI_LINE_MAX_BYTES 199

struct ini_event {
	unsigned line;
	const char *section; /* as it stands between the brackets; "" before the first */
	const char *key;     /* NULL: this event opens the section */
	const char *value;   /* without comment and surrounding blanks */
	bool continued;	     /* the line was indented: more of the list of the key above */
};

typedef void ini_handler_fn(void *data, const struct ini_event *event);

/*
 * Parse @text. Everything that is not a comment, a section or a pair goes to @problems under the
 * name
 * @file: a line above 199 characters, a control character, a name that inih would cut, a bracket
 * that is not closed, text after one, a ':' in place of '=', an indented line that continues
 * nothing. What stands under a refused section or continues a refused key is checked, but not
 * handed on. Returns 0 when it was all well-formed, -EINVAL when not (the handler still saw what
 * was), -ENOMEM.
 */
int ini_read(const char *file, const char *text, size_t size, struct drpc_problems *problems,
	ini_handler_fn *handler, void *data);

#endif
