/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Result: medians, ratios, the table and its JSON. See result.h. */
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CELL_MAX 64

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double values_quantile(double *values, size_t count, unsigned per_mille)
{
	size_t at = (count - 1) * per_mille / 1000;

	qsort(values, count, sizeof(*values), double_compare);
	if (per_mille == 500 && count % 2 == 0)
		return (values[at] + values[at + 1]) / 2;
	return values[at];
}

static double median_of(const double *values, size_t count)
{
	double copy[ROUNDS_MAX];

	for (size_t i = 0; i < count; i++)
		copy[i] = values[i];
	return values_quantile(copy, count, 500);
}

struct summary series_summary(const struct series *s)
{
	double ratios[ROUNDS_MAX];
	struct summary sum;

	for (size_t i = 0; i < s->rounds; i++)
		ratios[i] = s->side[1][i] / s->side[0][i];
	sum.side[0] = median_of(s->side[0], s->rounds);
	sum.side[1] = median_of(s->side[1], s->rounds);
	sum.ratio = values_quantile(ratios, s->rounds, 500);
	sum.low = ratios[0];
	sum.high = ratios[s->rounds - 1];
	return sum;
}

struct result *results_add(struct results *r, const char *name, const char *work)
{
	struct result *added = &r->list[r->count++];

	*added = (struct result){
		.name = name,
		.work = work,
		.unit = "",
		.side = { (double)NAN, (double)NAN },
		.ratio = (double)NAN,
		.low = (double)NAN,
		.high = (double)NAN,
		.target_text = "",
		.judged = (double)NAN,
	};
	return added;
}

static bool result_is_met(const struct result *r)
{
	return r->at_least ? r->judged >= r->target : r->judged <= r->target;
}

static const char *met_text(const struct result *r)
{
	if (isnan(r->judged))
		return "-";
	return result_is_met(r) ? "yes" : "no";
}

static void cell_figure(char cell[CELL_MAX], const struct result *r, double value)
{
	if (isnan(value))
		snprintf(cell, CELL_MAX, "-");
	else
		snprintf(cell, CELL_MAX, "%.*f%s%s", r->decimals, value, r->unit[0] ? " " : "",
			r->unit);
}

static void cell_ratio(char cell[CELL_MAX], const struct result *r)
{
	if (isnan(r->ratio))
		snprintf(cell, CELL_MAX, "-");
	else if (isnan(r->low))
		snprintf(cell, CELL_MAX, "%.2f", r->ratio);
	else
		snprintf(cell, CELL_MAX, "%.2f (%.2f..%.2f)", r->ratio, r->low, r->high);
}

static void line_print(const char *work, const char *first, const char *second, const char *ratio,
	const char *target, const char *met)
{
	printf("%-42s %15s %15s  %-20s %-16s %s\n", work, first, second, ratio, target, met);
}

void results_print(const struct results *r)
{
	line_print("work", r->names[0], r->names[1], "ratio (min..max)", "target", "met");
	for (size_t i = 0; i < r->count; i++) {
		const struct result *line = &r->list[i];
		char first[CELL_MAX], second[CELL_MAX], ratio[CELL_MAX];

		cell_figure(first, line, line->side[0]);
		cell_figure(second, line, line->side[1]);
		cell_ratio(ratio, line);
		line_print(line->work, first, second, ratio, line->target_text, met_text(line));
	}
	printf("\n");
	for (size_t i = 0; i < r->count; i++) {
		if (r->list[i].note[0])
			printf("%s: %s\n", r->list[i].name, r->list[i].note);
	}
}

static void json_number(const char *key, double value)
{
	if (isnan(value))
		printf("\"%s\": null, ", key);
	else
		printf("\"%s\": %.6g, ", key, value);
}

static void json_result(const struct result *r, const char *const names[2])
{
	printf("    {\"name\": \"%s\", \"work\": \"%s\", \"unit\": \"%s\", ", r->name, r->work,
		r->unit);
	json_number(names[0], r->side[0]);
	json_number(names[1], r->side[1]);
	json_number("ratio", r->ratio);
	json_number("ratio_min", r->low);
	json_number("ratio_max", r->high);
	json_number("judged", r->judged);
	json_number("target", r->target);
	printf("\"target_is\": \"%s\", \"met\": %s, \"note\": \"%s\"}",
		r->at_least ? "at least" : "at most",
		isnan(r->judged) ? "null" : (result_is_met(r) ? "true" : "false"), r->note);
}

void results_print_json(const struct results *r)
{
	printf("{\n  \"sides\": [\"%s\", \"%s\"], \"quick\": %s,\n  \"rows\": [\n", r->names[0],
		r->names[1], r->quick ? "true" : "false");
	for (size_t i = 0; i < r->count; i++) {
		json_result(&r->list[i], r->names);
		printf("%s\n", i + 1 < r->count ? "," : "");
	}
	printf("  ]\n}\n");
}
