/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Daemon: see daemon.h. */
#include "drpcd/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* How long calls under way may take to finish when the daemon is told to end. */
#define STOP_TIMEOUT_MS 5000

static const char *const sandbox_modes[] = { "enforce", "log", "off" };

/* How often counts of repeated events are looked at. */
#define FLUSH_MS 5000

/* Descriptors that are not sessions. */
#define OTHER_DESCRIPTORS 64

static int out_of_memory(struct daemon *daemon)
{
	drpc_problems_add(daemon->problems, NULL, 0, "out of memory");
	return -ENOMEM;
}

int daemon_init(struct daemon *daemon, const struct config *config, int signals,
	struct drpc_problems *problems)
{
	int r;

	*daemon = (struct daemon){
		.config = config,
		.problems = problems,
		.keeper = { .fd = -1 },
		.signals = signals,
	};
	log_open(&daemon->log, STDERR_FILENO, (enum log_format)config->log);
	event_log_init(&daemon->events, &daemon->log);
	r = drpc_service_new(&daemon->service);
	if (r < 0) {
		drpc_problems_add(problems, "/proc/sys/kernel/overflowuid", 0,
			"%s; the ids that stand for nobody must be known: mount /proc",
			strerror(-r));
		return r;
	}
	drpc_service_on_event(
		daemon->service, event_log_take, &daemon->events, config->log_calls != 0);
	return 0;
}

/* Policies, and the modules that they name. */

static int load_module(struct daemon *daemon, struct drpc_policy *policy)
{
	const char *library = drpc_policy_library(policy);
	const struct drpc_module *module;
	void *handle; /* modules stay loaded until the process ends */
	int r;

	if (library == NULL) {
		drpc_problems_add(daemon->problems, drpc_policy_file(policy), 0,
			"[module] names no library; write library = NAME.so");
		return -EINVAL;
	}
	r = drpc_module_load(
		daemon->config->module_dir, library, daemon->problems, &handle, &module);
	if (r < 0) {
		drpc_problems_add(daemon->problems, drpc_policy_file(policy), 0,
			"its library %s is not served, see above; modules are read from --module-dir %s",
			library, daemon->config->module_dir);
		return r;
	}
	return drpc_service_register(daemon->service, module, policy, daemon->problems);
}

static int load_modules(struct daemon *daemon)
{
	size_t count = drpc_policies_count(daemon->policies);
	int result = 0;

	if (count == 0) {
		drpc_problems_add(daemon->problems, daemon->config->policy_dir, 0,
			"there is no .policy file, so nothing would be served; write one, see "
			"policy/README.md");
		return -EINVAL;
	}
	for (size_t i = 0; i < count; i++) {
		int r = load_module(daemon, drpc_policies_get(daemon->policies, i));

		if (r < 0)
			result = r;
	}
	return result;
}

static int find_user(struct daemon *daemon)
{
	const char *user = daemon->config->user;
	int r;

	if (user == NULL && geteuid() == 0) {
		drpc_problems_add(daemon->problems, NULL, 0,
			"started as root, so it must be told who to become: --user NAME or UID");
		return -EINVAL;
	}
	if (user == NULL)
		return 0;
	r = drpc_sandbox_user_lookup(user, &daemon->user);
	if (r < 0)
		drpc_problems_add(daemon->problems, NULL, 0,
			"--user %s: there is no such account; create it, or give a number", user);
	return r;
}

static int collect_needs(struct daemon *daemon)
{
	size_t count = drpc_policies_count(daemon->policies);

	daemon->needs = calloc(count, sizeof(const struct drpc_policy_needs *));
	if (daemon->needs == NULL)
		return out_of_memory(daemon);
	for (size_t i = 0; i < count; i++)
		daemon->needs[i] = drpc_policy_needs(drpc_policies_get(daemon->policies, i));
	return 0;
}

