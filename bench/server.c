/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Server: starts floor and drpcd, waits for their first answer, looks at them, stops them. See
 * server.h. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "util/cleanup.h"

#define ARGUMENTS_MAX	 32
#define START_SECONDS	 10
#define VALGRIND_SECONDS 60
#define STOP_MS		 8000
#define MILLISECOND	 1000000

struct arguments {
	const char *list[ARGUMENTS_MAX + 1];
	size_t count;
	char text[8][128]; /* of those that had to be written */
	size_t texts;
};

static void argument_add(struct arguments *a, const char *text)
{
	if (a->count < ARGUMENTS_MAX)
		a->list[a->count++] = text;
}

__attribute__((format(printf, 2, 3))) static void argument_write(
	struct arguments *a, const char *format, ...)
{
	va_list values;

	if (a->texts == ARRAY_SIZE(a->text))
		return;
	va_start(values, format);
	vsnprintf(a->text[a->texts], sizeof(a->text[0]), format, values);
	va_end(values);
	argument_add(a, a->text[a->texts++]);
}

static void floor_arguments(struct arguments *a, const struct server_place *p,
	const struct server_plan *plan, const char *path)
{
	argument_add(a, p->floor);
	if (plan->passcred)
		argument_add(a, "--passcred");
	argument_add(a, path);
}

static void drpcd_arguments(struct arguments *a, const struct server_place *p,
	const struct server_plan *plan, const char *path)
{
	argument_add(a, p->drpcd);
	argument_add(a, "--config");
	argument_write(a, "%s/drpcd.conf", p->directory);
	argument_add(a, "--policy-dir");
	argument_write(a, "%s/policy", p->directory);
	argument_add(a, "--module-dir");
	argument_add(a, p->modules);
	argument_add(a, "--socket");
	argument_add(a, path);
	argument_add(a, "--socket-mode");
	argument_add(a, "0666");
	argument_add(a, "--threads");
	argument_add(a, "1");
	argument_add(a, "--sandbox");
	argument_add(a, plan->sandbox_off ? "off" : "enforce");
	argument_add(a, "--max-sessions-per-uid");
	argument_write(a, "%zu", p->sessions);
	if (geteuid() == 0) {
		argument_add(a, "--user");
		/* callgrind began its file as root, and ends it as whoever drpcd is then */
		argument_write(a, "%u", plan->count ? 0U : (unsigned)p->user);
	}
}

static void (*const server_arguments[])(struct arguments *, const struct server_place *,
	const struct server_plan *, const char *) = {
	[SERVER_FLOOR] = floor_arguments,
	[SERVER_DRPCD] = drpcd_arguments,
};

static void arguments_make(struct arguments *a, const struct server_place *p,
	const struct server_plan *plan, const char *path)
{
	if (plan->count) {
		argument_add(a, "valgrind");
		argument_add(a, "--tool=callgrind");
		argument_write(a, "--callgrind-out-file=%s.%%p", plan->count);
	}
	server_arguments[plan->program](a, p, plan, path);
}

__attribute__((format(printf, 3, 4))) static int file_write(
	const char *directory, const char *name, const char *format, ...)
{
	char path[128];
	va_list values;
	FILE *f;
	bool written;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	va_start(values, format);
	written = vfprintf(f, format, values) >= 0;
	va_end(values);
	return fclose(f) == 0 && written ? 0 : -EIO;
}

/* A directory below ours, for the server's user to read, or to write when it is @owned. */
static int directory_make(const struct server_place *p, const char *name, bool owned)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", p->directory, name);
	if (mkdir(path, 0755) < 0)
		return -errno;
	if (owned && geteuid() == 0 && chown(path, p->user, (gid_t)p->user) < 0)
		return -errno;
	return 0;
}

