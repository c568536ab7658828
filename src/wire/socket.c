/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Socket: receives a descriptor and slices of memory; hands on one packet, or the reason why not.
 */
#include "wire/socket.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

/*
 * Room for SCM_CREDENTIALS and for nothing else. The kernel writes credentials first and gives
 * descriptors what room is left, so on a socket with SO_PASSCRED it discards them itself.
 */
union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(struct ucred))];
};

static int receive(int fd, struct msghdr *msg, size_t *ret_size)
{
	ssize_t n;

	do {
		n = recvmsg(fd, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*ret_size = (size_t)n;
	return 0;
}

static void take_sender(const struct cmsghdr *cmsg, struct received *received)
{
	struct ucred sender;

	if (cmsg->cmsg_len != CMSG_LEN(sizeof(sender)))
		return;
	memcpy(&sender, CMSG_DATA(cmsg), sizeof(sender));
	received->has_sender = true;
	received->sender_pid = sender.pid;
	received->sender_uid = sender.uid;
	received->sender_gid = sender.gid;
}

/* Without SO_PASSCRED some descriptors fit the control room. Nobody asked for them. */
static void close_descriptors(const struct cmsghdr *cmsg)
{
	size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		close(fd);
	}
}

static void read_control(struct msghdr *msg, struct received *received)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_CREDENTIALS)
			take_sender(cmsg, received);
		else if (cmsg->cmsg_type == SCM_RIGHTS)
			close_descriptors(cmsg);
	}
}

int socket_receive(int fd, struct iovec *iov, size_t iov_count, struct received *ret_received)
{
	union control control;
	struct msghdr msg = { .msg_iov = iov,
		.msg_iovlen = iov_count,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct received received = { 0 };
	int r;

	r = receive(fd, &msg, &received.size);
	if (r < 0)
		return r;
	read_control(&msg, &received);
	if (received.size == 0 && !received.has_sender)
		return -ENOTCONN;
	received.truncated = (msg.msg_flags & MSG_TRUNC) != 0;
	*ret_received = received;
	return 0;
}

int socket_receive_unmarked(
	int fd, struct iovec *iov, size_t iov_count, struct received *ret_received)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = iov_count };
	struct received received = { 0 };
	int r;

	r = receive(fd, &msg, &received.size);
	if (r < 0)
		return r;
	if (received.size == 0)
		return -ENOTCONN;
	received.truncated = (msg.msg_flags & MSG_TRUNC) != 0;
	*ret_received = received;
	return 0;
}

int socket_send(int fd, const struct iovec *iov, size_t iov_count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = iov_count };
	ssize_t n;

	do {
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The kernel doubles what is set, and answers the doubled value. Setting less than is there lowers
 * it. */
void socket_raise_send_buffer(int fd)
{
	int wanted = SOCKET_SEND_BUFFER_BYTES;
	int present = 0;
	socklen_t size = sizeof(present);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &present, &size) == 0 && present >= 2 * wanted)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}
