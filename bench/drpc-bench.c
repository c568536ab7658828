/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * drpc-bench: how fast drpcd is, beside the least that a server can do. Receives what to measure;
 * hands on one table, or JSON. Figures are no tests: whatever they are, the exit status is 0.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "rows.h"
#include "util/cleanup.h"

#define ROW_SECONDS   120
#define IDLE_SESSIONS 10000
#define FILES_SPARE   200
#define DEFAULT_USER  65533

#define EXIT_NOT_RUN 1
#define EXIT_USAGE   2

static const char help[] =
	"usage: drpc-bench [OPTION]...\n"
	"\n"
	"Measures drpcd, with every protection on and one loop thread, beside floor: a server that\n"
	"only receives, finds the body and sends it back. Starts both, on private sockets, and lets\n"
	"them take turns. Latency is taken with client and server on one CPU; calls per second and\n"
	"bodies with the server on one and the clients on another.\n"
	"\n"
	"  --rows NAME,...    only these\n"
	"  --quick            fewer and shorter rounds: less exact\n"
	"  --json             for programs\n"
	"  --self-check       floor beside floor: every ratio should be 1.0\n"
	"  --bin-dir DIR      where floor and drpcd are (default: where drpc-bench is)\n"
	"  --module-dir DIR   where echo.so is (default: BIN-DIR/../modules)\n"
	"  --user UID         what drpcd runs as, when started by root (default: 65533)\n"
	"  --help             this text\n"
	"\n"
	"Rows:\n";

struct options {
	const char *rows; /* NULL: all */
	char *bin_dir;
	char *module_dir;
	unsigned long user;
	bool quick;
	bool json;
	bool self_check;
};

/*
 * Blocking calls end with EINTR, and whoever waits in one gives up. Again each second, because a
 * signal that comes just before a call does not end it.
 */
static volatile sig_atomic_t stop_signal;

static void signal_take(int signal)
{
	if (signal != SIGALRM || !stop_signal)
		stop_signal = signal;
	alarm(1);
}

static void signals_take(void)
{
	static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM };
	struct sigaction action = { .sa_handler = signal_take };

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaction(taken[i], &action, NULL);
}

static void help_print(void)
{
	fputs(help, stdout);
	for (size_t i = 0; i < rows_count; i++)
		printf("  %-18s %s\n", rows[i].name, rows[i].help);
	fputs("\nExit: 0 measured, whatever the figures; 1 something could not be run; 2 usage.\n",
		stdout);
}

/* Whether a comma-separated list has that name. */
static bool list_has(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',') {
		if (strcspn(list, ",") == length && strncmp(list, name, length) == 0)
			return true;
	}
	return false;
}

/* The first name of the list that is no row; NULL: all are. */
static const char *list_unknown(const char *list)
{
	for (; *list; list += strcspn(list, ","), list += *list == ',') {
		bool known = false;

		for (size_t i = 0; i < rows_count; i++)
			known |= strlen(rows[i].name) == strcspn(list, ",") &&
				 strncmp(rows[i].name, list, strlen(rows[i].name)) == 0;
		if (!known)
			return list;
	}
	return NULL;
}

static int user_parse(const char *text, unsigned long *ret_user)
{
	char *end;
	unsigned long user;

	errno = 0;
	user = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || user == 0 || user > UINT_MAX - 1)
		return -EINVAL;
	*ret_user = user;
	return 0;
}

/* -1: go on; else the exit status. */
static int option_take(int option, struct options *o)
{
	switch (option) {
	case 'r':
		o->rows = optarg;
		return -1;
	case 'q':
		o->quick = true;
		return -1;
	case 'j':
		o->json = true;
		return -1;
	case 's':
		o->self_check = true;
		return -1;
	case 'b':
		o->bin_dir = optarg;
		return -1;
	case 'm':
		o->module_dir = optarg;
		return -1;
	case 'u':
		return user_parse(optarg, &o->user) == 0 ? -1 : EXIT_USAGE;
	case 'h':
		help_print();
		return 0;
	default:
		return EXIT_USAGE;
	}
}

