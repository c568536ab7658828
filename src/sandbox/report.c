/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Report: receives SIGSYS; hands on one line on descriptor 2, and a process that died of SIGSYS.
 * All of it runs in a signal handler of a process that may be in a stranger's hands: no lock, no
 * memory, one write.
 */
#include "sandbox/report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/syscalls.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

/* What the thread is running. Initial-exec: reading it from a handler never allocates. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

THREAD_LOCAL const char *running_module;
THREAD_LOCAL const char *running_method;

struct line {
	char text[512];
	size_t size;
};

void drpc_sandbox_running(const char *module, const char *method)
{
	running_module = module;
	running_method = method;
}

/* What does not fit is cut, and leaves room for the newline. */
static void append(struct line *line, const char *text)
{
	while (*text != '\0' && line->size < sizeof(line->text) - 1)
		line->text[line->size++] = *text++;
}

static void append_number(struct line *line, int number)
{
	char digits[16];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 && i > 0);
	append(line, digits + i);
}

static void report(int number)
{
	struct line line = { .size = 0 };
	const char *name = syscalls_name(number);

	append(&line, "killed by sandbox: system call ");
	append(&line, name != NULL ? name : "without a name");
	append(&line, " (");
	append_number(&line, number);
	append(&line, syscalls_is_pinned(number) ? ") is on the list, but not with these arguments"
						 : ") is not on the list");
	append(&line, "; module=");
	append(&line, running_module != NULL ? running_module : "-");
	append(&line, " method=");
	append(&line, running_method != NULL ? running_method : "-");
	line.text[line.size++] = '\n';
	/* There is nobody left to tell when this fails. */
	if (write(STDERR_FILENO, line.text, line.size) < 0)
		return;
}

/*
 * Die of SIGSYS, which is blocked while its handler runs. sigaction() is forbidden too, and a call
 * that is trapped while SIGSYS is blocked ends the process at once. When a module asked for it, the
 * signal that follows does.
 */
static void die(void)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t only_sigsys;

	sigaction(SIGSYS, &by_default, NULL);
	raise(SIGSYS);
	sigemptyset(&only_sigsys);
	sigaddset(&only_sigsys, SIGSYS);
	sigprocmask(SIG_UNBLOCK, &only_sigsys, NULL);
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_code == SYS_SECCOMP)
		report(info->si_syscall);
	die();
}

int report_install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigfillset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}
