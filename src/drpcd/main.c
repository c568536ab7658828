/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* drpcd: reads its configuration, starts the daemon, waits for the signal to end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "drpcd/config.h"
#include "drpcd/daemon.h"

enum { EXIT_DONE = 0, EXIT_START_FAILED = 1, EXIT_USAGE = 2 };

static int print_problems(struct drpc_problems *problems, int status)
{
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(stderr, "drpcd: %s\n", drpc_problems_text(problems, i));
	return status;
}

/*
 * Begin with the three standard descriptors and no other: one that was closed would be given to the
 * next thing that is opened, and be written to as the log; one that was inherited would stay open
 * for a process that must not be able to open it.
 */
static int tidy_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	return close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* The signals that the daemon reads when it has time for them; no thread is ever interrupted by
 * one. */
static int open_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void say(struct daemon *daemon, const char *word, const char *reason)
{
	struct log_line line;

	log_begin(&line, &daemon->log, word);
	log_text(&line, "reason", reason);
	log_end(&line);
}

/* Deal with the signals that came. Returns whether one of them says to end. */
static bool take_signals(struct daemon *daemon)
{
	struct signalfd_siginfo info;
	bool is_ending = false;

	while (read(daemon->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			say(daemon, "warn",
				"SIGHUP: policies are read at the start only; restart to change them");
		else
			is_ending = true;
	}
	return is_ending;
}

static int serve_until_signal(struct daemon *daemon)
{
	int r;

	do {
		r = daemon_serve(daemon);
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	} while (!take_signals(daemon));
	return 0;
}

static int serve(struct daemon *daemon)
{
	bool is_ended;

	if (daemon_start(daemon) < 0) {
		daemon_stop(daemon);
		return print_problems(daemon->problems, EXIT_START_FAILED);
	}
	if (serve_until_signal(daemon) < 0)
		return EXIT_START_FAILED;
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
	int signals;
	int status;
	int r;

	signals = open_signals();
	if (signals < 0) {
		drpc_problems_add(problems, NULL, 0, "signals: %s", strerror(errno));
		return print_problems(problems, EXIT_START_FAILED);
	}
	r = daemon_init(&daemon, config, signals, problems);
	if (r == 0)
		r = daemon_load(&daemon);
	if (r < 0 || drpc_problems_count(problems) != 0)
		status = print_problems(problems, EXIT_START_FAILED);
	else if (config->check_only)
		status = EXIT_DONE;
	else
		status = serve(&daemon);
	daemon_deinit(&daemon);
	close(signals);
	return status;
}

int main(int argc, char **argv)
{
	struct drpc_problems *problems;
	struct config config;
	int status;

	if (tidy_descriptors() < 0)
		return EXIT_START_FAILED;
	problems = drpc_problems_new();
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
