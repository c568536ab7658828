/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Trusted file: receives a path; hands on a descriptor of what nobody but root and the effective
 * user could have written, or a problem with its cure.
 *
 * The way is walked one component at a time, each opened relative to the one before and judged
 * before it is used. Nothing is looked up twice, so nothing can be exchanged between the look and
 * the use.
 */
#include "util/trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

#define LINKS_MAX 40 /* as many as the kernel follows */

struct walk {
	int directory;	      /* where we stand: open, judged, trusted */
	char at[PATH_MAX];    /* its name, for messages */
	char ahead[PATH_MAX]; /* the components still to go */
	unsigned links;	      /* followed so far */
	struct drpc_problems *problems;
};

static int refuse(struct drpc_problems *problems, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct drpc_problems *problems, const char *path, const char *format, ...)
{
	char what[256];
	va_list values;

	va_start(values, format);
	vsnprintf(what, sizeof(what), format, values);
	va_end(values);
	drpc_problems_add(problems, path, 0, "%s", what);
	return -EINVAL;
}

static bool is_ours(const struct stat *status)
{
	return status->st_uid == 0 || status->st_uid == geteuid();
}

static int judge_owner(const struct stat *status, const char *path, struct drpc_problems *problems)
{
	if (is_ours(status))
		return 0;
	drpc_problems_add(problems, path, 0,
		"owned by uid %u, neither root nor the uid that reads it (%u); run: chown %s %s",
		status->st_uid, geteuid(), S_ISLNK(status->st_mode) ? "-h root" : "root", path);
	return -EINVAL;
}

static int judge_mode(const struct stat *status, const char *path, struct drpc_problems *problems)
{
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	drpc_problems_add(
		problems, path, 0, "writable by group or others; run: chmod go-w %s", path);
	return -EINVAL;
}

/* In a sticky directory of root's everybody may make files, but only exchange their own. */
static int judge_directory(
	const struct stat *status, const char *path, struct drpc_problems *problems)
{
	int r = judge_owner(status, path, problems);

	if (r < 0 || ((status->st_mode & S_ISVTX) != 0 && status->st_uid == 0))
		return r;
	return judge_mode(status, path, problems);
}

/* Stand somewhere new, if it is a directory to be trusted. Takes the descriptor over in any case.
 */
static int walk_enter(struct walk *walk, int directory, const char *at)
{
	AUTO_CLOSE int fd = directory;
	struct stat status;
	int r;

	if (fstat(fd, &status) < 0)
		return refuse(walk->problems, at, "%s", strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return refuse(walk->problems, at, "not a directory");
	r = judge_directory(&status, at, walk->problems);
	if (r < 0)
		return r;
	cleanup_close(&walk->directory);
	walk->directory = take_fd(&fd);
	memcpy(walk->at, at, strlen(at) + 1);
	return 0;
}

static int walk_open_start(struct walk *walk)
{
	const char *start = walk->ahead[0] == '/' ? "/" : ".";
	int fd = open(start, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return refuse(walk->problems, start, "%s", strerror(errno));
	return walk_enter(walk, fd, start);
}

/* Cut the next component off what is ahead. False: there is none. */
static bool walk_next(struct walk *walk, char name[static NAME_MAX + 1], bool *ret_is_last)
{
	size_t start = strspn(walk->ahead, "/");
	size_t length = strcspn(walk->ahead + start, "/");
	size_t after = start + length;

	if (length == 0 || length > NAME_MAX)
		return false;
	memcpy(name, walk->ahead + start, length);
	name[length] = '\0';
	memmove(walk->ahead, walk->ahead + after, strlen(walk->ahead + after) + 1);
	*ret_is_last = walk->ahead[0] == '\0';
	return true;
}

/* The name of a component, for messages: "/etc" and "drpc" make "/etc/drpc", "." and "x" make "x".
 */
static int walk_name(const struct walk *walk, const char *name, char path[static PATH_MAX])
{
	const char *at = strcmp(walk->at, ".") == 0 ? "" : walk->at;
	const char *slash = at[0] == '\0' || strcmp(at, "/") == 0 ? "" : "/";

	if (snprintf(path, PATH_MAX, "%s%s%s", at, slash, name) >= PATH_MAX)
		return refuse(walk->problems, walk->at, "the path is too long");
	return 0;
}

/* Put a link's target before what is ahead. The link was opened, so it cannot have been exchanged.
 */
static int walk_follow(struct walk *walk, int link, const struct stat *status, const char *path)
{
	char target[PATH_MAX];
	char ahead[PATH_MAX];
	ssize_t length;
	int r = judge_owner(status, path, walk->problems);

	if (r < 0)
		return r;
	if (++walk->links > LINKS_MAX)
		return refuse(walk->problems, path, "too many symbolic links");
	length = readlinkat(link, "", target, sizeof(target) - 1);
	if (length < 0)
		return refuse(walk->problems, path, "%s", strerror(errno));
	target[length] = '\0';
	if (snprintf(ahead, sizeof(ahead), "%s/%s", target, walk->ahead) >= PATH_MAX)
		return refuse(walk->problems, path, "the path behind this link is too long");
	memcpy(walk->ahead, ahead, sizeof(ahead));
	return target[0] == '/' ? walk_open_start(walk) : 0;
}

/* One component that is a directory, or a link to one. */
static int walk_step(struct walk *walk, const char *name)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];
	struct stat status;
	int r = walk_name(walk, name, path);

	if (r < 0)
		return r;
	fd = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return refuse(walk->problems, path, "%s", strerror(errno));
	if (S_ISLNK(status.st_mode))
		return walk_follow(walk, fd, &status, path);
	return walk_enter(walk, take_fd(&fd), path);
}

