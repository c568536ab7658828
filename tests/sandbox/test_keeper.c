/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The process that removes the daemon's socket file. */
#include "sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "drpcd/keeper.h"
#include "util/cleanup.h"

#define PATIENCE_SECONDS 10 /* what would wait for ever fails instead */

static const struct drpc_sandbox_user stranger = { .uid = 1500, .gid = 1500 };

/* In a directory that only its owner may write, as /run is. */
struct place {
	char directory[64];
	char path[80];
};

static void place_init(struct place *place)
{
	snprintf(place->directory, sizeof(place->directory), "/tmp/drpc-keeper-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->path, sizeof(place->path), "%s/socket", place->directory);
}

static bool place_has_socket(const struct place *place)
{
	struct stat status;

	return lstat(place->path, &status) == 0;
}

static void place_deinit(const struct place *place)
{
	unlink(place->path);
	assert_int_equal(rmdir(place->directory), 0);
}

static int socket_of(const struct place *place,
	int (*attach)(int fd, const struct sockaddr *address, socklen_t size))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, place->path, strlen(place->path) + 1);
	if (attach(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* The beginning of a daemon: a socket and its keeper. */
static int daemon_start(const struct place *place, struct keeper *keeper)
{
	int listener;

	alarm(PATIENCE_SECONDS);
	listener = socket_of(place, bind);
	EXPECT(listener >= 0 && listen(listener, 1) == 0);
	EXPECT(keeper_start(keeper, place->path, DRPC_SANDBOX_ENFORCE, NULL) == 0);
	return listener;
}

static void daemon_that_says_goodbye(void *data)
{
	struct keeper keeper = { .fd = -1 };
	struct drpc_sandbox_missing missing;

	daemon_start(data, &keeper);
	give_up(DRPC_SANDBOX_ENFORCE, geteuid() == 0 ? &stranger : NULL, NULL, &missing);
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	EXPECT(keeper_remove(&keeper) == 0);
	EXPECT(keeper.fd == -1);
	EXPECT(keeper_remove(&keeper) == -EPIPE);
}

static void test_keeper_remove_removes_the_socket_without_privileges(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_that_says_goodbye, &place);
	child_assert_passed(&outcome);
	assert_false(place_has_socket(&place));
	place_deinit(&place);
}

static void daemon_that_is_killed(void *data)
{
	struct keeper keeper = { .fd = -1 };

	daemon_start(data, &keeper);
	raise(SIGKILL);
}

static void daemon_that_traps(void *data)
{
	struct keeper keeper = { .fd = -1 };

	daemon_start(data, &keeper);
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	syscall(SYS_getppid);
}

/*
 * The keeper of a daemon that is gone is this process's child, as it would be a service manager's.
 * When it ended while its daemon still did, there is nothing left to wait for.
 */
static void expect_keeper_ends(void)
{
	int status = 0;

	if (wait(&status) < 0)
		assert_int_equal(errno, ECHILD);
	assert_int_equal(status, 0);
}

static void test_keeper_removes_the_socket_of_a_daemon_that_was_killed(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	place_init(&place);
	outcome = child_run(daemon_that_is_killed, &place);
	child_assert_killed(&outcome, SIGKILL, "");
	expect_keeper_ends();
	assert_false(place_has_socket(&place));

	outcome = child_run(daemon_that_traps, &place);
	child_assert_killed(&outcome, SIGSYS, "getppid");
	expect_keeper_ends();
	assert_false(place_has_socket(&place));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
	place_deinit(&place);
}

/* The old socket stays open, so that its inode cannot come back as the new one's. */
static void daemon_that_is_replaced(void *data)
{
	const struct place *place = data;
	struct keeper keeper = { .fd = -1 };

	daemon_start(place, &keeper);
	EXPECT(unlink(place->path) == 0);
	EXPECT(socket_of(place, bind) >= 0);
	EXPECT(keeper_remove(&keeper) == 0);
}

static void test_keeper_leaves_the_socket_of_another_daemon(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_that_is_replaced, &place);
	child_assert_passed(&outcome);
	assert_true(place_has_socket(&place));
	place_deinit(&place);
}

static void daemon_without_a_file(void *data)
{
	const struct place *place = data;
	struct keeper keeper = { .fd = -1 };

	daemon_start(place, &keeper);
	EXPECT(unlink(place->path) == 0);
	EXPECT(keeper_remove(&keeper) == 0);
}

static void test_keeper_remove_is_content_when_the_file_is_gone(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_without_a_file, &place);
	child_assert_passed(&outcome);
	place_deinit(&place);
}

