/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Tree oracle: what a body of the schema tree.proto is, found without the code under test: its
 * nesting by a walk that knows the schema's numbers by heart, the rest by protobuf-c.
 */
#ifndef FUZZ_TREE_ORACLE_H
#define FUZZ_TREE_ORACLE_H

#include "tree.pb-c.h"

#include "fuzz.h"

struct tree_shape {
	unsigned depth; /* of the nesting, from 1; at most one more than was asked for */
	/*
	 * A field numbered 0, which protobuf-c takes when it is written in more than one byte, and
	 * then packs in one, which it refuses.
	 */
	bool has_field_zero;
};

/* As far as the bytes can be followed, and no deeper than @max levels and one. */
struct tree_shape tree_look(const uint8_t *data, size_t size, unsigned max);

/*
 * Whether protobuf-c takes the bytes for a Tree; nothing nested too deeply may be asked. With its
 * bytes as it packs them, in memory that the caller frees, if @ret_packed is not NULL.
 */
bool tree_is_accepted(const uint8_t *data, size_t size, uint8_t **ret_packed, size_t *ret_size);

/* Wrap bytes in so many Trees, each the field number 1 of the next. Takes @data over; the caller
 * frees. */
uint8_t *tree_wrap(uint8_t *data, size_t *size, size_t levels);

#endif