static int make_server(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct drpc_server_options options = {
		.path = config->socket,
		.mode = (mode_t)config->socket_mode,
		.threads = (unsigned)config->threads,
		.workers = (unsigned)config->workers,
		.max_sessions = (uint32_t)config->max_sessions,
		.max_sessions_per_uid = (uint32_t)config->max_sessions_per_uid,
		.max_message_size = config->max_message_size,
		.max_bytes_per_uid = config->max_bytes_per_uid,
		.message_timeout_ms = (unsigned)config->message_timeout_ms,
		.send_timeout_ms = (unsigned)config->send_timeout_ms,
		.leaves_socket = true, /* the keeper removes it */
		.serves_in_run = true,
		.interrupt_fd = &daemon->signals,
	};
	int r = drpc_server_new(daemon->service, &options, &daemon->server);

	if (r == -ENAMETOOLONG)
		drpc_problems_add(daemon->problems, NULL, 0,
			"--socket %s: longer than 107 bytes; choose a shorter path",
			config->socket);
	else if (r < 0)
		drpc_problems_add(daemon->problems, NULL, 0, "the server: %s", strerror(-r));
	return r;
}

int daemon_load(struct daemon *daemon)
{
	int r = drpc_policies_load(daemon->config->policy_dir, daemon->problems, &daemon->policies);
	int user;

	if (r == 0)
		r = load_modules(daemon);
	user = find_user(daemon);
	if (r < 0 || user < 0)
		return r < 0 ? r : user;
	r = collect_needs(daemon);
	if (r < 0)
		return r;
	return make_server(daemon);
}

/* The steps of the start. */

static int bind_socket(struct daemon *daemon)
{
	const char *path = daemon->config->socket;
	int r = drpc_server_bind(daemon->server);
	char in_use[256];

	if (r == -EADDRINUSE)
		drpc_problems_add(daemon->problems, NULL, 0, "%s",
			drpc_fault_socket_in_use(path, in_use, sizeof(in_use)));
	else if (r == -ENOTSOCK)
		drpc_problems_add(daemon->problems, path, 0,
			"there is a file that is not a socket; remove it, or choose another path");
	else if (r == -ENOENT)
		drpc_problems_add(daemon->problems, path, 0,
			"its directory does not exist; create it, or choose another path");
	else if (r < 0)
		drpc_problems_add(
			daemon->problems, path, 0, "cannot listen there: %s", strerror(-r));
	return r;
}

static int start_keeper(struct daemon *daemon)
{
	int r = keeper_start(&daemon->keeper, daemon->config->socket,
		(enum drpc_sandbox_mode)daemon->config->sandbox, daemon->problems);

	if (r < 0)
		unlink(daemon->config->socket);
	return r;
}

static int give_up(struct daemon *daemon)
{
	const struct drpc_sandbox_user *user = daemon->config->user != NULL ? &daemon->user : NULL;

	return drpc_sandbox_give_up((enum drpc_sandbox_mode)daemon->config->sandbox, user,
		daemon->needs, drpc_policies_count(daemon->policies), daemon->problems,
		&daemon->missing);
}

static int start_threads(struct daemon *daemon)
{
	int r = drpc_server_prepare(daemon->server);

	if (r < 0)
		drpc_problems_add(daemon->problems, NULL, 0,
			"modules or threads could not be started: %s", strerror(-r));
	return r;
}

static int filter(struct daemon *daemon)
{
	return drpc_sandbox_filter((enum drpc_sandbox_mode)daemon->config->sandbox, daemon->needs,
		drpc_policies_count(daemon->policies), daemon->problems);
}

static void warn(struct daemon *daemon, const char *key, const char *value, const char *reason)
{
	struct log_line line;

	log_begin(&line, &daemon->log, "warn");
	log_text(&line, key, value);
	log_text(&line, "reason", reason);
	log_end(&line);
}

