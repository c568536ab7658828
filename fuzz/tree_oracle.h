/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Tree oracle: what a body of the schema tree.proto is, found without the code under test: its nesting by a
 * walk that knows the schema's numbers by heart, the rest by protobuf-c.
 */
#ifndef FUZZ_TREE_ORACLE_H
#define FUZZ_TREE_ORACLE_H

#include "tree.pb-c.h"

#include "fuzz.h"

/* How deep a Tree's messages are nested, from 1, as far as the bytes can be followed; at most @max + 1. */
unsigned tree_depth(const uint8_t *data, size_t size, unsigned max);

/*
 * Whether protobuf-c takes the bytes for a Tree; nothing nested too deeply may be asked. With its bytes as
 * it packs them, in memory that the caller frees, if @ret_packed is not NULL.
 */
bool tree_is_accepted(const uint8_t *data, size_t size, uint8_t **ret_packed, size_t *ret_size);

#endif
