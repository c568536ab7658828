/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Suggest: receives a word that is not known; hands on the known word that was probably meant.
 */
#ifndef ACCESS_SUGGEST_H
#define ACCESS_SUGGEST_H

#include <stddef.h>

/*
 * The one of @count words nearest to @word, or NULL when none is near. @known is the first of an
 * array of structures of @stride bytes that each begin with a pointer to their word.
 */
const char *suggest(const char *word, const void *known, size_t count, size_t stride);

#endif
