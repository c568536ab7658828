/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Syscalls: receives what modules asked for beyond the list; hands on threads that can make those
 * calls, the listed ones with the arguments that are pinned here, and no other.
 *
 * What is forbidden: every call that libseccomp can name traps, so that the process dies with a
 * report. Calls that are newer than libseccomp fail with ENOSYS, so that a newer C library falls
 * back to an older one. Calls of another architecture kill at once.
 */
#include "sandbox/syscalls.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/failure.h"
#include "util/cleanup.h"

#define NUMBERS	 1024 /* system calls have numbers below this */
#define PINS_MAX 2

/* What one argument must be. */
struct pin {
	enum { PIN_NONE = 0, PIN_EQUAL, PIN_SET, PIN_CLEAR, PIN_OWN_PID } kind;
	unsigned argument; /* from 0 */
	uint64_t value;	   /* EQUAL: the value; SET, CLEAR: one bit */
};

struct syscall_rule {
	int number;
	struct drpc_sandbox_call call;
	struct pin pins[PINS_MAX];
};

#define ANY(name, why)                                                                             \
	{                                                                                          \
		SCMP_SYS(name), { #name, why, false },                                             \
		{                                                                                  \
			{                                                                          \
				PIN_NONE                                                           \
			}                                                                          \
		}                                                                                  \
	}
#define PINNED(name, why, ...)                                                                     \
	{                                                                                          \
		SCMP_SYS(name), { #name, why, true },                                              \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define EQUAL(argument, value)                                                                     \
	{                                                                                          \
		PIN_EQUAL, argument, value                                                         \
	}
#define SET(argument, bit)                                                                         \
	{                                                                                          \
		PIN_SET, argument, bit                                                             \
	}
#define CLEAR(argument, bit)                                                                       \
	{                                                                                          \
		PIN_CLEAR, argument, bit                                                           \
	}
#define OWN_PID(argument)                                                                          \
	{                                                                                          \
		PIN_OWN_PID, argument, 0                                                           \
	}

/* clang-format off */
static const struct syscall_rule serving[] = {
	/* carrying messages */
	ANY(recvmsg,       "receive packets"),
	ANY(sendmsg,       "send packets"),
	ANY(epoll_pwait,   "wait for packets"),
	ANY(epoll_ctl,     "say which sessions to wait for"),
	ANY(accept4,       "accept sessions"),
	PINNED(getsockopt, "ask the kernel who a peer is",     EQUAL(1, SOL_SOCKET)),
	PINNED(setsockopt, "let large messages flow",          EQUAL(1, SOL_SOCKET), EQUAL(2, SO_SNDBUF)),
	ANY(shutdown,      "end a session"),
	ANY(close,         "close what a session held"),
	ANY(read,          "take wake-ups from eventfds"),
	ANY(write,         "wake threads up; write the log"),
	ANY(clock_gettime, "deadlines, where the vDSO cannot tell the time"),

	/* threads and signals */
	ANY(futex,           "locks"),
	ANY(rt_sigprocmask,  "block signals while a thread ends, or while the process aborts"),
	ANY(rt_sigreturn,    "come back from a signal handler"),
	ANY(restart_syscall, "go on waiting after the process was stopped"),
	ANY(gettid,          "name a thread, to abort"),
	ANY(getpid,          "name the process, to abort"),
	PINNED(tgkill,       "abort", OWN_PID(0)),
	PINNED(writev,       "the C library's last words before it aborts", EQUAL(0, STDERR_FILENO)),
	ANY(rseq,            "begin a thread that was created before the filter was loaded"),
	ANY(set_robust_list, "the same"),
	ANY(exit,            "end a thread"),
	ANY(exit_group,      "end the process"),

	/* memory */
	PINNED(mmap,     "memory, never code, never a file", CLEAR(2, PROT_EXEC), SET(3, MAP_ANONYMOUS)),
	PINNED(mprotect, "memory, never code", CLEAR(2, PROT_EXEC)),
	ANY(munmap,      "give memory back"),
	ANY(mremap,      "make memory larger"),
	ANY(madvise,     "give the stack of a thread back"),
	ANY(brk,         "memory"),
};

/* What the sanitizers need on top: only in builds that have them, and with any arguments. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

static const int sanitizers[] = {
#ifdef SANITIZED
	SCMP_SYS(mmap),         /* shadow memory */
	SCMP_SYS(sched_yield),  /* their locks */
	SCMP_SYS(sigaltstack),  /* the stack of a thread that ends */
	SCMP_SYS(sched_getaffinity), /* the stack of a thread that begins */
	SCMP_SYS(nanosleep),    /* ThreadSanitizer's own thread */
	SCMP_SYS(gettimeofday), /* the same */
#endif
	-1,
};
/* clang-format on */

/* The name of each number, looked up before the filter is loaded: a handler reads it. */
static const char *names[NUMBERS];

static void cleanup_seccomp(scmp_filter_ctx *filter)
{
	seccomp_release(*filter);
}

#define AUTO_SECCOMP __attribute__((cleanup(cleanup_seccomp)))

const struct drpc_sandbox_call *drpc_sandbox_call(size_t index)
{
	return index < ARRAY_SIZE(serving) ? &serving[index].call : NULL;
}

static const struct syscall_rule *rule_of(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(serving); i++) {
		if (serving[i].number == number)
			return &serving[i];
	}
	return NULL;
}

const char *syscalls_name(int number)
{
	return number >= 0 && number < NUMBERS ? names[number] : NULL;
}

bool syscalls_is_pinned(int number)
{
	const struct syscall_rule *rule = rule_of(number);

	return rule != NULL && rule->call.pinned;
}

/* The number of a name, negative for none. */
static int number_of(const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	return number < NUMBERS ? number : -1;
}

bool syscalls_exists(const char *name)
{
	return number_of(name) >= 0;
}

static int needs_open(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems, bool open[NUMBERS])
{
	int r = 0;

	for (size_t i = 0; i < need_count; i++) {
		for (const char *const *name = needs[i]->system_calls; *name != NULL; name++) {
			int number = number_of(*name);

			if (number >= 0) {
				open[number] = true;
				continue;
			}
			drpc_problems_add(problems, NULL, 0,
				"system call '%s' is unknown on this machine; syscalls(2) lists them",
				*name);
			r = -EINVAL;
		}
	}
	return r;
}

int syscalls_verify(const struct drpc_policy_needs *const *needs, size_t need_count,
	struct drpc_problems *problems)
{
	bool open[NUMBERS] = { false };

	return needs_open(needs, need_count, problems, open);
}

/* The comparison that holds when the pin does. */
static struct scmp_arg_cmp pin_holds(const struct pin *pin)
{
	switch (pin->kind) {
	case PIN_SET:
		return SCMP_CMP64(pin->argument, SCMP_CMP_MASKED_EQ, pin->value, pin->value);
	case PIN_CLEAR:
		return SCMP_CMP64(pin->argument, SCMP_CMP_MASKED_EQ, pin->value, 0);
	case PIN_OWN_PID:
		return SCMP_CMP64(pin->argument, SCMP_CMP_EQ, (uint64_t)getpid());
	default:
		return SCMP_CMP64(pin->argument, SCMP_CMP_EQ, pin->value);
	}
}

/* The comparison that holds when the pin does not: its exact opposite. */
static struct scmp_arg_cmp pin_broken(const struct pin *pin)
{
	switch (pin->kind) {
	case PIN_SET:
		return SCMP_CMP64(pin->argument, SCMP_CMP_MASKED_EQ, pin->value, 0);
	case PIN_CLEAR:
		return SCMP_CMP64(pin->argument, SCMP_CMP_MASKED_EQ, pin->value, pin->value);
	case PIN_OWN_PID:
		return SCMP_CMP64(pin->argument, SCMP_CMP_NE, (uint64_t)getpid());
	default:
		return SCMP_CMP64(pin->argument, SCMP_CMP_NE, pin->value);
	}
}

/*
 * Allowed when all pins hold. A call that matches no rule would get the default action, which is
 * for unknown calls, so each pin that is broken has a rule of its own.
 */
static int pinned_add(scmp_filter_ctx filter, uint32_t forbid, const struct syscall_rule *rule)
{
	struct scmp_arg_cmp all[PINS_MAX];
	unsigned count = 0;
	int r;

	for (; count < PINS_MAX && rule->pins[count].kind != PIN_NONE; count++) {
		struct scmp_arg_cmp broken = pin_broken(&rule->pins[count]);

		r = seccomp_rule_add_exact_array(filter, forbid, rule->number, 1, &broken);
		if (r < 0)
			return r;
		all[count] = pin_holds(&rule->pins[count]);
	}
	return seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, rule->number, count, all);
}

