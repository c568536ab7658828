/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Keeper: receives the path of the daemon's socket after bind; hands on a descriptor. The child
 * holds the other end and the socket's directory, and nothing else: not the listening socket, into
 * which callers would go on connecting, and not the log, whose reader would wait for its end.
 */
#include "drpcd/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define ANSWER_SECONDS 1

/* The socket file: where it is, and which one it is. */
struct kept {
	int directory;
	enum drpc_sandbox_mode mode;
	char name[NAME_MAX + 1];
	dev_t device;
	ino_t inode;
};

/* What the child needs to wait, look, remove and answer. */
static const int keeping[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(newfstatat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(close),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
};

static int kept_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < ARRAY_SIZE(keeping) && r == 0; i++)
		r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, keeping[i], 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

/* Whether @value is among the permitted capabilities of @caps. */
static bool is_permitted(cap_t caps, cap_value_t value)
{
	cap_flag_value_t flag = CAP_CLEAR;

	return cap_get_flag(caps, value, CAP_PERMITTED, &flag) == 0 && flag == CAP_SET;
}

/* Drop all capabilities but @wanted, and those too where they are not there. */
static int capabilities_drop(const cap_value_t *wanted, size_t count)
{
	cap_t before = cap_get_proc(), after = cap_init();
	int r = before == NULL || after == NULL ? -1 : 0;

	for (cap_value_t value = 0; r == 0 && value < cap_max_bits(); value++) {
		if (is_permitted(before, CAP_SETPCAP) && cap_get_bound(value) > 0)
			r = cap_drop_bound(value);
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (!is_permitted(before, wanted[i]))
			continue;
		r = cap_set_flag(after, CAP_PERMITTED, 1, &wanted[i], CAP_SET);
		if (r == 0)
			r = cap_set_flag(after, CAP_EFFECTIVE, 1, &wanted[i], CAP_SET);
	}
	if (r == 0)
		r = cap_reset_ambient();
	if (r == 0)
		r = cap_set_proc(after);
	r = r < 0 ? -errno : 0;
	cap_free(before);
	cap_free(after);
	return r;
}

/* The directory may be anyone's, so its permissions must not stand in the way, where they do not
 * now. */
static int keeper_confine(const struct kept *kept)
{
	static const cap_value_t wanted[] = { CAP_DAC_OVERRIDE, CAP_FOWNER };
	int r;

	r = capabilities_drop(wanted, ARRAY_SIZE(wanted));
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return kept->mode == DRPC_SANDBOX_OFF ? 0 : kept_filter();
}

/* Close all descriptors but two. */
static int others_close(int one, int other)
{
	unsigned low = (unsigned)(one < other ? one : other);
	unsigned high = (unsigned)(one < other ? other : one);

	if (low > 0 && close_range(0, low - 1, 0) < 0)
		return -errno;
	if (high > low + 1 && close_range(low + 1, high - 1, 0) < 0)
		return -errno;
	return close_range(high + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* The daemon is who ends this process, by ending; signals to the whole group are meant for the
 * daemon. */
static void signals_ignore(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1,
		SIGUSR2 };

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

/* Another daemon may have bound the same path since: its file is left alone. */
static int kept_remove(const struct kept *kept)
{
	struct stat status;

	if (fstatat(kept->directory, kept->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (status.st_dev != kept->device || status.st_ino != kept->inode)
		return 0;
	return unlinkat(kept->directory, kept->name, 0) < 0 ? -errno : 0;
}

/* One byte each way: 0 is good, anything else an errno. */
static int byte_write(int fd, int error)
{
	uint8_t byte = (uint8_t)-error;

	return write(fd, &byte, 1) == 1 ? 0 : -EPIPE;
}

static int byte_read(int fd)
{
	uint8_t byte;
	ssize_t size;

	do
		size = read(fd, &byte, 1);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return size == 0 ? -EPIPE : -(int)byte;
}

/* The child's life. exit_group() directly: what the daemon registered for its own end is not ours
 * to run. */
static void __attribute__((noreturn)) keeper_run(int fd, const struct kept *kept)
{
	int r;

	signals_ignore();
	prctl(PR_SET_NAME, "drpcd-keeper");
	r = others_close(fd, kept->directory);
	if (r == 0)
		r = keeper_confine(kept);
	if (byte_write(fd, r) == 0 && r == 0) {
		byte_read(fd);
		byte_write(fd, kept_remove(kept));
	}
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

/* Look at the file, and hold on to its directory. The descriptor in *ret_kept is the caller's. */
static int kept_open(const char *path, struct kept *ret_kept)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	AUTO_CLOSE int directory = -1;
	char parent[PATH_MAX] = ".";
	struct kept kept = { .directory = -1 };
	struct stat status;

	if (strlen(path) >= sizeof(parent) || strlen(name) >= sizeof(kept.name))
		return -ENAMETOOLONG;
	if (slash != NULL)
		memcpy(mempcpy(parent, path, (size_t)(name - path)), ".", sizeof("."));
	memcpy(kept.name, name, strlen(name));

	directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	kept.device = status.st_dev;
	kept.inode = status.st_ino;
	kept.directory = take_fd(&directory);
	*ret_kept = kept;
	return 0;
}

static int keeper_fork(const struct kept *kept, int ret_fds[2])
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	if (setsockopt(ret_fds[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		keeper_run(ret_fds[1], kept);
	return 0;
}

int keeper_start(struct keeper *keeper, const char *socket_path, enum drpc_sandbox_mode mode,
	struct drpc_problems *problems)
{
	AUTO_CLOSE int ours = -1, theirs = -1, directory = -1;
	struct kept kept = { .directory = -1 };
	int fds[2] = { -1, -1 };
	int r;

	r = kept_open(socket_path, &kept);
	kept.mode = mode;
	directory = kept.directory;
	if (r == 0)
		r = keeper_fork(&kept, fds);
	ours = fds[0];
	theirs = fds[1];
	if (r == 0) {
		cleanup_close(&theirs);
		theirs = -1;
		r = byte_read(ours);
	}
	if (r < 0) {
		drpc_problems_add(problems, socket_path, 0,
			"cannot start the process that removes the socket file at the end: %s",
			strerror(-r));
		return r;
	}
	keeper->fd = take_fd(&ours);
	return 0;
}

int keeper_remove(struct keeper *keeper)
{
	AUTO_CLOSE int fd = take_fd(&keeper->fd);

	if (fd < 0 || shutdown(fd, SHUT_WR) < 0)
		return -EPIPE;
	return byte_read(fd);
}
