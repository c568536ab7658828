/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The listening socket's file: its mode, what it may replace, what it must leave alone. */
#include "server/listener.h"

#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "house.h"
#include "raw.h"
#include "util/cleanup.h"

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	return st.st_mode & 07777;
}

/* A socket of another program at the path, which listens if its type can. */
static int other_socket(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, house.path, sizeof(house.path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void refuse_bind(int error)
{
	ino_t inode = inode_of(house.path), ret_inode = 0;
	int fd = -7;

	assert_int_equal(listener_bind(house.path, 0600, &fd, &ret_inode), error);
	assert_int_equal(fd, -7);
	assert_int_equal(ret_inode, 0);
	assert_int_equal(inode_of(house.path), inode);
}

static void test_listener_bind_sets_the_mode_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	static const mode_t modes[] = { 0600, 0660, 0666, 0 };

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		mode_t before = umask(masks[i / 4]), after;
		int fd = -1;
		ino_t inode;

		assert_int_equal(listener_bind(house.path, modes[i % 4], &fd, &inode), 0);
		after = umask(before);
		assert_int_equal(after, masks[i / 4]);
		assert_int_equal(mode_of(house.path), modes[i % 4]);
		assert_int_equal(inode_of(house.path), inode);
		close(fd);
		assert_int_equal(unlink(house.path), 0);
	}
}

static void *first_mode(void *argument)
{
	struct stat st;

	while (lstat(house.path, &st) < 0)
		;
	*(mode_t *)argument = st.st_mode & 07777;
	return NULL;
}

static void test_listener_bind_sets_the_mode_from_the_first_moment(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		mode_t seen = 0;
		ino_t inode;
		int fd = -1;

		assert_int_equal(pthread_create(&thread, NULL, first_mode, &seen), 0);
		assert_int_equal(listener_bind(house.path, 0640, &fd, &inode), 0);
		pthread_join(thread, NULL);
		assert_int_equal(seen, 0640);
		close(fd);
		assert_int_equal(listener_unlink(house.path, inode), 0);
	}
}

static void test_listener_bind_replaces_a_dead_socket(void **state)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	ino_t inode;
	int fd = -1;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		close(other_socket(types[i]));
		assert_int_equal(listener_bind(house.path, 0600, &fd, &inode), 0);
		close(raw_connect(house.path));
		close(fd);
		assert_int_equal(listener_unlink(house.path, inode), 0);
	}
}

static void test_listener_bind_leaves_a_live_socket(void **state)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	char text[160];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int fd = other_socket(types[i]);

		refuse_bind(-EADDRINUSE);
		close(fd);
		unlink(house.path);
	}
	assert_ptr_equal(drpc_fault_socket_in_use(house.path, text, sizeof(text)), text);
	assert_non_null(strstr(text, house.path));
	drpc_fault_socket_in_use(house.path, text, 8);
	assert_int_equal(strlen(text), 7);
}

