/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * drpcctl: receives a command line; finds the command in a table and hands the rest of the line on
 * to it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "drpcctl/command.h"
#include "util/cleanup.h"

struct command {
	const char *name; /* one or two words */
	const char *help;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "call", "call a method and print the answer", command_call },
	{ "policy check", "say what is wrong with policy files", command_policy_check },
	{ "policy explain", "say who may call what, and by which rule", command_policy_explain },
};

static void print_help(FILE *stream)
{
	fputs("drpcctl - call a drpc server, and check and explain its policies\n\n"
	      "Usage: drpcctl COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n",
		stream);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stream, "  %-16s %s\n", commands[i].name, commands[i].help);
	fputs("\nOptions:\n"
	      "  --help           this text; after a command, the command's own\n"
	      "  --version        the version\n\n"
	      "Exit: 0 done or allowed; 1 the answer is no; 2 the command line is wrong;\n"
	      "3 the server could not be reached or understood, or the system failed.\n",
		stream);
}

int usage_error(const char *command, const char *format, ...)
{
	va_list values;

	fprintf(stderr, "%s: ", command);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fprintf(stderr, "; see %s --help\n", command);
	return EXIT_USAGE;
}

int trouble(const char *command, const char *format, ...)
{
	va_list values;

	fprintf(stderr, "%s: ", command);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	return EXIT_TROUBLE;
}

bool parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
	const char *digits = text + (*text == '-' && min < 0);
	char *end;
	long long number;

	if (*digits < '0' || *digits > '9')
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || number < min || number > max)
		return false;
	*ret_number = number;
	return true;
}

bool is_number(const char *text)
{
	return *text == '-' || (*text >= '0' && *text <= '9');
}

void print_problems(const struct drpc_problems *problems)
{
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		puts(drpc_problems_text(problems, i));
}

/* How many arguments the command's name takes; 0: this is not what was typed. */
static int match(const struct command *command, int argc, char **argv)
{
	const char *second = strchr(command->name, ' ');
	size_t length = second == NULL ? strlen(command->name) : (size_t)(second - command->name);

	if (argc < 1 || strncmp(argv[0], command->name, length) != 0 || argv[0][length] != '\0')
		return 0;
	if (second == NULL)
		return 1;
	return argc >= 2 && strcmp(argv[1], second + 1) == 0 ? 2 : 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	char name[64];

	snprintf(name, sizeof(name), "drpcctl %s", command->name);
	argv[0] = name;
	return command->run(argc, argv);
}

/* An answer that could not be written is no answer. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return code;
	return trouble("drpcctl", "cannot write the answer: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage_error("drpcctl", "no command");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		int words = match(&commands[i], argc - 1, argv + 1);

		if (words > 0)
			return finish(run(&commands[i], argc - words, argv + words));
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[argc - 1], "--help") == 0) {
		print_help(stdout);
		return finish(EXIT_DONE);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("drpcctl " DRPC_VERSION);
		return finish(EXIT_DONE);
	}
	return usage_error("drpcctl",
		"no such command: %s; the commands are call, policy check and policy explain",
		argv[1]);
}
