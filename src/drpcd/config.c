/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Configuration: see config.h. */
#include "drpcd/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/ini.h"
#include "util/trusted_file.h"

#define CONFIG_MAX_BYTES ((size_t)1024 * 1024)

struct option;

/* Read @value into @field; false: it is not such a value, and option->expects says what is. */
typedef bool option_reader(const struct option *option, const char *value, void *field);

struct option {
	const char *name;    /* as a flag with two dashes, as a key without */
	const char *expects; /* what stands for the value in --help and in messages */
	const char *help;
	size_t field;
	option_reader *read;
	uint64_t min;
	uint64_t max;
};

static bool read_text(const struct option *option, const char *value, void *field)
{
	char **text = field;
	char *copy = value[0] != '\0' ? strdup(value) : NULL;

	(void)option;
	if (copy == NULL)
		return false;
	free(*text);
	*text = copy;
	return true;
}

/* Digits only, so that no sign, blank or base is taken for something else. */
static bool read_digits(const char *text, int base, const char **ret_end, uint64_t *ret_number)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(text, &end, base);
	*ret_end = end;
	return errno == 0;
}

static bool store(const struct option *option, uint64_t number, void *field)
{
	if (number < option->min || number > option->max)
		return false;
	*(uint64_t *)field = number;
	return true;
}

static bool read_number(const struct option *option, const char *value, void *field)
{
	const char *end;
	uint64_t number;

	return read_digits(value, 10, &end, &number) && *end == '\0' &&
	       store(option, number, field);
}

static bool read_octal(const struct option *option, const char *value, void *field)
{
	const char *end;
	uint64_t number;

	return read_digits(value, 8, &end, &number) && *end == '\0' && store(option, number, field);
}

struct unit {
	const char *suffix;
	uint64_t factor;
};

static bool read_with_unit(const struct option *option, const char *value, void *field,
	const struct unit *units, size_t unit_count)
{
	const char *end;
	uint64_t number;

	if (!read_digits(value, 10, &end, &number))
		return false;
	for (size_t i = 0; i < unit_count; i++) {
		if (strcmp(end, units[i].suffix) == 0)
			return number <= UINT64_MAX / units[i].factor &&
			       store(option, number * units[i].factor, field);
	}
	return false;
}

static bool read_size(const struct option *option, const char *value, void *field)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "K", 1024 },
		{ "M", 1024 * 1024 },
		{ "G", 1024 * 1024 * 1024 },
	};

	return read_with_unit(option, value, field, units, ARRAY_SIZE(units));
}

static bool read_time(const struct option *option, const char *value, void *field)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 } };

	return read_with_unit(option, value, field, units, ARRAY_SIZE(units));
}

/* One of the words of option->expects, "a|b|c": its position is the value. */
static bool read_word(const struct option *option, const char *value, void *field)
{
	const char *word = option->expects;
	size_t length = strlen(value);

	for (uint64_t position = 0; word != NULL; position++) {
		const char *bar = strchr(word, '|');
		size_t word_length = bar != NULL ? (size_t)(bar - word) : strlen(word);

		if (length == word_length && memcmp(word, value, length) == 0)
			return store(option, position, field);
		word = bar != NULL ? bar + 1 : NULL;
	}
	return false;
}

#define FIELD(name) offsetof(struct config, name)
#define MiB	    ((uint64_t)1024 * 1024)

