/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Peer: what the kernel says of real processes that connect, as several users and with many groups,
 * and the named refusals.
 */
#include "groups.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Who a child becomes before it makes its socket. */
struct identity {
	uid_t uid;
	gid_t gid;
	size_t groups; /* this many supplementary groups, 100000 and on */
	int (*before)(void);
};

static bool become(const struct identity *who)
{
	gid_t groups[256];

	for (size_t i = 0; i < who->groups; i++)
		groups[i] = (gid_t)(100000 + i);
	return setgroups(who->groups, groups) == 0 &&
	       setresgid(who->gid, who->gid, who->gid) == 0 &&
	       setresuid(who->uid, who->uid, who->uid) == 0;
}

/* Send one end of a socket pair that the child made: to the other end, the child is the peer. */
static bool send_end(int channel, int end)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &end, sizeof(int));
	return sendmsg(channel, &message, MSG_NOSIGNAL) == 1;
}

static int receive_end(int channel)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static void run_child(const struct identity *who, int channel)
{
	int pair[2];

	if (who->before != NULL && who->before() < 0)
		_exit(77);
	if (who->before == NULL && !become(who))
		_exit(1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || !send_end(channel, pair[0]))
		_exit(2);
	_exit(0);
}

/* A socket whose peer is a child of that identity; *ret_pid is the child, which has ended. */
static int peer_of(const struct identity *who, pid_t *ret_pid)
{
	int channel[2], status, fd;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_child(who, channel[1]);
	close(channel[1]);
	fd = receive_end(channel[0]);
	close(channel[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: this system does not let the child become that\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_true(fd >= 0);
	*ret_pid = pid;
	return fd;
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root\n");
		skip();
	}
}

static struct peer_system read_system(void)
{
	struct peer_system system;

	assert_int_equal(peer_system_read(&system), 0);
	return system;
}

static void test_peer_system_read_finds_the_overflow_ids(void **state)
{
	struct peer_system system = read_system();
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned id = 0;

	(void)state;
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &id), 1);
	fclose(file);
	assert_int_equal(system.overflow_uid, id);
	assert_int_not_equal(system.overflow_gid, 0);
}

static void test_peer_identify_says_who_we_are(void **state)
{
	struct peer_system system = read_system();
	enum peer_fault fault = PEER_FINE;
	struct drpc_peer peer;
	gid_t groups[65536];
	int pair[2], count;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_identify(&peer, pair[0], &system, &fault), 0);
	count = getgroups(65536, groups);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.group_count, count);
	assert_memory_equal(peer_groups(&peer), groups, (size_t)count * sizeof(gid_t));
	peer_deinit(&peer);
	close(pair[0]);
	close(pair[1]);
}

static void identify(const struct identity *who)
{
	struct peer_system system = read_system();
	enum peer_fault fault = PEER_FINE;
	struct drpc_peer peer;
	pid_t pid = 0;
	AUTO_CLOSE int fd = peer_of(who, &pid);

	assert_int_equal(peer_identify(&peer, fd, &system, &fault), 0);
	assert_int_equal(peer.uid, who->uid);
	assert_int_equal(peer.gid, who->gid);
	assert_int_equal(peer.pid, pid);
	assert_int_equal(peer.group_count, who->groups);
	for (size_t i = 0; i < who->groups; i++)
		assert_int_equal(peer_groups(&peer)[i], 100000 + i);
	assert_int_equal(peer.many_groups != NULL, who->groups > PEER_GROUPS_INLINE);
	peer_deinit(&peer);
}

static void test_peer_identify_has_every_group(void **state)
{
	const size_t counts[] = { 0, 1, PEER_GROUPS_INLINE, PEER_GROUPS_INLINE + 1, 10, 200 };

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct identity who = { .uid = 23456, .gid = 34567, .groups = counts[i] };

		identify(&who);
	}
}

static void test_peer_identify_gives_root_no_other_answer(void **state)
{
	struct identity who = { .groups = 3 };

	(void)state;
	need_root();
	identify(&who);
}