int server_place_make(struct server_place *p)
{
	const char *parent = getenv("TMPDIR");
	mode_t mask = umask(022);
	int error = 0;

	if (!parent || parent[0] != '/' || strlen(parent) > 40)
		parent = "/tmp";
	snprintf(p->directory, sizeof(p->directory), "%s/drpc-bench-XXXXXX", parent);
	if (!mkdtemp(p->directory) || chmod(p->directory, 0755) < 0)
		error = -errno;
	if (error == 0)
		error = directory_make(p, "policy", false);
	if (error == 0)
		error = directory_make(p, "counts", true);
	if (error == 0)
		error = file_write(p->directory, "drpcd.conf",
			"; The defaults, but for what the command line says.\n");
	if (error == 0)
		error = file_write(p->directory, "policy/echo.policy",
			"[module]\nname = echo\nid = 1001\nlibrary = echo.so\n\n"
			"[allow bench]\ncallers = %u\nmethods = echo\n",
			(unsigned)geteuid());
	umask(mask);
	return error;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void server_place_remove(struct server_place *p)
{
	if (p->directory[0])
		nftw(p->directory, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
	p->directory[0] = '\0';
}

/* In the child: becomes the server, or ends. */
_Noreturn static void server_become(
	const struct server_plan *plan, const struct arguments *a, const char *log, pid_t parent)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int null = open("/dev/null", O_RDONLY);
	cpu_set_t cpus;

	/* A signal from the terminal is for drpc-bench, which then stops its servers. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || null < 0 || getppid() != parent)
		_exit(127);
	dup2(null, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	CPU_ZERO(&cpus);
	CPU_SET((size_t)plan->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	execvp(a->list[0], (char *const *)(uintptr_t)a->list);
	fprintf(stderr, "%s: %s\n", a->list[0], strerror(errno));
	_exit(127);
}

/* One call on a session of its own: 0, or why there was no answer. */
static int server_try(const struct server *s, const struct exchange *e, uint64_t seconds)
{
	const struct timeval patience = { .tv_sec = (time_t)seconds };
	AUTO_CLOSE int fd = -1;
	int error = load_connect(s->socket, &fd);

	if (error < 0)
		return error;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	error = exchange_run(e, fd);
	return error == -EAGAIN ? -ETIMEDOUT : error;
}

static bool server_has_ended(const struct server *s)
{
	struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int server_wait_ready(const struct server *s, const struct exchange *e, uint64_t seconds)
{
	uint64_t deadline = load_now() + seconds * 1000 * MILLISECOND;
	int error;

	for (;;) {
		error = server_try(s, e, seconds);
		/* Until it listens, there is no socket, or nobody behind it. */
		if (error != -ENOENT && error != -ECONNREFUSED && error != -EACCES)
			return error;
		if (server_has_ended(s))
			return -ESRCH;
		if (load_now() > deadline)
			return -ETIMEDOUT;
		if (nanosleep(&(struct timespec){ .tv_nsec = 2 * MILLISECOND }, NULL) < 0)
			return -EINTR;
	}
}

int server_start(const struct server_place *p, const struct server_plan *plan,
	const struct exchange *e, struct server *ret_server)
{
	static unsigned started;
	AUTO_STOP struct server s = SERVER_NONE;
	struct arguments a = { 0 };
	pid_t parent = getpid();
	int error;

	started++;
	snprintf(s.socket, sizeof(s.socket), "%s/%u.sock", p->directory, started);
	snprintf(s.log, sizeof(s.log), "%s/%u.log", p->directory, started);
	arguments_make(&a, p, plan, s.socket);
	s.pid = fork();
	if (s.pid == 0)
		server_become(plan, &a, s.log, parent);
	if (s.pid > 0)
		s.pidfd = pidfd_open(s.pid, 0);
	if (s.pidfd < 0)
		return -errno;
	error = server_wait_ready(&s, e, plan->count ? VALGRIND_SECONDS : START_SECONDS);
	if (error < 0) {
		if (error != -EINTR)
			server_log_print(&s);
		return error;
	}
	*ret_server = s;
	s = (struct server)SERVER_NONE;
	return 0;
}

/* Whether it ended within that time; signals do not shorten the wait. */
static bool server_wait_end(const struct server *s, uint64_t ms)
{
	uint64_t deadline = load_now() + ms * MILLISECOND;

	while (!server_has_ended(s)) {
		struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

		if (load_now() >= deadline)
			return false;
		poll(&p, 1, 100);
	}
	return true;
}

void server_stop(struct server *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		if (s->pidfd < 0 || !server_wait_end(s, STOP_MS))
			kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (s->pidfd >= 0)
		close(s->pidfd);
	*s = (struct server)SERVER_NONE;
}

void server_log_print(const struct server *s)
{
	char line[512];
	FILE *f = fopen(s->log, "re");

	if (!f)
		return;
	/* The end of it says why. A file shorter than that is read from its begin. */
	fseek(f, -4096, SEEK_END);
	while (fgets(line, sizeof(line), f))
		fprintf(stderr, "  server: %s", line);
	fclose(f);
}

/* The kilobytes of the line that starts with @key. */
static int file_find_kb(pid_t pid, const char *name, const char *key, uint64_t *ret_bytes)
{
	char path[64], line[256];
	int error = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (error < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0) {
			*ret_bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
			error = 0;
		}
	}
	fclose(f);
	return error;
}

int server_memory(const struct server *s, uint64_t *ret_bytes)
{
	/* A server that is not dumpable shows the first to root only. */
	if (file_find_kb(s->pid, "smaps_rollup", "Pss:", ret_bytes) == 0)
		return 0;
	return file_find_kb(s->pid, "status", "VmRSS:", ret_bytes);
}

int server_cpu_time(const struct server *s, uint64_t *ret_ns)
{
	struct timespec t;
	clockid_t clock;
	int error = clock_getcpuclockid(s->pid, &clock);

	if (error > 0)
		return -error;
	if (clock_gettime(clock, &t) < 0)
		return -errno;
	*ret_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	return 0;
}