static const struct option options[] = {
	{ "socket", "PATH", "where to listen (/run/drpc/drpcd.sock)", FIELD(socket), read_text, 0,
		0 },
	{ "socket-mode", "OCTAL", "of the socket; the policies decide who may call (0666)",
		FIELD(socket_mode), read_octal, 1, 0777 },
	{ "policy-dir", "DIR", "a .policy file for each module (" DRPC_POLICY_DIR ")",
		FIELD(policy_dir), read_text, 0, 0 },
	{ "module-dir", "DIR", "the modules' libraries (" DRPC_MODULE_DIR ")", FIELD(module_dir),
		read_text, 0, 0 },
	{ "user", "NAME|UID", "who to be; root must say. A bare UID has the same gid and no groups",
		FIELD(user), read_text, 0, 0 },
	{ "threads", "N", "loop threads (the CPUs, at most 8)", FIELD(threads), read_number, 1,
		256 },
	{ "workers", "N", "threads for methods that block (4)", FIELD(workers), read_number, 1,
		256 },
	{ "sandbox", "enforce|log|off",
		"system calls that are not on the list end the process (enforce)", FIELD(sandbox),
		read_word, 0, 2 },
	{ "log", "text|json", "how a line looks on standard error (text)", FIELD(log), read_word, 0,
		1 },
	{ "log-calls", "no|yes", "log every call, not only denials (no)", FIELD(log_calls),
		read_word, 0, 1 },
	{ "max-sessions", "N", "the last 64 of them are root's (16384)", FIELD(max_sessions),
		read_number, 1, 1000000 },
	{ "max-sessions-per-uid", "N", "for each caller (1024)", FIELD(max_sessions_per_uid),
		read_number, 1, 1000000 },
	{ "max-message-size", "SIZE", "the largest message, such as 64M (64M)",
		FIELD(max_message_size), read_size, 4096, 1024 * MiB },
	{ "max-bytes-per-uid", "SIZE", "held for one caller's messages (256M)",
		FIELD(max_bytes_per_uid), read_size, 4096, UINT64_C(1) << 40 },
	{ "message-timeout", "TIME", "for a message to be complete, such as 500ms (10s)",
		FIELD(message_timeout_ms), read_time, 1, 3600000 },
	{ "send-timeout", "TIME", "for a caller to go on reading an answer (10s)",
		FIELD(send_timeout_ms), read_time, 1, 3600000 },
};

static const struct option *find_option(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
			return &options[i];
	}
	return NULL;
}

static bool set(struct config *config, const struct option *option, const char *value)
{
	return option->read(option, value, (char *)config + option->field);
}

/* What a value of the option looks like, for a person who wrote another. */
static const char *option_hint(const struct option *option, char *hint, size_t size)
{
	if (option->read == read_number)
		snprintf(hint, size, "from %" PRIu64 " to %" PRIu64, option->min, option->max);
	else if (option->read == read_time)
		snprintf(hint, size, "such as 500ms or 10s, from 1ms to 3600s");
	else if (option->read == read_size)
		snprintf(hint, size, "such as 512K or 64M, of at least %" PRIu64, option->min);
	else if (option->read == read_octal)
		snprintf(hint, size, "such as 0660, at most 0777");
	else if (option->read == read_word)
		snprintf(hint, size, "one of these words");
	else
		snprintf(hint, size, "not empty");
	return hint;
}

/* The file. */

struct file_reader {
	struct config *config;
	const char *file;
	struct drpc_problems *problems;
	unsigned seen[ARRAY_SIZE(options)]; /* the line of each key */
};

static void add_pair(struct file_reader *reader, const struct ini_event *event)
{
	const struct option *option = find_option(event->key, strlen(event->key));
	char hint[64];
	unsigned *seen;

	if (option == NULL) {
		drpc_problems_add(reader->problems, reader->file, event->line,
			"unknown key \"%s\"; drpcd --help lists them all", event->key);
		return;
	}
	seen = &reader->seen[option - options];
	if (*seen != 0) {
		drpc_problems_add(reader->problems, reader->file, event->line,
			"\"%s\" was set in line %u already; keep one of the two", event->key,
			*seen);
		return;
	}
	*seen = event->line;
	if (!set(reader->config, option, event->value))
		drpc_problems_add(reader->problems, reader->file, event->line,
			"\"%s\" cannot be \"%s\"; write %s = %s, %s", event->key, event->value,
			event->key, option->expects, option_hint(option, hint, sizeof(hint)));
}

static void take_event(void *data, const struct ini_event *event)
{
	struct file_reader *reader = data;

	if (event->section[0] != '\0' && strcmp(event->section, "drpcd") != 0) {
		if (event->key == NULL)
			drpc_problems_add(reader->problems, reader->file, event->line,
				"unknown section [%s]; all keys stand in [drpcd]", event->section);
	} else if (event->continued) {
		drpc_problems_add(reader->problems, reader->file, event->line,
			"an indented line; begin it in the first column");
	} else if (event->key != NULL) {
		add_pair(reader, event);
	}
}

static int read_file(struct config *config, const char *path, struct drpc_problems *problems)
{
	struct file_reader reader = { .config = config, .file = path, .problems = problems };
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = -1;
	size_t size;
	int r;

	fd = trusted_file_open(path, problems);
	if (fd < 0)
		return fd;
	r = trusted_file_read(fd, path, CONFIG_MAX_BYTES, problems, &text, &size);
	if (r < 0)
		return r;
	return ini_read(path, text, size, problems, take_event, &reader);
}

/* The command line. */

