/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Child: what is given up cannot be had back, so each test gives it up in a process of its own.
 * Receives a function; hands on how its process ended and what it wrote to descriptor 2.
 */
#ifndef TESTS_SANDBOX_CHILD_H
#define TESTS_SANDBOX_CHILD_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drpc/sandbox.h>

struct outcome {
	int status;	 /* as waitpid() gives it */
	char text[8192]; /* what it wrote, the end cut off */
};

/* Run @function in a child, which exits with 0 when it returns. */
struct outcome child_run(void (*function)(void *data), void *data);

/* It returned, and every EXPECT held. */
void child_assert_passed(const struct outcome *outcome);

/* It died of @signal, and wrote @text. */
void child_assert_killed(const struct outcome *outcome, int signal, const char *text);

/* In the child, where cmocka's assertions do not reach. write() alone, because a filter may be
 * loaded. */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Tests that change who they are. */
#define SKIP_WITHOUT_ROOT()                                                                        \
	do {                                                                                       \
		if (geteuid() != 0) {                                                              \
			print_message("SKIPPED: needs root\n");                                    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* Sanitizers map what a process may not, and have threads of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* A module's needs, from lists that may be left out. */
struct drpc_policy_needs needs_of(const char *const *system_calls, const char *const *capabilities,
	const char *const *read_paths, const char *const *write_paths);

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* give_up and filter, expected to work. */
void give_up(enum drpc_sandbox_mode mode, const struct drpc_sandbox_user *user,
	const struct drpc_policy_needs *needs, struct drpc_sandbox_missing *ret_missing);
void filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *needs);

int run_user_tests(void);
int run_give_up_tests(void);
int run_filter_tests(void);
int run_keeper_tests(void);

#endif
