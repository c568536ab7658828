/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* drpcd: reads its configuration, starts the daemon, waits for the signal to end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "drpcd/config.h"
#include "drpcd/daemon.h"

enum { EXIT_DONE = 0, EXIT_START_FAILED = 1, EXIT_USAGE = 2 };

/* How often counts of repeated events are looked at, while nothing else wakes the main thread. */
#define FLUSH_SECONDS 5

static int print_problems(struct drpc_problems *problems, int status)
{
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(stderr, "drpcd: %s\n", drpc_problems_text(problems, i));
	return status;
}

/* Before any thread, so that all of them have these blocked and only main() takes them. */
static void block_signals(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGHUP);
	sigprocmask(SIG_BLOCK, ret_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void say_stop(struct daemon *daemon, const char *word, const char *reason)
{
	struct log_line line;

	log_begin(&line, &daemon->log, word);
	log_text(&line, "reason", reason);
	log_end(&line);
}

static void wait_for_end(struct daemon *daemon, const sigset_t *signals)
{
	const struct timespec flush = { .tv_sec = FLUSH_SECONDS };

	for (;;) {
		int signal = sigtimedwait(signals, NULL, &flush);

		if (signal == SIGTERM || signal == SIGINT)
			return;
		if (signal == SIGHUP)
			say_stop(daemon, "warn",
				"SIGHUP: policies are read at the start only; restart to change them");
		event_log_flush(&daemon->events, false);
	}
}

static int serve(struct daemon *daemon, const sigset_t *signals)
{
	bool is_ended;
	int r = daemon_start(daemon);

	if (r < 0) {
		daemon_stop(daemon);
		return print_problems(daemon->problems, EXIT_START_FAILED);
	}
	wait_for_end(daemon, signals);
	say_stop(daemon, "stopping", "finishing the calls under way");
	is_ended = daemon_stop(daemon);
	say_stop(daemon, "stopped", is_ended ? "done" : "calls that took too long were cut short");
	if (!is_ended)
		_exit(EXIT_DONE); /* a handler may still be running on what would be freed */
	return EXIT_DONE;
}

static int run(const struct config *config, struct drpc_problems *problems)
{
	struct daemon daemon;
	sigset_t signals;
	int status;
	int r;

	block_signals(&signals);
	r = daemon_init(&daemon, config, problems);
	if (r == 0)
		r = daemon_load(&daemon);
	if (r < 0 || drpc_problems_count(problems) != 0)
		status = print_problems(problems, EXIT_START_FAILED);
	else if (config->check_only)
		status = EXIT_DONE;
	else
		status = serve(&daemon, &signals);
	daemon_deinit(&daemon);
	return status;
}

int main(int argc, char **argv)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct config config;
	int status;

	if (problems == NULL)
		return EXIT_START_FAILED;
	switch (config_read(&config, argc, argv, problems)) {
	case CONFIG_HELPED:
		status = EXIT_DONE;
		break;
	case CONFIG_WRONG:
		status = print_problems(problems, EXIT_USAGE);
		break;
	default:
		status = run(&config, problems);
		break;
	}
	config_deinit(&config);
	drpc_problems_free(problems);
	return status;
}