static void print_help(void)
{
	puts("Usage: drpcd [OPTION]...\n"
	     "Serve modules to callers whom their policies allow, and to nobody else.\n"
	     "\n"
	     "  --config FILE                   read options from it (" CONFIG_DEFAULT_FILE
	     ", if there)\n"
	     "  --check                         read everything, say what is wrong, start nothing\n"
	     "  --help, --version");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char flag[64];

		snprintf(flag, sizeof(flag), "--%s %s", options[i].name, options[i].expects);
		printf("  %-30s  %s\n", flag, options[i].help);
	}
	puts("\n"
	     "Each option is also a key of the file: \"threads = 2\" in a section [drpcd]. An option\n"
	     "given here wins. SIGTERM finishes calls under way and exits 0. Exit: 1 the start failed,\n"
	     "2 the options are wrong.");
}

struct command_line {
	int argc;
	char **argv;
	int next;
};

/* The value of "--name value" or "--name=value"; NULL: there is none. */
static const char *value_of(struct command_line *line, const char *equals)
{
	if (equals != NULL)
		return equals + 1;
	return line->next < line->argc ? line->argv[line->next++] : NULL;
}

/* One flag with a value. @config NULL: only look for --config. */
static void take_flag(struct config *config, struct command_line *line, const char *flag,
	const char **config_file, struct drpc_problems *problems)
{
	const char *equals = strchr(flag, '=');
	size_t length = equals != NULL ? (size_t)(equals - flag) : strlen(flag);
	bool is_config = length == strlen("config") && memcmp(flag, "config", length) == 0;
	const struct option *option = find_option(flag, length);
	const char *value;
	char hint[64];

	if (!is_config && option == NULL) {
		if (config != NULL)
			drpc_problems_add(problems, NULL, 0,
				"unknown option --%s; drpcd --help lists them all", flag);
		return;
	}
	value = value_of(line, equals);
	if (is_config && value != NULL)
		*config_file = value;
	else if (config != NULL && value == NULL)
		drpc_problems_add(problems, NULL, 0, "--%s needs a value: --%s %s", flag, flag,
			is_config ? "FILE" : option->expects);
	else if (config != NULL && !set(config, option, value))
		drpc_problems_add(problems, NULL, 0, "--%s cannot be \"%s\"; write --%s %s, %s",
			option->name, value, option->name, option->expects,
			option_hint(option, hint, sizeof(hint)));
}

static void take_flags(struct config *config, int argc, char **argv, const char **config_file,
	struct drpc_problems *problems)
{
	struct command_line line = { argc, argv, 1 };

	while (line.next < argc) {
		const char *argument = argv[line.next++];

		if (strcmp(argument, "--check") == 0) {
			if (config != NULL)
				config->check_only = true;
		} else if (strncmp(argument, "--", 2) == 0) {
			take_flag(config, &line, argument + 2, config_file, problems);
		} else if (config != NULL) {
			drpc_problems_add(problems, NULL, 0,
				"unexpected \"%s\"; drpcd takes options only, see drpcd --help",
				argument);
		}
	}
}

static bool is_answered(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return true;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("drpcd " DRPC_VERSION);
			return true;
		}
	}
	return false;
}

static bool set_defaults(struct config *config)
{
	*config = (struct config){
		.socket = strdup("/run/drpc/drpcd.sock"),
		.policy_dir = strdup(DRPC_POLICY_DIR),
		.module_dir = strdup(DRPC_MODULE_DIR),
		.socket_mode = 0666,
	};
	return config->socket != NULL && config->policy_dir != NULL && config->module_dir != NULL;
}

enum config_outcome config_read(
	struct config *config, int argc, char **argv, struct drpc_problems *problems)
{
	const char *file = NULL;

	if (!set_defaults(config)) {
		drpc_problems_add(problems, NULL, 0, "out of memory");
		return CONFIG_WRONG;
	}
	if (is_answered(argc, argv))
		return CONFIG_HELPED;
	take_flags(NULL, argc, argv, &file, problems);
	if (file == NULL && access(CONFIG_DEFAULT_FILE, F_OK) == 0)
		file = CONFIG_DEFAULT_FILE;
	if (file != NULL && read_file(config, file, problems) == -ENOMEM)
		drpc_problems_add(problems, file, 0, "out of memory");
	take_flags(config, argc, argv, &file, problems);
	return drpc_problems_count(problems) == 0 ? CONFIG_READY : CONFIG_WRONG;
}

void config_deinit(struct config *config)
{
	free(config->socket);
	free(config->policy_dir);
	free(config->module_dir);
	free(config->user);
}