static void expect_refused(const struct identity *who, enum peer_fault expected)
{
	struct peer_system system = read_system();
	enum peer_fault fault = PEER_FINE;
	struct drpc_peer peer, *made = NULL;
	const char *reason = NULL;
	pid_t pid;
	AUTO_CLOSE int fd = peer_of(who, &pid);

	assert_int_equal(peer_identify(&peer, fd, &system, &fault), -EACCES);
	assert_int_equal(fault, expected);
	peer_deinit(&peer);
	assert_int_equal(drpc_peer_from_socket(fd, &made, &reason), -EACCES);
	assert_null(made);
	assert_string_equal(reason, peer_fault_text(expected));
	assert_int_equal(drpc_peer_from_socket(fd, &made, NULL), -EACCES);
}

static void test_peer_identify_refuses_overflow_ids(void **state)
{
	struct peer_system system = read_system();
	const struct identity user = { .uid = system.overflow_uid, .gid = 34567 };
	const struct identity group = { .uid = 23456, .gid = system.overflow_gid };

	(void)state;
	need_root();
	expect_refused(&user, PEER_OVERFLOW_UID);
	expect_refused(&group, PEER_OVERFLOW_GID);
}

static int enter_user_namespace(void)
{
	return setresuid(23456, 23456, 23456) < 0 ? -1 : unshare(CLONE_NEWUSER);
}

static int become_overflow_group(void)
{
	gid_t groups[] = { 100000, 65534, 100001 };

	if (setgroups(3, groups) < 0 || setresgid(34567, 34567, 34567) < 0)
		return -1;
	return setresuid(23456, 23456, 23456);
}

static void test_peer_identify_refuses_a_supplementary_overflow_group(void **state)
{
	const struct identity who = { .before = become_overflow_group };

	(void)state;
	need_root();
	if (read_system().overflow_gid != 65534)
		skip();
	expect_refused(&who, PEER_OVERFLOW_GID);
}

/* A process in a user namespace of its own is still its outer uid to us. */
static void test_peer_identify_sees_through_a_user_namespace(void **state)
{
	const struct identity who = { .before = enter_user_namespace };
	struct peer_system system = read_system();
	enum peer_fault fault = PEER_FINE;
	struct drpc_peer peer;
	pid_t pid;
	int fd;

	(void)state;
	need_root();
	fd = peer_of(&who, &pid);
	assert_int_equal(peer_identify(&peer, fd, &system, &fault), 0);
	assert_int_equal(peer.uid, 23456);
	peer_deinit(&peer);
	close(fd);
}

