/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Server: see server.h and drpc/server.h. */
#include "server/server.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/listener.h"
#include "service/serve.h"
#include "util/cleanup.h"

#define MAX_THREADS	256
#define DEFAULT_THREADS 8
#define DEFAULT_WORKERS 4

/* After calls were cancelled, how long their handlers have to notice. */
#define CUT_GRACE_MS 1000

static unsigned cpu_count(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&cpus);
}

static unsigned default_threads(void)
{
	unsigned cpus = cpu_count();

	return cpus < DEFAULT_THREADS ? cpus : DEFAULT_THREADS;
}

static struct drpc_server_options with_defaults(struct drpc_server_options o)
{
	if (o.mode == 0)
		o.mode = 0600;
	if (o.threads == 0)
		o.threads = default_threads();
	if (o.workers == 0)
		o.workers = DEFAULT_WORKERS;
	if (o.max_sessions == 0)
		o.max_sessions = service_default_limits.max_sessions;
	if (o.max_sessions_per_uid == 0)
		o.max_sessions_per_uid = service_default_limits.max_sessions_per_uid;
	if (o.max_message_size == 0)
		o.max_message_size = DRPC_MESSAGE_MAX_BYTES;
	if (o.max_bytes_per_uid == 0)
		o.max_bytes_per_uid = service_default_limits.max_bytes_per_uid;
	if (o.message_timeout_ms == 0)
		o.message_timeout_ms = 10000;
	if (o.send_timeout_ms == 0)
		o.send_timeout_ms = 10000;
	return o;
}

