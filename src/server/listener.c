/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Listener: see listener.h. */
#include "server/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/server.h"
#include "server/session.h"
#include "util/cleanup.h"

#define PAUSE_NS UINT64_C(100000000)

static int make_address(const char *path, struct sockaddr_un *ret_address)
{
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, length);
	return 0;
}

/* Whether anybody listens at the address: 0 nobody does, -EADDRINUSE, or what connect(2) says. */
static int probe(const struct sockaddr_un *address)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return -EADDRINUSE;
	switch (errno) {
	case ECONNREFUSED:
	case ENOENT:
		return 0;
	case EAGAIN:	 /* its queue is full */
	case EPROTOTYPE: /* it is of another type */
		return -EADDRINUSE;
	default:
		return -errno;
	}
}

/* Make room at the path: a socket that nobody listens on any more goes, anything else stays. */
static int remove_dead(const struct sockaddr_un *address)
{
	struct stat st;
	int r;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	r = probe(address);
	if (r < 0)
		return r;
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* bind(2) gives the file the mode of the socket's own inode, less the umask. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode)
{
	mode_t mask;
	int r;

	if (fchmod(fd, mode) < 0)
		return -errno;
	mask = umask(0);
	r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	return r;
}

/* Sessions inherit SO_PASSCRED, so that no packet, not even the first, goes unmarked. */
static int pass_credentials(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}

int listener_bind(const char *path, mode_t mode, int *ret_fd, ino_t *ret_inode)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	r = make_address(path, &address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = pass_credentials(fd);
	if (r < 0)
		return r;
	r = remove_dead(&address);
	if (r < 0)
		return r;
	r = bind_with_mode(fd, &address, mode);
	if (r < 0)
		return r;
	if (lstat(path, &st) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	*ret_inode = st.st_ino;
	*ret_fd = take_fd(&fd);
	return 0;
}

int listener_unlink(const char *path, ino_t inode)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_ino != inode)
		return 0;
	return unlink(path) < 0 ? -errno : 0;
}

static void report(struct loop *loop, enum drpc_event_kind kind, const char *reason)
{
	service_report(
		loop->server->service, &(struct drpc_event){ .kind = kind, .reason = reason });
}

void listener_resume(struct loop *loop)
{
	loop->accept_again_ns = 0;
	if (loop->accept_open)
		return;
	loop->accept_open = loop_watch(loop, loop->server->listener, &loop->accept_source,
				    EPOLLIN | EPOLLEXCLUSIVE) == 0;
	if (!loop->accept_open)
		loop->accept_again_ns = loop->now_ns + PAUSE_NS;
}

void listener_pause(struct loop *loop)
{
	if (loop->accept_open)
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->server->listener, NULL);
	loop->accept_open = false;
}

/* Out of descriptors or memory: stop, and try again a little later. */
static void accept_failed(struct loop *loop, int error)
{
	listener_pause(loop);
	loop->accept_again_ns = loop->now_ns + PAUSE_NS;
	if (!atomic_exchange(&loop->server->is_paused, true))
		report(loop, DRPC_EVENT_PAUSE, strerror(error));
}

void listener_ready(struct source *source, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)source - offsetof(struct loop, accept_source));
	int fd;

	(void)events;
	if (atomic_load(&loop->is_stopping))
		return;
	fd = accept4(loop->server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* Another loop was quicker, or the caller has gone. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			accept_failed(loop, errno);
		return;
	}
	if (atomic_load(&loop->server->is_paused) &&
		atomic_exchange(&loop->server->is_paused, false))
		report(loop, DRPC_EVENT_RESUME, "accepting again");
	session_open(loop, fd);
}