/* In a child: a PID namespace that does not have this process in it sees its pid as 0. */
static int identify_from_new_pid_namespace(void)
{
	enum peer_fault fault = PEER_FINE;
	struct peer_system system = { .overflow_uid = 65534, .overflow_gid = 65534 };
	struct drpc_peer peer;
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
		unshare(CLONE_NEWPID) < 0)
		return 77;
	pid = fork();
	if (pid == 0) {
		int r = peer_identify(&peer, pair[0], &system, &fault);

		_exit(r == -EACCES && fault == PEER_FOREIGN && peer.pid == 0 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

static void test_peer_identify_refuses_a_foreign_pid_namespace(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0)
		_exit(identify_from_new_pid_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: this system does not let us make a PID namespace\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_peer_identify_refuses_what_cannot_be_looked_up(void **state)
{
	struct peer_system system = read_system();
	int fds[] = { socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), -1, dup(0) };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		enum peer_fault fault = PEER_FINE;
		struct drpc_peer peer;

		assert_int_equal(peer_identify(&peer, fds[i], &system, &fault), -EACCES);
		assert_int_equal(fault, PEER_LOOKUP_FAILED);
		assert_int_equal(peer.uid, UINT32_MAX); /* never root by default */
		peer_deinit(&peer);
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static void test_peer_from_socket_describes_the_connector(void **state)
{
	struct drpc_peer *peer = NULL;
	const char *reason = "untouched";
	int pair[2];
	size_t count;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(drpc_peer_from_socket(pair[0], &peer, &reason), 0);
	assert_string_equal(reason, "untouched");
	assert_int_equal(drpc_peer_uid(peer), geteuid());
	assert_int_equal(drpc_peer_gid(peer), getegid());
	assert_int_equal(drpc_peer_pid(peer), getpid());
	assert_non_null(drpc_peer_groups(peer, &count));
	assert_int_equal(count, getgroups(0, NULL));
	drpc_peer_free(peer);
	close(pair[0]);
	close(pair[1]);
}

static void test_peer_new_copies_groups(void **state)
{
	gid_t groups[] = { 3, 1, 2, 9, 8, 7, 6, 5, 4, 10, (gid_t)-1 };
	struct drpc_peer *peer = make_peer(1, 2, groups);
	size_t count = 0;

	(void)state;
	groups[0] = 77;
	assert_int_equal(drpc_peer_groups(peer, &count)[0], 3);
	assert_int_equal(count, 10);
	assert_int_equal(drpc_peer_pid(peer), 0);
	assert_null(drpc_peer_label(peer));
	drpc_peer_free(peer);
	drpc_peer_free(NULL);
}

static void expect_checked(uid_t uid, gid_t gid, const gid_t *groups, enum peer_fault expected)
{
	struct drpc_peer *peer = make_peer(uid, gid, groups);
	const char *reason = "not refused";

	assert_int_equal(drpc_peer_check(peer, &reason), expected == PEER_FINE ? 0 : -EACCES);
	assert_string_equal(reason, peer_fault_text(expected));
	drpc_peer_free(peer);
}

static void test_peer_check_judges_as_the_kernel_is_judged(void **state)
{
	struct peer_system system = read_system();
	const gid_t groups[] = { 1, system.overflow_gid, (gid_t)-1 };

	(void)state;
	expect_checked(0, 0, NULL, PEER_FINE);
	expect_checked(system.overflow_uid, 1, NULL, PEER_OVERFLOW_UID);
	expect_checked(1, system.overflow_gid, NULL, PEER_OVERFLOW_GID);
	expect_checked(1, 1, groups, PEER_OVERFLOW_GID);
	expect_checked(UINT32_MAX, 1, NULL, PEER_LOOKUP_FAILED);
	expect_checked(1, UINT32_MAX, NULL, PEER_LOOKUP_FAILED);
}

static void test_peer_is_sender_wants_the_pid_or_the_uid(void **state)
{
	const struct drpc_peer peer = { .uid = 5, .pid = 100 }, unknown = { .uid = 5 };

	(void)state;
	assert_true(peer_is_sender(&peer, 100, 6)); /* dropped privileges after connecting */
	assert_true(peer_is_sender(&peer, 101, 5)); /* a child of the same user */
	assert_false(peer_is_sender(&peer, 101, 6));
	assert_false(peer_is_sender(&unknown, 0, 6));
}

int peer_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_system_read_finds_the_overflow_ids),
		cmocka_unit_test(test_peer_identify_says_who_we_are),
		cmocka_unit_test(test_peer_identify_has_every_group),
		cmocka_unit_test(test_peer_identify_gives_root_no_other_answer),
		cmocka_unit_test(test_peer_identify_refuses_overflow_ids),
		cmocka_unit_test(test_peer_identify_refuses_a_supplementary_overflow_group),
		cmocka_unit_test(test_peer_identify_sees_through_a_user_namespace),
		cmocka_unit_test(test_peer_identify_refuses_a_foreign_pid_namespace),
		cmocka_unit_test(test_peer_identify_refuses_what_cannot_be_looked_up),
		cmocka_unit_test(test_peer_from_socket_describes_the_connector),
		cmocka_unit_test(test_peer_new_copies_groups),
		cmocka_unit_test(test_peer_check_judges_as_the_kernel_is_judged),
		cmocka_unit_test(test_peer_is_sender_wants_the_pid_or_the_uid),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
