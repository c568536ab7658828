/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Trusted file: who may own what, who may write it, links, and files that are none. */
#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/trusted_file.h"

#define OTHER_UID 12345

struct place {
	char start[4096]; /* the working directory before */
	char path[64]; /* a directory of this test alone, which is the working directory during it
			*/
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static int remove_tree(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->path, "/tmp/drpc-trusted-XXXXXX");
	if (getcwd(place->start, sizeof(place->start)) == NULL || mkdtemp(place->path) == NULL)
		return -1;
	*state = place;
	umask(022);
	return chdir(place->path);
}

static int tear_down(void **state)
{
	struct place *place = *state;
	int r = chdir(place->start) < 0 ? -1 : remove_tree(place->path);

	free(place);
	return r;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* @problem: NULL, or the beginning of the only problem. */
static void expect(int fd, struct drpc_problems *problems, const char *problem)
{
	if (problem == NULL) {
		if (drpc_problems_count(problems) > 0)
			fail_msg("%s", drpc_problems_text(problems, 0));
		assert_true(fd >= 0);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		close(fd);
	} else {
		assert_int_equal(fd, -EINVAL);
		assert_int_equal(drpc_problems_count(problems), 1);
		if (!starts_with(drpc_problems_text(problems, 0), problem))
			fail_msg("\"%s\" does not begin with \"%s\"",
				drpc_problems_text(problems, 0), problem);
	}
	drpc_problems_free(problems);
}

static void expect_file(const char *path, const char *problem)
{
	struct drpc_problems *problems = drpc_problems_new();

	expect(trusted_file_open(path, problems), problems, problem);
}

static void expect_directory(const char *path, const char *problem)
{
	struct drpc_problems *problems = drpc_problems_new();

	expect(trusted_directory_open(path, problems), problems, problem);
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root\n");
		skip();
	}
}

static void test_trusted_file_open_takes_a_file_of_ours(void **state)
{
	const struct place *place = *state;
	char path[128];

	write_file("f", "x");
	expect_file("f", NULL);
	expect_file("./f", NULL);
	snprintf(path, sizeof(path), "%s/f", place->path); /* through /tmp, sticky and root's */
	expect_file(path, NULL);
	snprintf(path, sizeof(path), "//%s//./f", place->path);
	expect_file(path, NULL);
	assert_int_equal(mkdir("d", 0755), 0);
	expect_file("d/../f", NULL);
}

static void test_trusted_file_open_refuses_what_is_missing(void **state)
{
	(void)state;
	expect_file("f", "f: No such file or directory");
	expect_file("d/f", "d: No such file or directory");
	expect_file("", "an empty path");
	expect_file("/", "/: not the path of a file");
	expect_file(".", ".: not a regular file");
	write_file("f", "x");
	expect_file("f/g", "f: not a directory");
	expect_file("f/", "f: not a directory");
}

static void test_trusted_file_open_refuses_writable_files(void **state)
{
	(void)state;
	write_file("f", "x");
	chmod("f", 0664);
	expect_file("f", "f: writable by group or others; run: chmod go-w f");
	chmod("f", 0646);
	expect_file("f", "f: writable by group or others; run: chmod go-w f");
	chmod("f", 0444);
	expect_file("f", NULL);
}

static void test_trusted_file_open_refuses_writable_directories(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mkdir("d/e", 0755), 0);
	write_file("d/e/f", "x");
	chmod("d", 0775);
	expect_file("d/e/f", "d: writable by group or others; run: chmod go-w d");
	chmod("d", 0755);
	chmod("d/e", 0757);
	expect_file("d/e/f", "d/e: writable by group or others; run: chmod go-w d/e");
	expect_directory("d/e", "d/e: writable by group or others");
	chmod("d/e", 0755);
	expect_file("d/e/f", NULL);
	expect_directory("d/e", NULL);
	expect_directory("d/e/", NULL);
	chmod(".", 0777);
	expect_file("d/e/f", ".: writable by group or others");
}

static void test_trusted_file_open_takes_sticky_directories_of_roots(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	chmod("d", 01777);
	write_file("d/f", "x");
	expect_file("d/f", geteuid() == 0 ? NULL : "d: writable by group or others");
}

static void test_trusted_file_open_refuses_others_property(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(mkdir("d", 0755), 0);
	write_file("d/f", "x");
	assert_int_equal(chown("d/f", OTHER_UID, 0), 0);
	expect_file("d/f",
		"d/f: owned by uid 12345, neither root nor the uid that reads it (0); run: chown root d/f");
	assert_int_equal(chown("d/f", 0, OTHER_UID), 0); /* the group may be any: it cannot write */
	expect_file("d/f", NULL);
	assert_int_equal(chown("d", OTHER_UID, 0), 0);
	expect_file("d/f", "d: owned by uid 12345");
	expect_directory("d", "d: owned by uid 12345");
	chmod("d", 01777); /* sticky, but not root's */
	expect_file("d/f", "d: owned by uid 12345");
}

/* As the effective user, who may have files and directories of its own. */
static void test_trusted_file_open_takes_the_effective_users(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(mkdir("d", 0755), 0);
	write_file("d/f", "x");
	write_file("d/root", "x");
	assert_int_equal(chown("d", OTHER_UID, 0), 0);
	assert_int_equal(chown("d/f", OTHER_UID, 0), 0);
	chmod(".", 0755);
	assert_int_equal(seteuid(OTHER_UID), 0);
	expect_file("d/f", NULL);
	expect_file("d/root", NULL);
	assert_int_equal(chmod("d", 01777), 0); /* sticky, but not root's */
	expect_file("d/f", "d: writable by group or others");
	assert_int_equal(chmod("d", 0755), 0);
	assert_int_equal(seteuid(0), 0);
	expect_file("d/f", "d: owned by uid 12345");
}