static void daemon_without_sandbox(void *data)
{
	const struct place *place = data;
	struct keeper keeper = { .fd = -1 };

	alarm(PATIENCE_SECONDS);
	EXPECT(socket_of(place, bind) >= 0);
	EXPECT(keeper_start(&keeper, place->path, DRPC_SANDBOX_OFF, NULL) == 0);
	EXPECT(keeper_remove(&keeper) == 0);
}

static void test_keeper_remove_works_without_sandbox(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_without_sandbox, &place);
	child_assert_passed(&outcome);
	assert_false(place_has_socket(&place));
	place_deinit(&place);
}

static void daemon_that_lets_go(void *data)
{
	struct keeper keeper = { .fd = -1 };
	int fds[2], listener;
	char byte;

	EXPECT(pipe(fds) == 0);
	listener = daemon_start(data, &keeper);
	close(fds[1]);
	EXPECT(read(fds[0], &byte, 1) == 0);
	close(listener);
	EXPECT(socket_of(data, connect) == -ECONNREFUSED);
}

static void test_keeper_holds_neither_the_socket_nor_pipes(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_that_lets_go, &place);
	child_assert_passed(&outcome);
	place_deinit(&place);
}

static void daemon_whose_group_is_signalled(void *data)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct keeper keeper = { .fd = -1 };

	EXPECT(setpgid(0, 0) == 0);
	daemon_start(data, &keeper);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		signal(signals[i], SIG_IGN);
		EXPECT(kill(0, signals[i]) == 0);
	}
	EXPECT(keeper_remove(&keeper) == 0);
}

static void test_keeper_outlives_signals_to_the_group(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_whose_group_is_signalled, &place);
	child_assert_passed(&outcome);
	assert_false(place_has_socket(&place));
	place_deinit(&place);
}

static void daemon_whose_keeper_is_seen(void *data)
{
	struct keeper keeper = { .fd = -1 };
	char path[64], text[8192];
	int children, status;
	ssize_t size;

	daemon_start(data, &keeper);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	children = open(path, O_RDONLY | O_CLOEXEC);
	if (children < 0)
		return; /* a kernel without CONFIG_PROC_CHILDREN */
	size = read(children, text, sizeof(text) - 1);
	EXPECT(size > 0);
	text[size] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/status", strtol(text, NULL, 10));
	status = open(path, O_RDONLY | O_CLOEXEC);
	size = read(status, text, sizeof(text) - 1);
	EXPECT(size > 0);
	text[size] = '\0';
	EXPECT(strncmp(text, "Name:\tdrpcd-keeper\n", 19) == 0);
	EXPECT(strstr(text, "\nNoNewPrivs:\t1\n") != NULL);
	EXPECT(strstr(text, "\nSeccomp:\t2\n") != NULL);
	if (geteuid() != 0)
		return;
	EXPECT(strstr(text, "\nCapPrm:\t000000000000000a\n") != NULL);
	EXPECT(strstr(text, "\nCapBnd:\t0000000000000000\n") != NULL);
}

static void test_keeper_start_confines_the_keeper(void **state)
{
	struct outcome outcome;
	struct place place;

	(void)state;
	place_init(&place);
	outcome = child_run(daemon_whose_keeper_is_seen, &place);
	child_assert_passed(&outcome);
	place_deinit(&place);
}

static void test_keeper_start_refuses_what_is_no_socket(void **state)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct keeper keeper = { .fd = -1 };

	(void)state;
	assert_int_equal(
		keeper_start(&keeper, "/etc/passwd", DRPC_SANDBOX_ENFORCE, problems), -ENOTSOCK);
	assert_int_equal(
		keeper_start(&keeper, "/no/such/socket", DRPC_SANDBOX_ENFORCE, problems), -ENOENT);
	assert_int_equal(drpc_problems_count(problems), 2);
	assert_int_equal(keeper.fd, -1);
	drpc_problems_free(problems);
}

int run_keeper_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeper_remove_removes_the_socket_without_privileges),
		cmocka_unit_test(test_keeper_removes_the_socket_of_a_daemon_that_was_killed),
		cmocka_unit_test(test_keeper_leaves_the_socket_of_another_daemon),
		cmocka_unit_test(test_keeper_remove_is_content_when_the_file_is_gone),
		cmocka_unit_test(test_keeper_remove_works_without_sandbox),
		cmocka_unit_test(test_keeper_holds_neither_the_socket_nor_pipes),
		cmocka_unit_test(test_keeper_outlives_signals_to_the_group),
		cmocka_unit_test(test_keeper_start_confines_the_keeper),
		cmocka_unit_test(test_keeper_start_refuses_what_is_no_socket),
	};

	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
