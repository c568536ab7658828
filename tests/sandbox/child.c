/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Child: receives a function; hands on how its process ended and what it wrote to descriptor 2.
 */
#include "sandbox/child.h"

#include <errno.h>
#include <string.h>

static void text_read(int fd, struct outcome *outcome)
{
	size_t size = 0;

	for (;;) {
		char rest[512];
		size_t room = sizeof(outcome->text) - 1 - size;
		ssize_t n = read(
			fd, room > 0 ? outcome->text + size : rest, room > 0 ? room : sizeof(rest));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += room > 0 ? (size_t)n : 0;
	}
	outcome->text[size] = '\0';
}

struct outcome child_run(void (*function)(void *data), void *data)
{
	struct outcome outcome = { 0 };
	int fds[2];
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		function(data);
		_exit(0);
	}
	close(fds[1]);
	text_read(fds[0], &outcome);
	close(fds[0]);
	assert_int_equal(waitpid(child, &outcome.status, 0), child);
	return outcome;
}

void child_assert_passed(const struct outcome *outcome)
{
	if (outcome->status != 0)
		print_error("status %#x: %s", (unsigned)outcome->status, outcome->text);
	assert_int_equal(outcome->status, 0);
}

void child_assert_killed(const struct outcome *outcome, int signal, const char *text)
{
	bool as_expected = WIFSIGNALED(outcome->status) && WTERMSIG(outcome->status) == signal &&
			   strstr(outcome->text, text) != NULL;

	if (!as_expected)
		print_error("status %#x, expected signal %d and '%s': %s",
			(unsigned)outcome->status, signal, text, outcome->text);
	assert_true(as_expected);
}

struct drpc_policy_needs needs_of(const char *const *system_calls, const char *const *capabilities,
	const char *const *read_paths, const char *const *write_paths)
{
	static const char *const none[] = { NULL };

	return (struct drpc_policy_needs){
		.system_calls = system_calls != NULL ? system_calls : none,
		.capabilities = capabilities != NULL ? capabilities : none,
		.read_paths = read_paths != NULL ? read_paths : none,
		.write_paths = write_paths != NULL ? write_paths : none,
	};
}

static void expect_done(int result, struct drpc_problems *problems)
{
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		dprintf(STDERR_FILENO, "%s\n", drpc_problems_text(problems, i));
	EXPECT(result == 0);
	EXPECT(drpc_problems_count(problems) == 0);
	drpc_problems_free(problems);
}

void give_up(enum drpc_sandbox_mode mode, const struct drpc_sandbox_user *user,
	const struct drpc_policy_needs *needs, struct drpc_sandbox_missing *ret_missing)
{
	struct drpc_problems *problems = drpc_problems_new();

	expect_done(drpc_sandbox_give_up(
			    mode, user, &needs, needs != NULL ? 1 : 0, problems, ret_missing),
		problems);
}

void filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *needs)
{
	struct drpc_problems *problems = drpc_problems_new();

	expect_done(drpc_sandbox_filter(mode, &needs, needs != NULL ? 1 : 0, problems), problems);
}
