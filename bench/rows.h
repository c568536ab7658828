/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Rows: each kind of work that is measured, with its target. Receives how much effort to take and
 * what to start; hands on results.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "result.h"
#include "server.h"

struct bench {
	struct server_place place;
	enum server_program second; /* the side that is measured against floor; floor for a check */
	struct exchange small;	    /* a call with 64 bytes of body */
	size_t rounds;		    /* of each side, in turn */
	size_t latency_calls;	    /* in a round */
	uint64_t duration_ns;	    /* of a round that counts calls per second */
	size_t volume;		    /* bytes of bodies in a round */
	size_t idle;		    /* sessions for memory and idle */
	size_t counted_calls;	    /* under callgrind */
	int server_cpu;
	int client_cpu; /* another one, where there is one */
	struct results results;
};

struct row {
	const char *name;
	const char *help;
	int (*run)(struct bench *b, const struct row *row);
	size_t bytes; /* of a body */
};

extern const struct row rows[];
extern const size_t rows_count;

#endif