/* Nobody accepts, and no more fit the queue. */
static void test_listener_bind_leaves_a_socket_whose_queue_is_full(void **state)
{
	AUTO_CLOSE int live = other_socket(SOCK_SEQPACKET);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int callers[8], count = 0;

	(void)state;
	assert_int_equal(listen(live, 1), 0);
	memcpy(address.sun_path, house.path, sizeof(house.path));
	do {
		callers[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	} while (connect(callers[count++], (struct sockaddr *)&address, sizeof(address)) == 0 &&
		 count < 8);
	assert_int_equal(errno, EAGAIN);
	refuse_bind(-EADDRINUSE);
	while (count > 0)
		close(callers[--count]);
	unlink(house.path);
}

static void test_listener_bind_leaves_what_is_no_socket(void **state)
{
	char target[80];

	(void)state;
	close(open(house.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	refuse_bind(-ENOTSOCK);
	unlink(house.path);
	assert_int_equal(mkdir(house.path, 0700), 0);
	refuse_bind(-ENOTSOCK);
	rmdir(house.path);
	assert_int_equal(mkfifo(house.path, 0600), 0);
	refuse_bind(-ENOTSOCK);
	unlink(house.path);
	assert_int_equal(symlink("nowhere", house.path), 0);
	refuse_bind(-ENOTSOCK);
	unlink(house.path);

	/* A link to a dead socket: neither goes. */
	close(other_socket(SOCK_SEQPACKET));
	snprintf(target, sizeof(target), "%s/dead", house.dir);
	assert_int_equal(rename(house.path, target), 0);
	assert_int_equal(symlink(target, house.path), 0);
	refuse_bind(-ENOTSOCK);
	assert_int_equal(unlink(target), 0);
	unlink(house.path);
}

/* @length characters in the directory, the end a row of x. */
static char *path_of(size_t length)
{
	char *path = malloc(length + 1);
	int used;

	assert_non_null(path);
	memset(path, 'x', length);
	path[length] = '\0';
	used = snprintf(path, length + 1, "%s/", house.dir);
	path[used] = 'x';
	return path;
}

static void test_listener_bind_takes_what_fits_an_address(void **state)
{
	AUTO_FREE char *longest = path_of(107);
	AUTO_FREE char *too_long = path_of(108);
	AUTO_CLOSE int fd = -1;
	ino_t inode;

	(void)state;
	assert_int_equal(listener_bind(too_long, 0600, &fd, &inode), -ENAMETOOLONG);
	assert_int_equal(listener_bind("", 0600, &fd, &inode), -ENAMETOOLONG);
	assert_int_equal(fd, -1);
	assert_int_equal(listener_bind(longest, 0600, &fd, &inode), 0);
	close(raw_connect(longest));
	assert_int_equal(listener_unlink(longest, inode), 0);
}

static void test_listener_bind_says_what_the_system_says(void **state)
{
	char path[80];
	ino_t inode;
	int fd = -7;

	(void)state;
	snprintf(path, sizeof(path), "%s/none/socket", house.dir);
	assert_int_equal(listener_bind(path, 0600, &fd, &inode), -ENOENT);
	assert_int_equal(fd, -7);
}

static void test_listener_unlink_removes_its_own_file_only(void **state)
{
	AUTO_CLOSE int fd = -1, other = -1;
	ino_t inode;

	(void)state;
	assert_int_equal(listener_bind(house.path, 0600, &fd, &inode), 0);
	assert_int_equal(listener_unlink(house.path, inode + 1), 0);
	assert_int_equal(inode_of(house.path), inode);
	/* Another's in its place. */
	assert_int_equal(unlink(house.path), 0);
	other = other_socket(SOCK_SEQPACKET);
	assert_int_equal(listener_unlink(house.path, inode), 0);
	assert_int_not_equal(inode_of(house.path), inode);
	assert_int_equal(unlink(house.path), 0);
	assert_int_equal(listener_unlink(house.path, inode), 0);
}

/* Accepted sockets inherit it, so that no first packet goes unmarked. */
static void test_listener_bind_passes_credentials(void **state)
{
	AUTO_CLOSE int fd = -1, caller = -1, accepted = -1;
	socklen_t size = sizeof(int);
	ino_t inode;
	int on = 0;

	(void)state;
	assert_int_equal(listener_bind(house.path, 0600, &fd, &inode), 0);
	caller = raw_connect(house.path);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(getsockopt(accepted, SOL_SOCKET, SO_PASSCRED, &on, &size), 0);
	assert_int_equal(on, 1);
	assert_int_equal(listener_unlink(house.path, inode), 0);
}

int listener_tests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_listener_bind_sets_the_mode_whatever_the_umask),
		TEST(test_listener_bind_sets_the_mode_from_the_first_moment),
		TEST(test_listener_bind_replaces_a_dead_socket),
		TEST(test_listener_bind_leaves_a_live_socket),
		TEST(test_listener_bind_leaves_a_socket_whose_queue_is_full),
		TEST(test_listener_bind_leaves_what_is_no_socket),
		TEST(test_listener_bind_takes_what_fits_an_address),
		TEST(test_listener_bind_says_what_the_system_says),
		TEST(test_listener_unlink_removes_its_own_file_only),
		TEST(test_listener_bind_passes_credentials),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