static int number_add(scmp_filter_ctx filter, uint32_t forbid, int number, bool is_open)
{
	const struct syscall_rule *rule = rule_of(number);

	if (is_open || (rule != NULL && !rule->call.pinned))
		return seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, number, 0);
	if (rule != NULL)
		return pinned_add(filter, forbid, rule);
	return seccomp_rule_add_exact(filter, forbid, number, 0);
}

static int numbers_add(scmp_filter_ctx filter, uint32_t forbid, const bool open[NUMBERS])
{
	for (int number = 0; number < NUMBERS; number++) {
		int r;

		if (names[number] == NULL)
			continue;
		r = number_add(filter, forbid, number, open[number]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* How the filter is made and loaded: on all threads, and a tree instead of a list of comparisons.
 */
static const struct {
	enum scmp_filter_attr attribute;
	uint32_t value;
} attributes[] = {
	{ SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS },
	{ SCMP_FLTATR_CTL_NNP, 1 },
	{ SCMP_FLTATR_CTL_TSYNC, 1 },
	{ SCMP_FLTATR_CTL_OPTIMIZE, 2 },
};

static int attributes_set(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		int r = seccomp_attr_set(filter, attributes[i].attribute, attributes[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

static void names_read(void)
{
	for (int number = 0; number < NUMBERS; number++) {
		if (names[number] == NULL)
			names[number] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
	}
}

int syscalls_filter(enum drpc_sandbox_mode mode, const struct drpc_policy_needs *const *needs,
	size_t need_count, struct drpc_problems *problems)
{
	AUTO_SECCOMP scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	bool open[NUMBERS] = { false };
	int r;

	if (filter == NULL)
		return failure_add(problems, "make a system call filter", -ENOMEM);
	r = needs_open(needs, need_count, problems, open);
	if (r < 0)
		return r;
	for (size_t i = 0; sanitizers[i] >= 0; i++)
		open[sanitizers[i]] = true;
	names_read();
	r = attributes_set(filter);
	if (r == 0)
		r = numbers_add(
			filter, mode == DRPC_SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP, open);
	if (r < 0)
		return failure_add(problems, "make the system call filter", r);
	r = seccomp_load(filter);
	if (r < 0)
		return failure_add(problems, "load the system call filter", r);
	return 0;
}
