/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Socket: what one packet brings, on real sockets; some tests pin what the kernel does. */
#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "wire/socket.h"

struct pair {
	int here;
	int there;
};

static int set_up(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	pair = (struct pair){ .here = fds[0], .there = fds[1] };
	*state = &pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	cleanup_close(&pair->here);
	cleanup_close(&pair->there);
	return 0;
}

static void pass_credentials(int fd)
{
	const int on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
}

static int receive(int fd, void *buffer, size_t size, struct received *ret_received)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };

	return socket_receive(fd, &iov, 1, ret_received);
}

static int receive_unmarked(int fd, void *buffer, size_t size, struct received *ret_received)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };

	return socket_receive_unmarked(fd, &iov, 1, ret_received);
}

static void test_socket_receive_brings_a_packet_and_its_sender(void **state)
{
	struct pair *pair = *state;
	struct received received;
	char head[2];
	char body[8];
	struct iovec in[2] = { { head, sizeof(head) }, { body, sizeof(body) } };
	struct iovec out[2] = { { (char[]){ "ab" }, 2 }, { (char[]){ "cdef" }, 4 } };

	pass_credentials(pair->here);
	assert_int_equal(socket_send(pair->there, out, 2), 0);
	assert_int_equal(socket_receive(pair->here, in, 2, &received), 0);
	assert_int_equal(received.size, 6);
	assert_false(received.truncated);
	assert_true(received.has_sender);
	assert_int_equal(received.sender_pid, getpid());
	assert_int_equal(received.sender_uid, getuid());
	assert_int_equal(received.sender_gid, getgid());
	assert_memory_equal(head, "ab", 2);
	assert_memory_equal(body, "cdef", 4);
}

static void test_socket_receive_without_passcred_knows_no_sender(void **state)
{
	struct pair *pair = *state;
	struct received received;
	char buffer[8];

	assert_int_equal(send(pair->there, "x", 1, 0), 1);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_int_equal(received.size, 1);
	assert_false(received.has_sender);
}

static void test_socket_receive_tells_nothing_from_the_end(void **state)
{
	struct pair *pair = *state;
	struct received received = { .size = 42 };
	char buffer[8];

	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), -EAGAIN);
	assert_int_equal(receive_unmarked(pair->here, buffer, sizeof(buffer), &received), -EAGAIN);
	close(take_fd(&pair->there));
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), -ENOTCONN);
	assert_int_equal(
		receive_unmarked(pair->here, buffer, sizeof(buffer), &received), -ENOTCONN);
	assert_int_equal(received.size, 42);
}

static void test_socket_receive_tells_an_empty_packet_from_the_end(void **state)
{
	struct pair *pair = *state;
	struct received received = { .size = 42 };
	char buffer[8];

	pass_credentials(pair->here);
	assert_int_equal(send(pair->there, "", 0, 0), 0);
	close(take_fd(&pair->there));
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_int_equal(received.size, 0);
	assert_true(received.has_sender);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), -ENOTCONN);
}

static void test_socket_receive_reports_a_packet_that_is_too_large(void **state)
{
	struct pair *pair = *state;
	struct received received;
	char buffer[4];

	assert_int_equal(send(pair->there, "abcd", 4, 0), 4);
	assert_int_equal(send(pair->there, "abcde", 5, 0), 5);
	assert_int_equal(send(pair->there, "abcde", 5, 0), 5);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_false(received.truncated);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_true(received.truncated);
	assert_int_equal(receive_unmarked(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_true(received.truncated);
}

/* Send a packet with @count copies of a descriptor. */
static void send_descriptors(int to, int fd, size_t count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(16 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(to, &msg, 0), 1);
}

/*
 * The write end of a pipe goes into the packet and nowhere else: once the packet is received, the
 * pipe is at its end if and only if nobody has the descriptor.
 */
static void assert_discarded(struct pair *pair,
	int (*receive_packet)(int, void *, size_t, struct received *), size_t count)
{
	struct received received;
	char buffer[8];
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	send_descriptors(pair->there, ends[1], count);
	close(ends[1]);
	assert_int_equal(read(ends[0], buffer, 1), -1);
	assert_int_equal(receive_packet(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_int_equal(received.size, 1);
	assert_int_equal(read(ends[0], buffer, 1), 0);
	close(ends[0]);
}

static void test_socket_receive_keeps_no_descriptors(void **state)
{
	struct pair *pair = *state;

	for (size_t count = 1; count <= 16; count++) {
		assert_discarded(pair, receive, count);
		assert_discarded(pair, receive_unmarked, count);
	}
	pass_credentials(pair->here);
	for (size_t count = 1; count <= 16; count++)
		assert_discarded(pair, receive, count);
}

static void test_socket_send_reports_a_full_socket_and_a_closed_one(void **state)
{
	struct pair *pair = *state;
	char data[1024] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	int r;

	do {
		r = socket_send(pair->there, &iov, 1);
	} while (r == 0);
	assert_int_equal(r, -EAGAIN);
	close(take_fd(&pair->here));
	/* Unread packets reset the connection first; then it is a broken pipe, and no signal. */
	assert_int_equal(socket_send(pair->there, &iov, 1), -ECONNRESET);
	assert_int_equal(socket_send(pair->there, &iov, 1), -EPIPE);
}

/* Why a client asks again after ECONNRESET: the answer that was sent before the end is still there.
 */
static void test_socket_receive_brings_what_was_sent_before_a_reset(void **state)
{
	struct pair *pair = *state;
	struct received received;
	char buffer[8];

	assert_int_equal(send(pair->here, "unread", 6, 0), 6);
	assert_int_equal(send(pair->there, "answer", 6, 0), 6);
	close(take_fd(&pair->there));
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), -ECONNRESET);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), 0);
	assert_int_equal(received.size, 6);
	assert_int_equal(receive(pair->here, buffer, sizeof(buffer), &received), -ENOTCONN);
}

static int send_buffer(int fd)
{
	int bytes = 0;
	socklen_t size = sizeof(bytes);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
	return bytes;
}

static void test_socket_raise_send_buffer_raises_it_and_never_lowers_it(void **state)
{
	struct pair *pair = *state;
	const int large = 4 * SOCKET_SEND_BUFFER_BYTES;
	const int small = 4096;
	int before;

	assert_int_equal(setsockopt(pair->here, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	before = send_buffer(pair->here);
	socket_raise_send_buffer(pair->here);
	assert_true(send_buffer(pair->here) > before);
	/* Only root gets more than the system's maximum; for others it is the maximum either way.
	 */
	if (setsockopt(pair->here, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large)) < 0)
		assert_int_equal(errno, EPERM);
	before = send_buffer(pair->here);
	socket_raise_send_buffer(pair->here);
	assert_int_equal(send_buffer(pair->here), before);
	socket_raise_send_buffer(-1);
}

int socket_tests(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_socket_receive_brings_a_packet_and_its_sender),
		TEST(test_socket_receive_without_passcred_knows_no_sender),
		TEST(test_socket_receive_tells_nothing_from_the_end),
		TEST(test_socket_receive_tells_an_empty_packet_from_the_end),
		TEST(test_socket_receive_reports_a_packet_that_is_too_large),
		TEST(test_socket_receive_keeps_no_descriptors),
		TEST(test_socket_send_reports_a_full_socket_and_a_closed_one),
		TEST(test_socket_receive_brings_what_was_sent_before_a_reset),
		TEST(test_socket_raise_send_buffer_raises_it_and_never_lowers_it),
#undef TEST
	};

	return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