static int options_parse(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "rows", required_argument, NULL, 'r' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "self-check", no_argument, NULL, 's' },
		{ "bin-dir", required_argument, NULL, 'b' },
		{ "module-dir", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, status = -1;

	while (status < 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		status = option_take(option, o);
	if (status < 0 && optind < argc)
		status = EXIT_USAGE;
	if (status < 0 && o->rows && list_unknown(o->rows)) {
		fprintf(stderr, "drpc-bench: no such row: %s\n", list_unknown(o->rows));
		status = EXIT_USAGE;
	}
	if (status == EXIT_USAGE)
		fprintf(stderr, "drpc-bench: see drpc-bench --help\n");
	return status;
}

/* The directory of this program, without a slash at its end. */
static int own_directory(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	return 0;
}

static char *path_in(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* Where the programs are; a message where one is missing. */
static int place_find(struct server_place *p, const struct options *o)
{
	char own[PATH_MAX];
	const char *bin = o->bin_dir ? o->bin_dir : own;
	int error = own_directory(own);

	if (error < 0)
		return error;
	p->floor = path_in(bin, "floor");
	p->drpcd = path_in(bin, "drpcd");
	p->modules = o->module_dir ? strdup(o->module_dir) : path_in(bin, "../modules");
	p->user = (uid_t)o->user;
	if (!p->floor || !p->drpcd || !p->modules)
		return -ENOMEM;
	if (access(p->floor, X_OK) < 0 || (!o->self_check && access(p->drpcd, X_OK) < 0)) {
		error = -errno;
		fprintf(stderr, "drpc-bench: floor and drpcd must both be in %s; see --bin-dir\n",
			bin);
	}
	return error;
}

static void place_free(struct server_place *p)
{
	server_place_remove(p);
	free(p->floor);
	free(p->drpcd);
	free(p->modules);
}

/* As many idle sessions as wanted, or as the limit of open files allows. */
static size_t idle_sessions(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max >= IDLE_SESSIONS + FILES_SPARE)
		return IDLE_SESSIONS;
	return files.rlim_max > 2 * FILES_SPARE ? files.rlim_max - FILES_SPARE : FILES_SPARE;
}

/* The last CPU for the server, the first for the client: interrupts more often go to the first. */
static void cpus_choose(int *ret_server, int *ret_client)
{
	cpu_set_t cpus;
	int first = -1, last = 0;

	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET((size_t)i, &cpus))
			continue;
		first = first < 0 ? i : first;
		last = i;
	}
	*ret_server = last;
	*ret_client = first < 0 ? 0 : first;
}

static void effort_choose(struct bench *b, bool quick)
{
	b->rounds = quick ? 3 : 15;
	b->latency_calls = quick ? 4000 : 20000;
	b->duration_ns = quick ? 100000000 : 300000000;
	b->volume = (size_t)(quick ? 64 : 512) * 1024 * 1024;
	b->counted_calls = quick ? 1000 : 5000;
	b->results.quick = quick;
}

/* A failure is said here. */
static int bench_init(struct bench *b, const struct options *o)
{
	int error = place_find(&b->place, o);

	if (error < 0)
		return error;
	b->second = o->self_check ? SERVER_FLOOR : SERVER_DRPCD;
	b->results.names[0] = "floor";
	b->results.names[1] = o->self_check ? "floor again" : "drpcd";
	b->idle = idle_sessions();
	b->place.sessions = b->idle + FILES_SPARE;
	cpus_choose(&b->server_cpu, &b->client_cpu);
	effort_choose(b, o->quick);
	error = exchange_init(&b->small, 64);
	if (error == 0)
		error = server_place_make(&b->place);
	if (error < 0)
		fprintf(stderr, "drpc-bench: cannot prepare: %s\n", strerror(-error));
	return error;
}

static void row_run(struct bench *b, const struct row *row)
{
	int error;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "measuring %s ...\n", row->name);
	alarm(ROW_SECONDS);
	error = row->run(b, row);
	alarm(0);
	if (stop_signal == SIGALRM) {
		stop_signal = 0;
		error = error < 0 ? -ETIMEDOUT : 0;
	}
	if (error < 0 && !stop_signal) {
		b->results.failed = true;
		fprintf(stderr, "drpc-bench: %s could not be measured: %s\n", row->name,
			strerror(-error));
	}
}

static void bench_run(struct bench *b, const struct options *o)
{
	for (size_t i = 0; i < rows_count && !stop_signal; i++) {
		if (!o->rows || list_has(o->rows, rows[i].name))
			row_run(b, &rows[i]);
	}
}

int main(int argc, char **argv)
{
	struct options o = { .user = DEFAULT_USER };
	struct bench b = { 0 };
	int status = options_parse(argc, argv, &o);
	int error;

	if (status >= 0)
		return status;
	signals_take();
	error = bench_init(&b, &o);
	if (error == 0)
		bench_run(&b, &o);
	exchange_deinit(&b.small);
	place_free(&b.place);
	if (stop_signal) {
		fprintf(stderr, "drpc-bench: stopped by a signal\n");
		return 128 + stop_signal;
	}
	if (error < 0)
		return EXIT_NOT_RUN;
	(o.json ? results_print_json : results_print)(&b.results);
	return b.results.failed ? EXIT_NOT_RUN : 0;
}