static void warn_of_weakness(struct daemon *daemon)
{
	uint64_t max_sessions =
		daemon->config->max_sessions != 0 ? daemon->config->max_sessions : 16384;
	struct rlimit descriptors;

	if (daemon->config->sandbox == DRPC_SANDBOX_LOG)
		warn(daemon, "sandbox", "log", "forbidden system calls do not end the process");
	if (daemon->config->sandbox == DRPC_SANDBOX_OFF)
		warn(daemon, "sandbox", "off",
			"no system call and no path is forbidden, and memory may be made code");
	if (geteuid() == 0)
		warn(daemon, "user", "root", "the daemon runs as root; give it a user of its own");
	if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 &&
		descriptors.rlim_max < max_sessions + OTHER_DESCRIPTORS)
		warn(daemon, "max-sessions", "unreachable",
			"RLIMIT_NOFILE is lower; raise it, or lower max-sessions");
}

/* Names joined by '+', "-" for none; those that do not fit are left out. */
struct name_list {
	size_t length;
	char text[512];
};

static void add_name(struct name_list *list, const char *name)
{
	size_t length = strlen(name);

	if (list->length + length + 2 > sizeof(list->text))
		return;
	if (list->length > 0)
		list->text[list->length++] = '+';
	memcpy(list->text + list->length, name, length + 1);
	list->length += length;
}

static const char *names_of(struct name_list *list)
{
	return list->length > 0 ? list->text : "-";
}

static bool has_peer_pidfd(void)
{
	int pair[2];
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	if (getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		pidfd = -1;
	close(pair[0]);
	close(pair[1]);
	if (pidfd >= 0)
		close(pidfd);
	return pidfd >= 0;
}

/* The line that says what serves and what this kernel lacks; made while the kernel can still be
 * asked. */
static void make_ready_line(struct daemon *daemon, struct log_line *line)
{
	struct name_list modules = { 0 };
	struct name_list missing = { 0 };

	for (size_t i = 0; i < drpc_policies_count(daemon->policies); i++)
		add_name(&modules, drpc_policy_module_name(drpc_policies_get(daemon->policies, i)));
	if (daemon->missing.landlock)
		add_name(&missing, "landlock");
	if (daemon->missing.mdwe)
		add_name(&missing, "mdwe");
	if (daemon->missing.bounding)
		add_name(&missing, "bounding-set");
	if (!has_peer_pidfd())
		add_name(&missing, "peer-pidfd");

	log_begin(line, &daemon->log, "ready");
	log_text(line, "socket", daemon->config->socket);
	log_number(line, "uid", (int64_t)getuid());
	log_number(line, "gid", (int64_t)getgid());
	log_number(line, "pid", (int64_t)getpid());
	log_text(line, "modules", names_of(&modules));
	log_text(line, "sandbox", sandbox_modes[daemon->config->sandbox]);
	log_text(line, "missing", names_of(&missing));
}

int daemon_start(struct daemon *daemon)
{
	struct log_line ready;
	int r;

	if ((r = bind_socket(daemon)) < 0)
		return r;
	if ((r = start_keeper(daemon)) < 0)
		return r;
	if ((r = give_up(daemon)) < 0)
		return r;
	warn_of_weakness(daemon);
	make_ready_line(daemon, &ready);
	if ((r = start_threads(daemon)) < 0)
		return r;
	if ((r = filter(daemon)) < 0)
		return r;
	log_end(&ready);
	return 0;
}

int daemon_serve(struct daemon *daemon)
{
	int r = drpc_server_run(daemon->server, FLUSH_MS);

	event_log_flush(&daemon->events, false);
	return r;
}

bool daemon_stop(struct daemon *daemon)
{
	bool is_ended = true;
	int r;

	if (daemon->server != NULL)
		is_ended = drpc_server_shutdown(daemon->server, STOP_TIMEOUT_MS) == 0;
	r = daemon->keeper.fd >= 0 ? keeper_remove(&daemon->keeper) : 0;
	if (r < 0)
		warn(daemon, "socket", daemon->config->socket, strerror(-r));
	event_log_flush(&daemon->events, true);
	return is_ended;
}

void daemon_deinit(struct daemon *daemon)
{
	drpc_server_free(daemon->server);
	drpc_service_free(daemon->service);
	drpc_policies_free(daemon->policies);
	free(daemon->needs);
	free(daemon->user.groups);
	log_close(&daemon->log);
}