static int check_options(const struct drpc_server_options *options)
{
	struct sockaddr_un address;

	if (options->path == NULL || options->path[0] == '\0')
		return -EINVAL;
	if (strlen(options->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (options->mode > 0777 || options->threads > MAX_THREADS ||
		options->workers > MAX_THREADS)
		return -EINVAL;
	/* A message must have room for an envelope, and its size for the arithmetic of its chunks.
	 */
	if (options->max_message_size != 0 &&
		(options->max_message_size < 4096 || options->max_message_size > INT32_MAX))
		return -EINVAL;
	return 0;
}

int drpc_server_new(struct drpc_service *service, const struct drpc_server_options *options,
	struct drpc_server **ret_server)
{
	struct drpc_server *server;
	int r = check_options(options);

	if (r < 0)
		return r;
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		return -ENOMEM;
	server->path = strdup(options->path);
	if (server->path == NULL) {
		free(server);
		return -ENOMEM;
	}
	server->service = service;
	server->options = with_defaults(*options);
	server->options.path = server->path;
	if (options->interrupt_fd != NULL)
		server->interrupt_fd = *options->interrupt_fd;
	server->listener = -1;
	server->life = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	server->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	server->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	workers_init(&server->workers);
	*ret_server = server;
	return 0;
}

int drpc_server_register(struct drpc_server *server, const struct drpc_module *module,
	struct drpc_policy *policy, struct drpc_problems *problems)
{
	return drpc_service_register(server->service, module, policy, problems);
}

static bool is_over(struct drpc_server *server)
{
	bool over;

	pthread_mutex_lock(&server->lock);
	over = server->is_over;
	pthread_mutex_unlock(&server->lock);
	return over;
}

/* The functions named ..._living have server->life. */
static int bind_living(struct drpc_server *server)
{
	if (is_over(server))
		return -ESHUTDOWN;
	if (server->listener >= 0)
		return 0;
	return listener_bind(server->path, server->options.mode, &server->listener, &server->inode);
}

int drpc_server_bind(struct drpc_server *server)
{
	int r;

	pthread_mutex_lock(&server->life);
	r = bind_living(server);
	pthread_mutex_unlock(&server->life);
	return r;
}

const char *drpc_fault_socket_in_use(const char *path, char *text, size_t size)
{
	snprintf(text, size,
		"another process listens on the socket %s; stop it, or choose another path", path);
	return text;
}

/* Threads. */

/* Each time that it becomes readable, not as long as it is: nobody may be there to read it. */
static int watch_interrupts(struct drpc_server *server, struct loop *loop)
{
	if (server->options.interrupt_fd == NULL)
		return 0;
	return loop_watch(loop, server->interrupt_fd, &loop->interrupt_source, EPOLLIN | EPOLLET);
}

static int start_loop(struct drpc_server *server, struct loop *loop)
{
	int r;

	pthread_mutex_lock(&server->lock);
	server->running++;
	pthread_mutex_unlock(&server->lock);
	if (server->options.serves_in_run && loop == &server->loops[0]) {
		server->own_loops = 1;
		return watch_interrupts(server, loop);
	}
	r = workers_spawn(&loop->thread, loop_run, loop);
	if (r < 0) {
		server_loop_ended(server);
		return r;
	}
	server->threads++;
	return 0;
}

static int start_loops(struct drpc_server *server)
{
	server->loops = calloc(server->options.threads, sizeof(*server->loops));
	if (server->loops == NULL)
		return -ENOMEM;
	while (server->loop_count < server->options.threads) {
		struct loop *loop = &server->loops[server->loop_count++];
		int r = loop_init(loop, server);

		if (r == 0)
			r = start_loop(server, loop);
		if (r < 0)
			return r;
	}
	return 0;
}

static int shutdown_living(struct drpc_server *server, int timeout_ms);

static int prepare(struct drpc_server *server)
{
	const struct drpc_server_options *options = &server->options;
	struct quota_limits limits = {
		.max_sessions = options->max_sessions,
		.max_sessions_per_uid = options->max_sessions_per_uid,
		.max_bytes_per_uid = options->max_bytes_per_uid,
	};
	int r = bind_living(server);

	if (r < 0)
		return r;
	service_enter(server->service);
	server->is_entered = true;
	r = service_begin(server->service, &limits, options->max_message_size);
	if (r < 0)
		return r;
	if (service_has_blocking(server->service)) {
		r = workers_start(&server->workers, options->workers);
		if (r < 0)
			return r;
	}
	return start_loops(server);
}

static int prepare_living(struct drpc_server *server)
{
	int r;

	if (is_over(server))
		return -ESHUTDOWN;
	if (server->is_prepared)
		return 0;
	r = prepare(server);
	if (r < 0)
		shutdown_living(server, -1);
	server->is_prepared = r == 0;
	return r;
}

int drpc_server_prepare(struct drpc_server *server)
{
	int r;

	pthread_mutex_lock(&server->life);
	r = prepare_living(server);
	pthread_mutex_unlock(&server->life);
	return r;
}

static void accept_callers(struct drpc_server *server)
{
	for (unsigned i = 0; i < server->loop_count; i++) {
		atomic_store(&server->loops[i].may_accept, true);
		loop_wake(&server->loops[i]);
	}
}

int drpc_server_start(struct drpc_server *server)
{
	int r;

	pthread_mutex_lock(&server->life);
	r = prepare_living(server);
	if (r == 0)
		accept_callers(server);
	pthread_mutex_unlock(&server->life);
	return r;
}

/* The loop that has no thread of its own. */

static uint64_t deadline_after(int timeout_ms)
{
	if (timeout_ms < 0)
		return UINT64_MAX;
	return serve_clock_ns() + (uint64_t)timeout_ms * 1000000;
}

void server_interrupted(struct source *source, uint32_t events)
{
	struct loop *loop =
		(struct loop *)((char *)source - offsetof(struct loop, interrupt_source));

	(void)events;
	loop->server->is_interrupted = true;
}

/* Have it for this thread: false when there is none, another thread has it, or it has ended. */
static bool take_own_loop(struct drpc_server *server)
{
	bool is_taken;

	pthread_mutex_lock(&server->lock);
	is_taken = server->own_loops > 0 && !server->is_driven && !server->own_ended;
	if (is_taken)
		server->is_driven = true;
	pthread_mutex_unlock(&server->lock);
	return is_taken;
}

static void give_own_loop(struct drpc_server *server, bool has_ended)
{
	pthread_mutex_lock(&server->lock);
	server->is_driven = false;
	if (has_ended) {
		server->own_ended = true;
		server->running--;
	}
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* Serve on this thread. Returns 0 when the loop has ended; -EINTR; -ETIMEDOUT. */
static int serve_own_loop(struct drpc_server *server, uint64_t deadline_ns, bool may_interrupt)
{
	struct loop *loop = &server->loops[0];

	while (loop_turn(loop, deadline_ns)) {
		if (may_interrupt && server->is_interrupted)
			return -EINTR;
		if (loop->now_ns >= deadline_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Wait for the server's state to change; false when the deadline has passed. With the lock. */
static bool wait_for_change(struct drpc_server *server, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};

	if (deadline_ns == UINT64_MAX)
		return pthread_cond_wait(&server->changed, &server->lock) == 0;
	return pthread_cond_clockwait(
		       &server->changed, &server->lock, CLOCK_MONOTONIC, &deadline) == 0;
}

static int wait_until_over(struct drpc_server *server, uint64_t deadline_ns)
{
	bool in_time = true;
	bool is_over;

	pthread_mutex_lock(&server->lock);
	while (in_time && !server->is_over)
		in_time = wait_for_change(server, deadline_ns);
	is_over = server->is_over;
	pthread_mutex_unlock(&server->lock);
	return is_over ? 0 : -ETIMEDOUT;
}

int drpc_server_run(struct drpc_server *server, int timeout_ms)
{
	uint64_t deadline_ns = deadline_after(timeout_ms);
	int r = drpc_server_start(server);

	if (r < 0)
		return r == -ESHUTDOWN ? 0 : r;
	if (take_own_loop(server)) {
		r = serve_own_loop(server, deadline_ns, true);
		give_own_loop(server, r == 0);
	}
	if (r == 0)
		r = wait_until_over(server, deadline_ns);
	if (r != -EINTR)
		return r;
	server->is_interrupted = false;
	return 0;
}

/* The end. */

void server_loop_ended(struct drpc_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->running--;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* Whether every loop has ended in time. */
static bool wait_for_loops(struct drpc_server *server, uint64_t deadline_ns)
{
	bool in_time = true;
	bool all_ended;

	if (take_own_loop(server))
		give_own_loop(server, serve_own_loop(server, deadline_ns, false) == 0);
	pthread_mutex_lock(&server->lock);
	while (in_time && server->running > 0)
		in_time = wait_for_change(server, deadline_ns);
	all_ended = server->running == 0;
	pthread_mutex_unlock(&server->lock);
	return all_ended;
}

static void tell_loops(struct drpc_server *server, bool is_cut)
{
	for (unsigned i = 0; i < server->loop_count; i++) {
		atomic_store(&server->loops[i].is_stopping, true);
		if (is_cut)
			atomic_store(&server->loops[i].is_cut, true);
		loop_wake(&server->loops[i]);
	}
}

static void close_listener(struct drpc_server *server)
{
	if (server->listener < 0)
		return;
	close(take_fd(&server->listener));
}

static void join_threads(struct drpc_server *server)
{
	for (unsigned i = 0; i < server->threads; i++)
		pthread_join(server->loops[server->own_loops + i].thread, NULL);
	server->threads = 0;
	workers_stop(&server->workers);
	for (unsigned i = 0; i < server->loop_count; i++)
		loop_deinit(&server->loops[i]);
	server->loop_count = 0;
}

static void say_over(struct drpc_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->is_over = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* First of all, so that nobody comes to wait for a server that takes no more calls. */
static void remove_socket(struct drpc_server *server)
{
	if (server->listener >= 0 && !server->options.leaves_socket)
		listener_unlink(server->path, server->inode);
}

/* Whoever connects from here on is refused at once, and does not wait for the end. */
static void refuse_callers(struct drpc_server *server)
{
	if (server->listener >= 0)
		shutdown(server->listener, SHUT_RDWR);
}

static void leave_service(struct drpc_server *server)
{
	if (server->is_entered)
		service_leave(server->service);
	server->is_entered = false;
}

static int shutdown_living(struct drpc_server *server, int timeout_ms)
{
	remove_socket(server);
	tell_loops(server, false);
	refuse_callers(server);
	if (!wait_for_loops(server, deadline_after(timeout_ms))) {
		tell_loops(server, true);
		if (!wait_for_loops(server, deadline_after(CUT_GRACE_MS))) {
			say_over(server);
			return -ETIMEDOUT;
		}
	}
	join_threads(server);
	close_listener(server);
	leave_service(server);
	say_over(server);
	return atomic_load(&server->has_cut) ? -ETIMEDOUT : 0;
}

int drpc_server_shutdown(struct drpc_server *server, int timeout_ms)
{
	int r;

	pthread_mutex_lock(&server->life);
	r = shutdown_living(server, timeout_ms);
	pthread_mutex_unlock(&server->life);
	return r;
}

void drpc_server_free(struct drpc_server *server)
{
	if (server == NULL)
		return;
	drpc_server_shutdown(server, -1);
	pthread_mutex_destroy(&server->life);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->changed);
	free(server->loops);
	free(server->path);
	free(server);
}
