/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Socket: one packet from or to a SEQPACKET descriptor, with what the kernel says of its sender.
 * Receives and hands on bytes; understands none of them. Descriptors that a peer sends along
 * unasked are never installed in this process.
 */
#ifndef WIRE_SOCKET_H
#define WIRE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What SO_SNDBUF is raised to at both ends, so that more than one large packet can be under way. */
#define SOCKET_SEND_BUFFER_BYTES (1024 * 1024)

struct received {
	size_t size;	 /* bytes, header included */
	bool truncated;	 /* there were more than the buffers took */
	bool has_sender; /* SCM_CREDENTIALS came along: SO_PASSCRED is on, and this is no end of
			    file */
	pid_t sender_pid;
	uid_t sender_uid;
	gid_t sender_gid;
};

/*
 * Receive one packet into @iov; never waits. Returns 0; -EAGAIN nothing there; -ENOTCONN the peer
 * closed its end; another negative errno of recvmsg(2). EINTR is handled here. An empty packet on a
 * descriptor with SO_PASSCRED is a packet (size 0), not the end.
 */
int socket_receive(int fd, struct iovec *iov, size_t iov_count, struct received *ret_received);

/*
 * The same for a socket without SO_PASSCRED, a client's: it has no room for descriptors at all, so
 * the kernel discards them. There is no sender, and an empty packet looks like the end: -ENOTCONN.
 */
int socket_receive_unmarked(
	int fd, struct iovec *iov, size_t iov_count, struct received *ret_received);

/*
 * Send one packet, whole or not at all; never waits, never raises SIGPIPE. Returns 0, -EAGAIN, or
 * another negative errno of sendmsg(2). EINTR is handled here.
 */
int socket_send(int fd, const struct iovec *iov, size_t iov_count);

/* Raise SO_SNDBUF to SOCKET_SEND_BUFFER_BYTES, or as near as the system lets. Failure is no error.
 */
void socket_raise_send_buffer(int fd);

#endif