/* Begin a walk. Ends with walk_end(), also after a failure. */
static int walk_begin(struct walk *walk, const char *path, struct drpc_problems *problems)
{
	walk->directory = -1;
	walk->links = 0;
	walk->problems = problems;
	if (path[0] == '\0')
		return refuse(problems, NULL, "an empty path");
	if (strlen(path) >= sizeof(walk->ahead))
		return refuse(problems, NULL, "a path of more than %d bytes", PATH_MAX - 1);
	memcpy(walk->ahead, path, strlen(path) + 1);
	return walk_open_start(walk);
}

static void walk_end(struct walk *walk)
{
	cleanup_close(&walk->directory);
}

static int judge_file(int fd, const char *path, struct drpc_problems *problems)
{
	struct stat status;
	int r;

	if (fstat(fd, &status) < 0)
		return refuse(problems, path, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return refuse(problems, path, "not a regular file");
	r = judge_owner(&status, path, problems);
	return r < 0 ? r : judge_mode(&status, path, problems);
}

int trusted_file_open_at(
	int directory, const char *name, const char *path, struct drpc_problems *problems)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing to a regular
	 * file. */
	AUTO_CLOSE int fd =
		openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0 && errno == ELOOP)
		return refuse(problems, path, "a symbolic link; give the path of the file itself");
	if (fd < 0)
		return refuse(problems, path, "%s", strerror(errno));
	r = judge_file(fd, path, problems);
	return r < 0 ? r : take_fd(&fd);
}

static int walk_to_file(struct walk *walk, const char *path)
{
	char name[NAME_MAX + 1];
	bool is_last = false;
	int r;

	while (walk_next(walk, name, &is_last)) {
		if (is_last)
			return trusted_file_open_at(walk->directory, name, path, walk->problems);
		r = walk_step(walk, name);
		if (r < 0)
			return r;
	}
	return refuse(walk->problems, path, "not the path of a file");
}

int trusted_file_open(const char *path, struct drpc_problems *problems)
{
	struct walk walk;
	int r = walk_begin(&walk, path, problems);

	if (r == 0)
		r = walk_to_file(&walk, path);
	walk_end(&walk);
	return r;
}

/* The walk holds only the directory's place (O_PATH): open it for reading, the same inode. */
static int walk_to_directory(struct walk *walk, const char *path)
{
	char name[NAME_MAX + 1];
	bool is_last = false;
	int fd, r;

	while (walk_next(walk, name, &is_last)) {
		r = walk_step(walk, name);
		if (r < 0)
			return r;
	}
	if (walk->ahead[strspn(walk->ahead, "/")] != '\0')
		return refuse(walk->problems, path, "%s", strerror(ENAMETOOLONG));
	fd = openat(walk->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? refuse(walk->problems, path, "%s", strerror(errno)) : fd;
}

int trusted_directory_open(const char *path, struct drpc_problems *problems)
{
	struct walk walk;
	int r = walk_begin(&walk, path, problems);

	if (r == 0)
		r = walk_to_directory(&walk, path);
	walk_end(&walk);
	return r;
}

/* Fill @text with at most @size bytes, less where the file ends. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, text + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int trusted_file_read(int fd, const char *path, size_t max, struct drpc_problems *problems,
	char **ret_text, size_t *ret_size)
{
	AUTO_FREE char *text = NULL;
	struct stat status;
	size_t room;
	ssize_t n;

	if (fstat(fd, &status) < 0)
		return refuse(problems, path, "%s", strerror(errno));
	if ((uintmax_t)status.st_size > max)
		return refuse(problems, path, "larger than %zu bytes", max);
	room = (size_t)status.st_size + 1; /* one more, to see that it has not grown meanwhile */
	text = malloc(room);
	if (text == NULL)
		return -ENOMEM;
	n = read_all(fd, text, room);
	if (n < 0)
		return refuse(problems, path, "%s", strerror((int)-n));
	if ((size_t)n == room)
		return refuse(problems, path, "it is being written to; try again");
	*ret_text = take_ptr(text);
	*ret_size = (size_t)n;
	return 0;
}
