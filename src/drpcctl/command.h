/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Command: what every command of drpcctl has in common. A command receives its own arguments,
 * argv[0] being its name; it prints its answer on standard output, usage errors on standard error,
 * and hands on one of the exit codes.
 */
#ifndef DRPCCTL_COMMAND_H
#define DRPCCTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <drpc/problems.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1,	  /* the answer is no: denied, policy wrong, call refused */
	EXIT_USAGE = 2,	  /* the command line is wrong */
	EXIT_TROUBLE = 3, /* the server could not be reached or understood, or the system failed */
};

int command_call(int argc, char **argv);
int command_policy_check(int argc, char **argv);
int command_policy_explain(int argc, char **argv);

/* "NAME: MESSAGE" and where to find help, on standard error. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "NAME: MESSAGE" on standard error. Returns EXIT_TROUBLE. */
int trouble(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A whole decimal number, a '-' before it if @min is negative. */
bool parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_number);

/* Whether an argument is meant as a number: names begin with a letter. */
bool is_number(const char *text);

/* One problem a line, as they are. */
void print_problems(const struct drpc_problems *problems);

#endif
