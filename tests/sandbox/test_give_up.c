/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What is left of a process after drpc_sandbox_give_up(). */
#include "sandbox/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

#define STRANGER 1500

static const struct drpc_sandbox_user stranger = { .uid = STRANGER, .gid = STRANGER };

/* A new directory that STRANGER may use, with a file "file" in it. */
static void directory_make(char *path, size_t size)
{
	AUTO_CLOSE int directory = -1, file = -1;

	snprintf(path, size, "/tmp/drpc-sandbox-XXXXXX");
	assert_non_null(mkdtemp(path));
	directory = open(path, O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	assert_int_equal(fchmod(directory, 0777), 0);
	file = openat(directory, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	assert_true(file >= 0);
	assert_int_equal(fchmod(file, 0666), 0);
	assert_int_equal(write(file, "text", 4), 4);
}

static void directory_remove(const char *path)
{
	AUTO_CLOSE int directory = open(path, O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(unlinkat(directory, "file", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

/* Opened before give_up, read after it: Landlock judges the opening. */
static void expect_status(int fd, const char *line)
{
	char text[8192];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

	EXPECT(size > 0);
	text[size] = '\0';
	if (strstr(text, line) == NULL)
		dprintf(STDERR_FILENO, "no line '%s' in:\n%s", line, text);
	EXPECT(strstr(text, line) != NULL);
}

static void as_bare_uid(void *data)
{
	static const char *const lines[] = {
		"\nUid:\t1500\t1500\t1500\t1500\n",
		"\nGid:\t1500\t1500\t1500\t1500\n",
		"\nGroups:\t \n",
		"\nCapInh:\t0000000000000000\n",
		"\nCapPrm:\t0000000000000000\n",
		"\nCapEff:\t0000000000000000\n",
		"\nCapBnd:\t0000000000000000\n",
		"\nCapAmb:\t0000000000000000\n",
		"\nNoNewPrivs:\t1\n",
	};
	struct drpc_sandbox_missing missing = { .bounding = true };
	int status = open("/proc/self/status", O_RDONLY);

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, &stranger, NULL, &missing);
	EXPECT(!missing.bounding);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_status(status, lines[i]);
}

static void test_give_up_leaves_a_bare_uid_nothing(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(as_bare_uid, NULL);
	child_assert_passed(&outcome);
}

static void with_locked_bits(void *data)
{
	struct drpc_sandbox_missing missing;
	int bits;

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, &stranger, NULL, &missing);
	bits = prctl(PR_GET_SECUREBITS);
	EXPECT(bits == (SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_CAP_AMBIENT_RAISE |
			       SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
			       SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED));
	EXPECT(prctl(PR_GET_KEEPCAPS) == 0);
}

static void test_give_up_locks_the_securebits(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(with_locked_bits, NULL);
	child_assert_passed(&outcome);
}

static void as_limited(void *data)
{
	struct drpc_sandbox_missing missing;
	struct rlimit limit;
	void *memory;

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, NULL, NULL, &missing);
	EXPECT(prctl(PR_GET_DUMPABLE) == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == limit.rlim_max);
	EXPECT(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	if (missing.mdwe)
		return;
	memory = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(memory == MAP_FAILED && errno == EACCES);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(memory != MAP_FAILED);
	EXPECT(mprotect(memory, 4096, PROT_READ | PROT_EXEC) < 0);
}

static void test_give_up_sets_the_limits_of_the_process(void **state)
{
	struct outcome outcome = child_run(as_limited, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void without_return(void *data)
{
	struct drpc_sandbox_missing missing;

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, &stranger, NULL, &missing);
	EXPECT(setuid(0) < 0 && errno == EPERM);
	EXPECT(seteuid(0) < 0 && errno == EPERM);
	EXPECT(setgid(0) < 0 && errno == EPERM);
	EXPECT(setgroups(0, NULL) < 0 && errno == EPERM);
}

static void test_give_up_leaves_no_way_back_to_root(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(without_return, NULL);
	child_assert_passed(&outcome);
}

static void with_groups(void *data)
{
	static gid_t groups[] = { 5, 1501 };
	struct drpc_sandbox_user user = stranger;
	struct drpc_sandbox_missing missing;
	int status = open("/proc/self/status", O_RDONLY);

	(void)data;
	user.groups = groups;
	user.group_count = 2;
	give_up(DRPC_SANDBOX_ENFORCE, &user, NULL, &missing);
	expect_status(status, "\nGroups:\t5 1501 \n");
}

static void test_give_up_sets_the_groups_of_an_account(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(with_groups, NULL);
	child_assert_passed(&outcome);
}

static void with_capabilities(void *data)
{
	struct drpc_policy_needs needs =
		needs_of(NULL, LIST("cap_net_admin", "CAP_SETUID"), NULL, NULL);
	struct drpc_sandbox_missing missing;
	int status = open("/proc/self/status", O_RDONLY);

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, &stranger, &needs, &missing);
	expect_status(status, "\nCapInh:\t0000000000000000\n");
	expect_status(status, "\nCapPrm:\t0000000000001080\n");
	expect_status(status, "\nCapEff:\t0000000000001080\n");
	expect_status(status, "\nCapBnd:\t0000000000000000\n");
	expect_status(status, "\nCapAmb:\t0000000000000000\n");
}

static void test_give_up_keeps_the_capabilities_that_modules_asked_for(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(with_capabilities, NULL);
	child_assert_passed(&outcome);
}

static void as_root(void *data)
{
	static const struct drpc_sandbox_user root = { .uid = 0, .gid = 0 };
	struct drpc_sandbox_missing missing;
	int status = open("/proc/self/status", O_RDONLY);

	(void)data;
	give_up(DRPC_SANDBOX_ENFORCE, &root, NULL, &missing);
	expect_status(status, "\nUid:\t0\t0\t0\t0\n");
	expect_status(status, "\nCapPrm:\t0000000000000000\n");
	expect_status(status, "\nCapBnd:\t0000000000000000\n");
}

static void test_give_up_takes_the_capabilities_of_root_too(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(as_root, NULL);
	child_assert_passed(&outcome);
}

static void with_paths(void *data)
{
	const char *const *directories = data;
	struct drpc_policy_needs needs =
		needs_of(NULL, NULL, LIST(directories[0]), LIST(directories[1]));
	struct sockaddr_in any_port = { .sin_family = AF_INET };
	struct drpc_sandbox_missing missing;
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1U);
	char path[256], text[8];
	int fd, tcp;

	give_up(DRPC_SANDBOX_ENFORCE, NULL, &needs, &missing);
	if (missing.landlock)
		return;
	EXPECT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(open("/proc/self/status", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(open("/dev/null", O_WRONLY) < 0 && errno == EACCES);

	snprintf(path, sizeof(path), "%s/file", directories[0]);
	fd = open(path, O_RDONLY);
	EXPECT(fd >= 0 && read(fd, text, sizeof(text)) == 4);
	EXPECT(open(path, O_WRONLY) < 0 && errno == EACCES);
	EXPECT(unlink(path) < 0 && errno == EACCES);
	EXPECT(open(directories[0], O_RDONLY | O_DIRECTORY) >= 0);
	snprintf(path, sizeof(path), "%s/new", directories[0]);
	EXPECT(open(path, O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);

	snprintf(path, sizeof(path), "%s/new", directories[1]);
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	EXPECT(fd >= 0 && write(fd, "x", 1) == 1);
	EXPECT(unlink(path) == 0);
	EXPECT(symlink("/etc/passwd", path) < 0 && errno == EACCES);
	EXPECT(mknod(path, S_IFIFO | 0600, 0) < 0 && errno == EACCES);

	tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (tcp >= 0 && version >= 4)
		EXPECT(bind(tcp, (struct sockaddr *)&any_port, sizeof(any_port)) < 0 &&
			errno == EACCES);
}

static void test_give_up_opens_no_path_but_those_that_modules_asked_for(void **state)
{
	char readable[64], writable[64];
	const char *directories[] = { readable, writable };
	struct outcome outcome;

	(void)state;
	directory_make(readable, sizeof(readable));
	directory_make(writable, sizeof(writable));
	outcome = child_run(with_paths, directories);
	directory_remove(readable);
	directory_remove(writable);
	child_assert_passed(&outcome);
}

static void with_mode_off(void *data)
{
	struct drpc_sandbox_missing missing;

	(void)data;
	give_up(DRPC_SANDBOX_OFF, NULL, NULL, &missing);
	EXPECT(open("/etc/passwd", O_RDONLY) >= 0);
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0) != MAP_FAILED);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void test_give_up_without_sandbox_keeps_the_files_but_no_privileges(void **state)
{
	struct outcome outcome = child_run(with_mode_off, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

/* Expects give_up to fail with @error and @count problems, the first of which has @text in it. */
static void expect_refused(const struct drpc_sandbox_user *user,
	const struct drpc_policy_needs *needs, int error, size_t count, const char *text)
{
	struct drpc_problems *problems = drpc_problems_new();
	struct drpc_sandbox_missing missing;

	EXPECT(drpc_sandbox_give_up(DRPC_SANDBOX_ENFORCE, user, &needs, needs != NULL ? 1 : 0,
		       problems, &missing) == error);
	EXPECT(drpc_problems_count(problems) == count);
	if (strstr(drpc_problems_text(problems, 0), text) == NULL)
		dprintf(STDERR_FILENO, "%s\n", drpc_problems_text(problems, 0));
	EXPECT(strstr(drpc_problems_text(problems, 0), text) != NULL);
	drpc_problems_free(problems);
}

static void *wait_for_ever(void *data)
{
	pause();
	return data;
}

static void with_two_threads(void *data)
{
	pthread_t thread;

	(void)data;
	EXPECT(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
	expect_refused(NULL, NULL, -EBUSY, 1, "threads are running");
}

static void test_give_up_refuses_a_second_thread(void **state)
{
	struct outcome outcome = child_run(with_two_threads, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void without_privileges(void)
{
	if (geteuid() == 0)
		EXPECT(setgroups(0, NULL) == 0 && setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
}

static void as_another_user(void *data)
{
	struct drpc_sandbox_user other;

	(void)data;
	without_privileges();
	other = (struct drpc_sandbox_user){ .uid = getuid() + 1, .gid = getgid() };
	expect_refused(&other, NULL, -EPERM, 1, "start as root");
	other = (struct drpc_sandbox_user){ .uid = getuid(), .gid = getgid() + 1 };
	expect_refused(&other, NULL, -EPERM, 1, "start as root");
}

static void test_give_up_without_root_refuses_another_user(void **state)
{
	struct outcome outcome = child_run(as_another_user, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void as_the_same_user(void *data)
{
	struct drpc_sandbox_missing missing = { .bounding = false };
	struct drpc_sandbox_user same;

	(void)data;
	without_privileges();
	same = (struct drpc_sandbox_user){ .uid = getuid(), .gid = getgid() };
	give_up(DRPC_SANDBOX_ENFORCE, &same, NULL, &missing);
	EXPECT(missing.bounding);
}

static void test_give_up_without_root_takes_the_same_user(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(as_the_same_user, NULL);
	child_assert_passed(&outcome);
}

static void with_a_group_too_many(void *data)
{
	static const gid_t groups[] = { 5 };

	(void)data;
	EXPECT(setgroups(1, groups) == 0 && setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
	expect_refused(&stranger, NULL, -EPERM, 1, "the process has group 5");
}

static void test_give_up_without_root_refuses_groups_that_the_user_lacks(void **state)
{
	struct outcome outcome;

	(void)state;
	SKIP_WITHOUT_ROOT();
	outcome = child_run(with_a_group_too_many, NULL);
	child_assert_passed(&outcome);
}

static void with_unknown_needs(void *data)
{
	struct drpc_policy_needs needs = needs_of(LIST("getpid", "no_such_call", "socketcall"),
		LIST("cap_no_such", "12"), NULL, NULL);

	(void)data;
	expect_refused(NULL, &needs, -EINVAL, sizeof(long) == 8 ? 4 : 3, "cap_no_such");
}

static void test_give_up_refuses_unknown_capabilities_and_system_calls(void **state)
{
	struct outcome outcome = child_run(with_unknown_needs, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void with_a_missing_path(void *data)
{
	struct drpc_policy_needs needs = needs_of(NULL, NULL, LIST("/no/such/path"), LIST("/etc"));

	(void)data;
	expect_refused(NULL, &needs, -ENOENT, 1, "/no/such/path");
}

static void test_give_up_refuses_a_path_that_does_not_exist(void **state)
{
	struct outcome outcome = child_run(with_a_missing_path, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void with_a_capability_it_lacks(void *data)
{
	struct drpc_policy_needs needs = needs_of(NULL, LIST("cap_net_admin"), NULL, NULL);

	(void)data;
	without_privileges();
	expect_refused(NULL, &needs, -EPERM, 1, "cap_net_admin");
}

static void test_give_up_refuses_a_capability_that_the_process_lacks(void **state)
{
	struct outcome outcome = child_run(with_a_capability_it_lacks, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

int run_give_up_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_give_up_leaves_a_bare_uid_nothing),
		cmocka_unit_test(test_give_up_locks_the_securebits),
		cmocka_unit_test(test_give_up_sets_the_limits_of_the_process),
		cmocka_unit_test(test_give_up_leaves_no_way_back_to_root),
		cmocka_unit_test(test_give_up_sets_the_groups_of_an_account),
		cmocka_unit_test(test_give_up_keeps_the_capabilities_that_modules_asked_for),
		cmocka_unit_test(test_give_up_takes_the_capabilities_of_root_too),
		cmocka_unit_test(test_give_up_opens_no_path_but_those_that_modules_asked_for),
		cmocka_unit_test(test_give_up_without_sandbox_keeps_the_files_but_no_privileges),
		cmocka_unit_test(test_give_up_refuses_a_second_thread),
		cmocka_unit_test(test_give_up_without_root_refuses_another_user),
		cmocka_unit_test(test_give_up_without_root_takes_the_same_user),
		cmocka_unit_test(test_give_up_without_root_refuses_groups_that_the_user_lacks),
		cmocka_unit_test(test_give_up_refuses_unknown_capabilities_and_system_calls),
		cmocka_unit_test(test_give_up_refuses_a_path_that_does_not_exist),
		cmocka_unit_test(test_give_up_refuses_a_capability_that_the_process_lacks),
	};

	return cmocka_run_group_tests_name("give_up", tests, NULL, NULL);
}
