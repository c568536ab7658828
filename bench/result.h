/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Result: what was measured, round by round, to a line of the table that a person reads, or to
 * JSON.
 */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#define ROUNDS_MAX  32
#define RESULTS_MAX 16

/* One figure of both sides, measured in turn: a pair for each round. */
struct series {
	double side[2][ROUNDS_MAX];
	size_t rounds;
};

/* The ratios second / first of each pair, and the median of each side. */
struct summary {
	double side[2];
	double ratio;
	double low;
	double high;
};

struct result {
	const char *name; /* for --rows and JSON */
	const char *work; /* for a person */
	const char *unit; /* of both sides; static, as all strings here */
	int decimals;
	double side[2]; /* floor, drpcd; NAN: not measured */
	double ratio;	/* NAN: has no meaning for this row */
	double low;
	double high;
	const char *target_text;
	double target;
	bool at_least; /* else at most */
	double judged; /* what the target is for */
	char note[200];
};

struct results {
	struct result list[RESULTS_MAX];
	size_t count;
	const char *names[2]; /* of the two sides */
	bool quick;
	bool failed; /* something could not be run */
};

/* The value that @per_mille of 1000 are at most; sorts @values. */
double values_quantile(double *values, size_t count, unsigned per_mille);

struct summary series_summary(const struct series *s);

/* The next line of the table, to be filled in; what is not measured stays NAN. */
struct result *results_add(struct results *r, const char *name, const char *work);

void results_print(const struct results *r);
void results_print_json(const struct results *r);

#endif
