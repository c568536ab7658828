/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* drpcd: reads its configuration, starts the daemon, waits for the signal to end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "drpcd/config.h"
#include "drpcd/daemon.h"
#include "util/cleanup.h"

enum { EXIT_DONE = 0, EXIT_START_FAILED = 1, EXIT_USAGE = 2 };

static int print_problems(struct drpc_problems *problems, int status)
{
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(stderr, "drpcd: %s\n", drpc_problems_text(problems, i));
	return status;
}

/* What a signal handler needs: who is to hear of the signal, and which one it was. */
static struct daemon *interrupted;
static volatile sig_atomic_t is_ending;
static volatile sig_atomic_t is_hung_up;

static void take_signal(int number)
{
	int error = errno;

	if (number == SIGHUP)
		is_hung_up = 1;
	else
		is_ending = 1;
	daemon_interrupt(interrupted);
	errno = error;
}

static const int taken[] = { SIGTERM, SIGINT, SIGHUP };

/* Until the daemon can be interrupted, its signals wait; threads keep them blocked for ever. */
static void block_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&signals, taken[i]);
	sigprocmask(how, &signals, NULL);
}

static void install_handlers(struct daemon *daemon)
{
	struct sigaction action = { .sa_handler = take_signal, .sa_flags = SA_RESTART };

	interrupted = daemon;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaction(taken[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void say(struct daemon *daemon, const char *word, const char *reason)
{
	struct log_line line;

	log_begin(&line, &daemon->log, word);
	log_text(&line, "reason", reason);
	log_end(&line);
}

static int serve_until_signal(struct daemon *daemon)
{
	while (!is_ending) {
		int r = daemon_serve(daemon);

		if (r < 0 && r != -ETIMEDOUT)
			return r;
		if (is_hung_up) {
			is_hung_up = 0;
			say(daemon, "warn",
				"SIGHUP: policies are read at the start only; restart to change them");
		}
	}
	return 0;
}

static int serve(struct daemon *daemon)
{
	bool is_ended;

	if (daemon_start(daemon) < 0) {
		daemon_stop(daemon);
		return print_problems(daemon->problems, EXIT_START_FAILED);
	}
	block_signals(SIG_UNBLOCK);
	if (serve_until_signal(daemon) < 0)
		return EXIT_START_FAILED;
	block_signals(SIG_BLOCK);
	say(daemon, "stopping", "finishing the calls under way");
	is_ended = daemon_stop(daemon);
	say(daemon, "stopped", is_ended ? "done" : "calls that took too long were cut short");
	if (!is_ended)
		_exit(EXIT_DONE); /* a handler may still be running on what would be freed */
	return EXIT_DONE;
}

static int run(const struct config *config, struct drpc_problems *problems)
{
	struct daemon daemon;
	int status;
	int r;

	block_signals(SIG_BLOCK);
	install_handlers(&daemon);
	r = daemon_init(&daemon, config, problems);
	if (r == 0)
		r = daemon_load(&daemon);
	if (r < 0 || drpc_problems_count(problems) != 0)
		status = print_problems(problems, EXIT_START_FAILED);
	else if (config->check_only)
		status = EXIT_DONE;
	else
		status = serve(&daemon);
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
