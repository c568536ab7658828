/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which system calls are left after drpc_sandbox_filter(), and how a process ends that makes
 * another. */
#include "sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

/* To fork is slow under sanitizers, so there it is one call in several. */
#define STEP (SANITIZED ? 7 : 1)

#define NUMBERS	       1024
#define LISTED_MAX     40
#define UNNAMED_NUMBER 1000 /* no kernel has it, and libseccomp has no name for it */
#define THREADS	       8

/* One system call, and its arguments. */
struct attempt {
	int number;
	long arguments[6];
};

static long attempt_make(const struct attempt *attempt)
{
	const long *a = attempt->arguments;

	return syscall(attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void attempt_filtered(void *data)
{
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	drpc_sandbox_running("hello", "greeting");
	attempt_make(data);
}

static const struct drpc_sandbox_call *listed(const char *name)
{
	const struct drpc_sandbox_call *call;

	for (size_t i = 0; (call = drpc_sandbox_call(i)) != NULL; i++) {
		if (strcmp(call->name, name) == 0)
			return call;
	}
	return NULL;
}

static void test_sandbox_call_lists_at_most_forty(void **state)
{
	size_t count = 0;

	(void)state;
	for (; drpc_sandbox_call(count) != NULL; count++) {
		const struct drpc_sandbox_call *call = drpc_sandbox_call(count);

		assert_true(seccomp_syscall_resolve_name(call->name) >= 0);
		assert_true(call->why[0] != '\0');
		assert_ptr_equal(listed(call->name), call);
	}
	print_message("%zu system calls are on the list\n", count);
	assert_in_range(count, 1, LISTED_MAX);
}

/* In sanitizer builds a few more are allowed, which only shows here. */
static bool is_for_sanitizers(const char *name)
{
	static const char *const names[] = { "sched_yield", "sigaltstack", "nanosleep",
		"gettimeofday" };

	for (size_t i = 0; SANITIZED && i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static void test_filter_kills_every_call_that_is_not_listed(void **state)
{
	size_t killed = 0;

	(void)state;
	for (int number = 0; number < NUMBERS; number += STEP) {
		AUTO_FREE char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		struct attempt attempt = { .number = number };
		struct outcome outcome;
		char report[256];

		if (name == NULL || listed(name) != NULL || is_for_sanitizers(name))
			continue;
		snprintf(report, sizeof(report),
			"killed by sandbox: system call %s (%d) is not on the list; "
			"module=hello method=greeting\n",
			name, number);
		outcome = child_run(attempt_filtered, &attempt);
		child_assert_killed(&outcome, SIGSYS, report);
		assert_string_equal(outcome.text, report);
		killed++;
	}
	print_message("%zu system calls that are not were tried\n", killed);
	assert_true(killed > 300 / STEP);
}

static int futex_word;

/* Where invalid arguments would say ENOSYS, or do harm. All others get -1 throughout. */
static const struct attempt harmless[] = {
	{ SYS_futex, { (long)&futex_word, FUTEX_WAKE, 1 } },
	{ SYS_getsockopt, { -1, SOL_SOCKET } },
	{ SYS_setsockopt, { -1, SOL_SOCKET, SO_SNDBUF } },
	{ SYS_writev, { STDERR_FILENO, 0, 0 } },
	{ SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
	{ SYS_mprotect, { 0, 0, PROT_READ } },
	{ SYS_exit_group, { 0 } },
};

static void each_is_made(void *data)
{
	struct attempt attempt = { *(const int *)data, { -1, -1, -1, -1, -1, -1 } };

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (harmless[i].number == attempt.number)
			attempt = harmless[i];
	}
	if (attempt.number == SYS_tgkill)
		attempt = (struct attempt){ SYS_tgkill, { getpid(), gettid(), 0 } };
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	EXPECT(attempt_make(&attempt) >= 0 || errno != ENOSYS);
}

static void on_signal(int signal)
{
	futex_word = signal;
}

/* rt_sigreturn cannot be called by hand. */
static void signal_returns(void *data)
{
	(void)data;
	signal(SIGUSR1, on_signal);
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	EXPECT(raise(SIGUSR1) == 0);
	EXPECT(futex_word == SIGUSR1);
}

static void test_filter_kills_listed_calls_with_other_arguments(void **state)
{
	static const long far = (long)1 << 32;
	static const struct attempt wrong[] = {
		{ SYS_getsockopt, { -1, IPPROTO_IP, 0 } },
		{ SYS_getsockopt, { -1, far | SOL_SOCKET, 0 } },
		{ SYS_setsockopt, { -1, IPPROTO_IP, SO_SNDBUF } },
		{ SYS_setsockopt, { -1, SOL_SOCKET, SO_RCVBUF } },
		{ SYS_setsockopt, { -1, IPPROTO_IP, SO_RCVBUF } },
		{ SYS_setsockopt, { -1, SOL_SOCKET, far | SO_SNDBUF } },
		{ SYS_tgkill, { 1, 1, 0 } },
		{ SYS_tgkill, { -1, -1, 0 } },
		{ SYS_tgkill, { 0, 0, 0 } },
		{ SYS_writev, { STDOUT_FILENO, 0, 0 } },
		{ SYS_writev, { -1, 0, 0 } },
		{ SYS_mprotect, { 0, 0, PROT_EXEC } },
		{ SYS_mprotect, { 0, 0, PROT_READ | PROT_WRITE | PROT_EXEC } },
		{ SYS_mprotect, { 0, 0, far | PROT_EXEC } },
		/* unpinned for sanitizers */
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
		{ SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE, 0 } },
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0 } },
		{ SYS_mmap, { 0, 4096, far | PROT_EXEC, far | MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct attempt attempt = wrong[i];
		struct outcome outcome;
		char report[128];

		if (SANITIZED && attempt.number == SYS_mmap)
			continue;
		outcome = child_run(attempt_filtered, &attempt);
		snprintf(report, sizeof(report),
			"(%d) is on the list, but not with these arguments; ", attempt.number);
		child_assert_killed(&outcome, SIGSYS, report);
	}
}

static void test_filter_tries_every_pinned_call(void **state)
{
	static const char *const tried[] = { "getsockopt", "setsockopt", "tgkill", "writev",
		"mprotect", "mmap" };
	size_t pinned = 0;

	(void)state;
	for (size_t i = 0; drpc_sandbox_call(i) != NULL; i++)
		pinned += drpc_sandbox_call(i)->pinned;
	assert_int_equal(pinned, ARRAY_SIZE(tried));
	for (size_t i = 0; i < ARRAY_SIZE(tried); i++) {
		const struct drpc_sandbox_call *call = listed(tried[i]);

		assert_true(call != NULL && call->pinned);
	}
}

static void idle_attempt(void *data)
{
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	drpc_sandbox_running("hello", "greeting");
	drpc_sandbox_running(NULL, NULL);
	attempt_make(data);
}

static void test_filter_reports_no_module_when_none_runs(void **state)
{
	struct attempt attempt = { SYS_getppid, { 0 } };
	struct outcome outcome = child_run(idle_attempt, &attempt);

	(void)state;
	child_assert_killed(&outcome, SIGSYS, "getppid");
	assert_non_null(strstr(outcome.text, "; module=- method=-\n"));
}

static void unnamed_call(void *data)
{
	(void)data;
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	EXPECT(syscall(UNNAMED_NUMBER) < 0 && errno == ENOSYS);
}

static void test_filter_answers_enosys_to_calls_without_a_name(void **state)
{
	struct outcome outcome = child_run(unnamed_call, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

#ifdef __x86_64__
static void i386_call(void *data)
{
	long result;

	(void)data;
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	(void)result;
}

static void x32_call(void *data)
{
	(void)data;
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	syscall(0x40000000L | SYS_getpid);
}

static void test_filter_kills_other_architectures(void **state)
{
	struct outcome outcome = child_run(i386_call, NULL);

	(void)state;
	child_assert_killed(&outcome, SIGSYS, "");
	outcome = child_run(x32_call, NULL);
	child_assert_killed(&outcome, SIGSYS, "");
}
#endif

static void with_needs(void *data)
{
	struct drpc_policy_needs needs =
		needs_of(LIST("getppid", "mmap", "tgkill"), NULL, NULL, NULL);
	void *code;

	filter(DRPC_SANDBOX_ENFORCE, &needs);
	EXPECT(getppid() > 0);
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(code != MAP_FAILED);
	EXPECT(syscall(SYS_tgkill, -1, -1, 0) < 0 && errno == EINVAL);
	attempt_make(data);
}

static void test_filter_adds_what_modules_asked_for(void **state)
{
	struct attempt attempt = { SYS_getuid, { 0 } };
	struct outcome outcome = child_run(with_needs, &attempt);

	(void)state;
	child_assert_killed(&outcome, SIGSYS, "system call getuid");
	attempt.number = SYS_getpid;
	outcome = child_run(with_needs, &attempt);
	child_assert_passed(&outcome);
}

static void with_signal_needs(void *data)
{
	struct drpc_policy_needs needs = needs_of(LIST("rt_sigaction", "tgkill"), NULL, NULL, NULL);

	filter(DRPC_SANDBOX_ENFORCE, &needs);
	attempt_make(data);
	_exit(0);
}

static void test_filter_kills_also_when_a_module_may_change_signals(void **state)
{
	struct attempt attempt = { SYS_getppid, { 0 } };
	struct outcome outcome = child_run(with_signal_needs, &attempt);

	(void)state;
	child_assert_killed(&outcome, SIGSYS, "system call getppid");
}

static void with_unknown_needs(void *data)
{
	struct drpc_policy_needs list = needs_of(LIST("no_such_call"), NULL, NULL, NULL);
	const struct drpc_policy_needs *needs = &list;
	struct drpc_problems *problems = drpc_problems_new();

	(void)data;
	EXPECT(drpc_sandbox_filter(DRPC_SANDBOX_ENFORCE, &needs, 1, problems) == -EINVAL);
	EXPECT(drpc_problems_count(problems) == 1);
	EXPECT(strstr(drpc_problems_text(problems, 0), "no_such_call") != NULL);
	EXPECT(prctl(PR_GET_SECCOMP) == 0);
	drpc_problems_free(problems);
}

static void test_filter_refuses_unknown_calls(void **state)
{
	struct outcome outcome = child_run(with_unknown_needs, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void logged_attempt(void *data)
{
	filter(DRPC_SANDBOX_LOG, NULL);
	EXPECT(attempt_make(data) > 0);
	EXPECT(syscall(UNNAMED_NUMBER) < 0 && errno == ENOSYS);
}

static void test_filter_that_logs_lets_calls_pass(void **state)
{
	struct attempt attempt = { SYS_getppid, { 0 } };
	struct outcome outcome = child_run(logged_attempt, &attempt);

	(void)state;
	child_assert_passed(&outcome);
}

static void unfiltered(void *data)
{
	(void)data;
	filter(DRPC_SANDBOX_OFF, NULL);
	EXPECT(prctl(PR_GET_SECCOMP) == 0);
}

static void test_filter_that_is_off_loads_nothing(void **state)
{
	struct outcome outcome = child_run(unfiltered, NULL);

	(void)state;
	child_assert_passed(&outcome);
}

static void aborted(void *data)
{
	(void)data;
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	abort();
}

static void test_filter_lets_a_process_abort(void **state)
{
	struct outcome outcome = child_run(aborted, NULL);

	(void)state;
	child_assert_killed(&outcome, SIGABRT, "");
}

static void blocked_attempt(void *data)
{
	sigset_t all;

	filter(DRPC_SANDBOX_ENFORCE, NULL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	attempt_make(data);
	_exit(0);
}

static void test_filter_kills_a_thread_that_blocks_sigsys(void **state)
{
	struct attempt attempt = { SYS_getppid, { 0 } };
	struct outcome outcome = child_run(blocked_attempt, &attempt);

	(void)state;
	child_assert_killed(&outcome, SIGSYS, "");
}

/* Threads that exist when the filter is loaded, and what they do afterwards. */
struct crowd {
	pthread_barrier_t barrier;
	void (*work)(void);
};

static void *crowd_member(void *data)
{
	struct crowd *crowd = data;

	pthread_barrier_wait(&crowd->barrier);
	crowd->work();
	return NULL;
}

static void crowd_run(void *data)
{
	static struct crowd crowd;
	struct drpc_sandbox_missing missing;
	pthread_t threads[THREADS];

	crowd.work = *(void (**)(void))data;
	give_up(DRPC_SANDBOX_ENFORCE, NULL, NULL, &missing);
	EXPECT(pthread_barrier_init(&crowd.barrier, NULL, THREADS + 1) == 0);
	for (size_t i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&threads[i], NULL, crowd_member, &crowd) == 0);
	filter(DRPC_SANDBOX_ENFORCE, NULL);
	pthread_barrier_wait(&crowd.barrier);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void no_work(void)
{
}

/* exit, by a process's first thread, would leave its others behind. */
static void threads_end(void *data)
{
	void (*work)(void) = no_work;

	(void)data;
	crowd_run(&work);
}

static void test_filter_lets_every_listed_call_pass(void **state)
{
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; drpc_sandbox_call(i) != NULL; i++) {
		int number = seccomp_syscall_resolve_name(drpc_sandbox_call(i)->name);

		outcome = child_run(number == SYS_rt_sigreturn ? signal_returns
				    : number == SYS_exit       ? threads_end
							       : each_is_made,
			&number);
		child_assert_passed(&outcome);
	}
}

static void forbidden_work(void)
{
	syscall(SYS_getppid);
	_exit(0);
}

static void test_filter_kills_threads_that_trap_at_the_same_time(void **state)
{
	void (*work)(void) = forbidden_work;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct outcome outcome = child_run(crowd_run, &work);

		child_assert_killed(&outcome, SIGSYS, "killed by sandbox: system call getppid (");
		assert_non_null(strstr(outcome.text, "module=- method=-\n"));
	}
}

/* Enough to grow and shrink heaps, and to be given memory of every kind. */
static void memory_work(void)
{
	void *blocks[256];

	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
			size_t size = (i * 7919 + round * 104729) % 300000 + 1;

			blocks[i] = malloc(size);
			EXPECT(blocks[i] != NULL);
			memset(blocks[i], 1, size);
			if (i % 3 == 0)
				blocks[i] = realloc(blocks[i], size * 4);
			EXPECT(blocks[i] != NULL);
		}
		for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
			free(blocks[i]);
	}
}

static void test_filter_lets_threads_use_memory(void **state)
{
	void (*work)(void) = memory_work;
	struct outcome outcome = child_run(crowd_run, &work);

	(void)state;
	child_assert_passed(&outcome);
}

static void time_work(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec now;

	EXPECT(clock_gettime(CLOCK_REALTIME, &now) == 0);
	pthread_mutex_lock(&mutex);
	EXPECT(pthread_cond_timedwait(&condition, &mutex, &now) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	fprintf(stderr, "%s\n", strerror(EACCES));
}

static void test_filter_lets_threads_wait_and_log(void **state)
{
	void (*work)(void) = time_work;
	struct outcome outcome = child_run(crowd_run, &work);

	(void)state;
	child_assert_passed(&outcome);
}

/* As many threads as @count, and each under a filter. */
static void tasks_expect_filtered(pid_t pid, size_t count)
{
	char command[128], answer[32] = "";
	FILE *answers;

	snprintf(command, sizeof(command),
		"grep -h '^Seccomp:' /proc/%d/task/*/status | sort | uniq -c", (int)pid);
	answers = popen(command, "r");
	assert_non_null(answers);
	assert_non_null(fgets(answer, sizeof(answer), answers));
	assert_null(fgets(command, sizeof(command), answers));
	assert_int_equal(pclose(answers), 0);
	assert_int_equal(strtoul(answer, NULL, 10), count);
	assert_non_null(strstr(answer, "Seccomp:\t2"));
}

static int say_ready[2], hold_back[2];

/* The child says when its filter is loaded, and its threads stay until the parent lets them go. */
static void crowd_wait(void)
{
	char byte;

	EXPECT(write(say_ready[1], "x", 1) == 1);
	EXPECT(read(hold_back[0], &byte, 1) == 0);
}

static void test_filter_covers_every_thread(void **state)
{
	void (*work)(void) = crowd_wait;
	char ready[THREADS];
	int status;
	pid_t child;

	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(pipe(say_ready), 0);
	assert_int_equal(pipe(hold_back), 0);
	child = fork();
	if (child == 0) {
		close(hold_back[1]);
		crowd_run(&work);
		_exit(0);
	}
	close(hold_back[0]);
	close(say_ready[1]);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(read(say_ready[0], &ready[i], 1), 1);
	tasks_expect_filtered(child, THREADS + 1);
	close(hold_back[1]);
	close(say_ready[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int run_filter_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox_call_lists_at_most_forty),
		cmocka_unit_test(test_filter_kills_every_call_that_is_not_listed),
		cmocka_unit_test(test_filter_lets_every_listed_call_pass),
		cmocka_unit_test(test_filter_kills_listed_calls_with_other_arguments),
		cmocka_unit_test(test_filter_tries_every_pinned_call),
		cmocka_unit_test(test_filter_reports_no_module_when_none_runs),
		cmocka_unit_test(test_filter_answers_enosys_to_calls_without_a_name),
#ifdef __x86_64__
		cmocka_unit_test(test_filter_kills_other_architectures),
#endif
		cmocka_unit_test(test_filter_adds_what_modules_asked_for),
		cmocka_unit_test(test_filter_kills_also_when_a_module_may_change_signals),
		cmocka_unit_test(test_filter_refuses_unknown_calls),
		cmocka_unit_test(test_filter_that_logs_lets_calls_pass),
		cmocka_unit_test(test_filter_that_is_off_loads_nothing),
		cmocka_unit_test(test_filter_lets_a_process_abort),
		cmocka_unit_test(test_filter_kills_a_thread_that_blocks_sigsys),
		cmocka_unit_test(test_filter_kills_threads_that_trap_at_the_same_time),
		cmocka_unit_test(test_filter_lets_threads_use_memory),
		cmocka_unit_test(test_filter_lets_threads_wait_and_log),
		cmocka_unit_test(test_filter_covers_every_thread),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