static void test_trusted_file_open_refuses_a_link_in_the_end(void **state)
{
	(void)state;
	write_file("f", "x");
	assert_int_equal(symlink("f", "l"), 0);
	expect_file("l", "l: a symbolic link; give the path of the file itself");
	assert_int_equal(symlink("nowhere", "m"), 0);
	expect_file("m", "m: a symbolic link");
}

static void test_trusted_file_open_follows_links_on_the_way(void **state)
{
	const struct place *place = *state;
	char path[128];

	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mkdir("d/e", 0755), 0);
	write_file("d/e/f", "x");
	assert_int_equal(symlink("d/e", "l"), 0);
	expect_file("l/f", NULL);
	expect_directory("l", NULL);
	assert_int_equal(symlink("../l", "d/up"), 0);
	expect_file("d/up/f", NULL);
	snprintf(path, sizeof(path), "%s/d/", place->path);
	assert_int_equal(symlink(path, "absolute"), 0);
	expect_file("absolute/e/f", NULL);
	chmod("d", 0777); /* what lies behind a link is judged as well */
	expect_file("l/f", "d: writable by group or others");
	snprintf(path, sizeof(path), "%s/d: writable by group or others", place->path);
	expect_file("absolute/e/f", path);
}

static void test_trusted_file_open_bounds_links(void **state)
{
	(void)state;
	assert_int_equal(symlink("b", "a"), 0);
	assert_int_equal(symlink("a", "b"), 0);
	expect_file("a/f", "a: too many symbolic links");
}

/* In a sticky directory anybody may make links; only root's and ours are followed. */
static void test_trusted_file_open_refuses_others_links(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mkdir("s", 0755), 0);
	chmod("s", 01777);
	write_file("d/f", "x");
	assert_int_equal(symlink("../d", "s/l"), 0);
	expect_file("s/l/f", NULL);
	assert_int_equal(lchown("s/l", OTHER_UID, OTHER_UID), 0);
	expect_file("s/l/f",
		"s/l: owned by uid 12345, neither root nor the uid that reads it (0); run: chown -h root s/l");
}

static void test_trusted_file_open_refuses_what_is_no_file(void **state)
{
	struct sockaddr_un address = { AF_UNIX, "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	expect_file("fifo", "fifo: not a regular file"); /* and does not wait for its writer */
	assert_int_equal(mkdir("d", 0755), 0);
	expect_file("d", "d: not a regular file");
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	expect_file("socket", "socket: No such device or address");
	close(fd);
	expect_directory("fifo", "fifo: not a directory");
	expect_file("/dev/null", "/dev/null: not a regular file");
}

static void test_trusted_file_open_at_stays_in_its_directory(void **state)
{
	struct drpc_problems *problems = drpc_problems_new();
	int directory, fd;

	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	write_file("d/f", "x");
	directory = trusted_directory_open("d", problems);
	assert_int_equal(rename("d", "e"), 0);
	fd = trusted_file_open_at(directory, "f", "d/f", problems);
	expect(fd, problems, NULL);
	close(directory);
}

static void test_trusted_file_open_refuses_long_paths(void **state)
{
	char path[5000];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[4999] = '\0';
	expect_file(path, "a path of more than 4095 bytes");
	path[300] = '\0';
	expect_file(path, path);
	expect_directory(path, path);
}

static int read_file(
	const char *path, size_t max, struct drpc_problems *problems, char **text, size_t *size)
{
	int fd = trusted_file_open(path, problems);
	int r = trusted_file_read(fd, path, max, problems, text, size);

	close(fd);
	return r;
}

static void test_trusted_file_read_bounds_the_size(void **state)
{
	struct drpc_problems *problems = drpc_problems_new();
	char *text = NULL;
	size_t size = 0;

	(void)state;
	write_file("f", "12345");
	assert_int_equal(read_file("f", 5, problems, &text, &size), 0);
	assert_int_equal(size, 5);
	assert_memory_equal(text, "12345", 5);
	free(text);
	text = NULL;
	assert_int_equal(read_file("f", 4, problems, &text, &size), -EINVAL);
	assert_null(text);
	assert_string_equal(drpc_problems_text(problems, 0), "f: larger than 4 bytes");
	write_file("empty", "");
	assert_int_equal(read_file("empty", 0, problems, &text, &size), 0);
	assert_int_equal(size, 0);
	free(text);
	drpc_problems_free(problems);
}

#define IN_PLACE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int trusted_file_tests(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(test_trusted_file_open_takes_a_file_of_ours),
		IN_PLACE(test_trusted_file_open_refuses_what_is_missing),
		IN_PLACE(test_trusted_file_open_refuses_writable_files),
		IN_PLACE(test_trusted_file_open_refuses_writable_directories),
		IN_PLACE(test_trusted_file_open_takes_sticky_directories_of_roots),
		IN_PLACE(test_trusted_file_open_refuses_others_property),
		IN_PLACE(test_trusted_file_open_takes_the_effective_users),
		IN_PLACE(test_trusted_file_open_refuses_a_link_in_the_end),
		IN_PLACE(test_trusted_file_open_follows_links_on_the_way),
		IN_PLACE(test_trusted_file_open_bounds_links),
		IN_PLACE(test_trusted_file_open_refuses_others_links),
		IN_PLACE(test_trusted_file_open_refuses_what_is_no_file),
		IN_PLACE(test_trusted_file_open_at_stays_in_its_directory),
		IN_PLACE(test_trusted_file_open_refuses_long_paths),
		IN_PLACE(test_trusted_file_read_bounds_the_size),
	};

	return cmocka_run_group_tests_name("trusted_file", tests, NULL, NULL);
}
