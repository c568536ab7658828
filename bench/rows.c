/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Rows: what is measured, and how. Both sides are up at the same time and take turns, in short
 * rounds; a ratio is that of a pair of rounds, so what slows the machine down for a while hits both
 * alike.
 */
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define MIB	    ((size_t)1024 * 1024)
#define METRICS_MAX 2
#define WARM_UP	    300
#define CLIENTS	    64

/* Measure one side for one round. */
typedef int (*measure_fn)(void *context, size_t side, double ret_values[METRICS_MAX]);

/* Both sides, each with sessions open. */
struct duel {
	struct bench *bench;
	const struct exchange *exchange;
	struct server servers[2];
	int fds[2][CLIENTS];
	size_t sessions; /* open on each side */
};

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* A, B, B, A, A, B, ...: neither side is always the first. */
static int interleave(size_t rounds, measure_fn measure, void *context, struct series *series)
{
	for (size_t round = 0; round < rounds; round++) {
		for (size_t turn = 0; turn < 2; turn++) {
			size_t side = (round + turn) % 2;
			double values[METRICS_MAX] = { 0 };
			int error = measure(context, side, values);

			if (error < 0)
				return error;
			for (size_t m = 0; m < METRICS_MAX; m++) {
				series[m].side[side][round] = values[m];
				series[m].rounds = round + 1;
			}
		}
	}
	return 0;
}

static void duel_stop(struct duel *d)
{
	for (size_t side = 0; side < 2; side++) {
		load_close(d->fds[side], d->servers[side].pid > 0 ? d->sessions : 0);
		server_stop(&d->servers[side]);
	}
}

#define AUTO_DUEL __attribute__((cleanup(duel_stop)))
#define DUEL(b)                                                                                    \
	{                                                                                          \
		.bench = (b), .exchange = &(b)->small, .servers = { SERVER_NONE, SERVER_NONE }     \
	}

/* Start both sides as planned. */
static int duel_start(struct duel *d, const struct server_plan plans[2])
{
	int error = 0;

	for (size_t side = 0; side < 2 && error == 0; side++)
		error = server_start(
			&d->bench->place, &plans[side], &d->bench->small, &d->servers[side]);
	return error;
}

/* Start floor and the other, each with all protection that it has. */
static int duel_start_both(struct duel *d)
{
	const struct server_plan plans[2] = {
		{ .program = SERVER_FLOOR, .cpu = d->bench->server_cpu },
		{ .program = d->bench->second, .cpu = d->bench->server_cpu },
	};

	return duel_start(d, plans);
}

static int duel_open(struct duel *d, size_t sessions)
{
	int error = load_open(d->servers[0].socket, &d->bench->small, sessions, d->fds[0]);

	if (error < 0)
		return error;
	error = load_open(d->servers[1].socket, &d->bench->small, sessions, d->fds[1]);
	if (error < 0)
		load_close(d->fds[0], sessions);
	else
		d->sessions = sessions;
	return error;
}

static void result_take(struct result *r, const struct series *s)
{
	struct summary sum = series_summary(s);

	r->side[0] = sum.side[0];
	r->side[1] = sum.side[1];
	r->ratio = sum.ratio;
	r->low = sum.low;
	r->high = sum.high;
	r->judged = sum.ratio;
}

static void result_target(struct result *r, bool at_least, double target, const char *text)
{
	r->at_least = at_least;
	r->target = target;
	r->target_text = text;
}

/* Microseconds of a call: the median, and the 99th percentile. */
static int latency_of(
	const struct bench *b, int fd, size_t calls, double *ret_median, double *ret_tail)
{
	AUTO_FREE uint64_t *ns = calloc(calls, sizeof(*ns));
	AUTO_FREE double *us = calloc(calls, sizeof(*us));
	int error;

	if (!ns || !us)
		return -ENOMEM;
	error = load_latency(&b->small, fd, WARM_UP, ns);
	if (error == 0)
		error = load_latency(&b->small, fd, calls, ns);
	if (error < 0)
		return error;
	for (size_t i = 0; i < calls; i++)
		us[i] = (double)ns[i] / 1000;
	*ret_median = values_quantile(us, calls, 500);
	*ret_tail = values_quantile(us, calls, 990);
	return 0;
}

static int latency_measure(void *context, size_t side, double ret_values[METRICS_MAX])
{
	struct duel *d = context;

	return latency_of(
		d->bench, d->fds[side][0], d->bench->latency_calls, &ret_values[0], &ret_values[1]);
}

static int latency_run(struct bench *b, const struct row *row)
{
	AUTO_DUEL struct duel d = DUEL(b);
	struct series series[METRICS_MAX] = { 0 };
	struct result *median, *tail;
	int error = duel_start_both(&d);

	pin(b->server_cpu);
	if (error == 0)
		error = duel_open(&d, 1);
	if (error == 0)
		error = interleave(b->rounds, latency_measure, &d, series);
	if (error < 0)
		return error;
	median = results_add(&b->results, row->name, "64-byte call, one client, median");
	tail = results_add(&b->results, "latency-p99", "its 99th percentile");
	median->unit = tail->unit = "us";
	median->decimals = tail->decimals = 2;
	result_target(median, false, 1.15, "<= 1.15 x floor");
	result_target(tail, false, 1.3, "<= 1.3 x floor");
	result_take(median, &series[0]);
	result_take(tail, &series[1]);
	return 0;
}

/* Calls per second, and the percentage of a CPU that the server used meanwhile. */
static int throughput_measure(void *context, size_t side, double ret_values[METRICS_MAX])
{
	struct duel *d = context;
	uint64_t cpu[2] = { 0, 0 }, begin = load_now();
	int error = server_cpu_time(&d->servers[side], &cpu[0]);

	if (error == 0)
		error = load_throughput(d->exchange, d->fds[side], d->sessions,
			d->bench->duration_ns, &ret_values[0]);
	if (error == 0)
		error = server_cpu_time(&d->servers[side], &cpu[1]);
	ret_values[1] = 100 * (double)(cpu[1] - cpu[0]) / (double)(load_now() - begin);
	return error;
}

static int throughput_run(struct bench *b, const struct row *row)
{
	AUTO_DUEL struct duel d = DUEL(b);
	struct series series[METRICS_MAX] = { 0 };
	struct summary busy;
	struct result *r;
	int error = duel_start_both(&d);

	pin(b->client_cpu);
	if (error == 0)
		error = duel_open(&d, CLIENTS);
	if (error == 0)
		error = interleave(b->rounds, throughput_measure, &d, series);
	if (error < 0)
		return error;
	busy = series_summary(&series[1]);
	r = results_add(&b->results, row->name, "64-byte calls per second, 64 clients");
	r->unit = "/s";
	result_target(r, true, 0.87, ">= 0.87 x floor");
	result_take(r, &series[0]);
	snprintf(r->note, sizeof(r->note), "%s was busy for %.0f %% of the time, %s for %.0f %%%s",
		b->results.names[0], busy.side[0], b->results.names[1], busy.side[1],
		b->client_cpu == b->server_cpu ? "; the clients share its only CPU" : "");
	return 0;
}

/* Megabytes of body per second, there and back counted once. */
static int body_measure(void *context, size_t side, double ret_values[METRICS_MAX])
{
	struct duel *d = context;
	size_t size = d->exchange->answer_size;
	size_t calls = d->bench->volume > size ? d->bench->volume / size : 1;
	uint64_t begin = load_now();

	for (size_t i = 0; i < calls; i++) {
		int error = exchange_run(d->exchange, d->fds[side][0]);

		if (error < 0)
			return error;
	}
	ret_values[0] = (double)(calls * size) * 1000 / (double)(load_now() - begin);
	return 0;
}

/* One session with a raised SO_SNDBUF on each side, and an answer that is compared to its last
 * byte. */
static int body_prepare(struct duel *d)
{
	for (size_t side = 0; side < 2; side++) {
		int error = load_connect_large(d->servers[side].socket, &d->fds[side][0]);

		if (error < 0)
			return error;
		error = exchange_run(d->exchange, d->fds[side][0]);
		if (error < 0)
			return error;
	}
	return 0;
}

static int body_run(struct bench *b, const struct row *row)
{
	AUTO_DUEL struct duel d = DUEL(b);
	__attribute__((cleanup(exchange_deinit))) struct exchange e = { 0 };
	struct series series[METRICS_MAX] = { 0 };
	struct result *r;
	int error = exchange_init(&e, row->bytes);

	d.exchange = &e;
	if (error == 0)
		error = duel_start_both(&d);
	pin(b->client_cpu);
	d.fds[0][0] = d.fds[1][0] = -1;
	d.sessions = 1;
	if (error == 0)
		error = body_prepare(&d);
	e.compared = sizeof(uint64_t);
	if (error == 0)
		error = interleave(b->rounds, body_measure, &d, series);
	if (error < 0)
		return error;
	r = results_add(&b->results, row->name, row->help);
	r->unit = "MB/s";
	result_target(r, true, 0.9, ">= 0.9 x floor");
	result_take(r, &series[0]);
	return 0;
}

/* Bytes that the server needs for each session more. */
static int memory_of(struct bench *b, enum server_program program, int *fds, double *ret_bytes)
{
	const struct server_plan plan = { .program = program, .cpu = b->server_cpu };
	AUTO_STOP struct server s = SERVER_NONE;
	uint64_t before = 0, after = 0;
	int error = server_start(&b->place, &plan, &b->small, &s);

	if (error < 0)
		return error;
	/* What is needed once is there before the first look. */
	error = load_open(s.socket, &b->small, CLIENTS, fds);
	if (error < 0)
		return error;
	load_close(fds, CLIENTS);
	error = server_memory(&s, &before);
	if (error == 0)
		error = load_open(s.socket, &b->small, b->idle, fds);
	if (error < 0)
		return error;
	error = server_memory(&s, &after);
	load_close(fds, b->idle);
	*ret_bytes = ((double)after - (double)before) / (double)b->idle;
	return error;
}

static int memory_run(struct bench *b, const struct row *row)
{
	AUTO_FREE int *fds = calloc(b->idle > CLIENTS ? b->idle : CLIENTS, sizeof(*fds));
	struct result *r;
	double bytes[2];
	int error;

	pin(b->client_cpu);
	error = fds ? memory_of(b, SERVER_FLOOR, fds, &bytes[0]) : -ENOMEM;

	if (error == 0)
		error = memory_of(b, b->second, fds, &bytes[1]);
	if (error < 0)
		return error;
	r = results_add(&b->results, row->name, "memory per idle session, 10,000 open");
	r->unit = "bytes";
	r->side[0] = bytes[0];
	r->side[1] = r->judged = bytes[1];
	result_target(r, false, 512, "<= 512 bytes");
	if (b->idle < 10000)
		snprintf(r->note, sizeof(r->note),
			"only %zu sessions: the limit of open files (ulimit -Hn) allows no more",
			b->idle);
	return 0;
}

struct crowd {
	struct bench *bench;
	const struct server *server;
	int fd;	   /* of the session that calls */
	int *idle; /* of those beside it */
};

/* Side 0: alone; side 1: with the others open, which are closed again. */
static int crowd_measure(void *context, size_t side, double ret_values[METRICS_MAX])
{
	struct crowd *c = context;
	struct bench *b = c->bench;
	size_t others = side ? b->idle : 0;
	int error = load_open(c->server->socket, &b->small, others, c->idle);

	if (error < 0)
		return error;
	error = latency_of(b, c->fd, b->latency_calls, &ret_values[0], &ret_values[1]);
	load_close(c->idle, others);
	/* The server has seen them go before it comes to this call. */
	return error < 0 ? error : exchange_run(&b->small, c->fd);
}

static int idle_of(struct bench *b, enum server_program program, int *idle, struct summary *ret_sum)
{
	const struct server_plan plan = { .program = program, .cpu = b->server_cpu };
	struct series series[METRICS_MAX] = { 0 };
	AUTO_STOP struct server s = SERVER_NONE;
	AUTO_CLOSE int fd = -1;
	int error = server_start(&b->place, &plan, &b->small, &s);
	struct crowd c = { .bench = b, .server = &s, .idle = idle };

	if (error == 0)
		error = load_connect(s.socket, &fd);
	c.fd = fd;
	if (error == 0)
		error = interleave((b->rounds + 1) / 2, crowd_measure, &c, series);
	if (error == 0)
		*ret_sum = series_summary(&series[0]);
	return error;
}

static int idle_run(struct bench *b, const struct row *row)
{
	AUTO_FREE int *idle = calloc(b->idle, sizeof(*idle));
	struct summary sums[2];
	struct result *r;
	int error;

	pin(b->server_cpu);
	error = idle ? idle_of(b, SERVER_FLOOR, idle, &sums[0]) : -ENOMEM;
	if (error == 0)
		error = idle_of(b, b->second, idle, &sums[1]);
	if (error < 0)
		return error;
	r = results_add(&b->results, row->name, "median with 10,000 idle beside / without");
	r->unit = "x";
	r->decimals = 2;
	r->side[0] = sums[0].ratio;
	r->side[1] = r->judged = sums[1].ratio;
	result_target(r, false, 1.1, "<= 1.1 x without");
	snprintf(r->note, sizeof(r->note), "%zu idle sessions; %s %.2f us without, %.2f us with",
		b->idle, b->results.names[1], sums[1].side[0], sums[1].side[1]);
	return 0;
}

static int connect_measure(void *context, size_t side, double ret_values[METRICS_MAX])
{
	struct duel *d = context;

	return load_connects(
		d->exchange, d->servers[side].socket, d->bench->duration_ns, &ret_values[0]);
}

static int connect_run(struct bench *b, const struct row *row)
{
	AUTO_DUEL struct duel d = DUEL(b);
	struct series series[METRICS_MAX] = { 0 };
	struct result *r;
	int error = duel_start_both(&d);

	pin(b->server_cpu);
	if (error == 0)
		error = interleave(b->rounds, connect_measure, &d, series);
	if (error < 0)
		return error;
	r = results_add(&b->results, row->name, "connect, one call, close, per second");
	r->unit = "/s";
	result_target(r, true, 0.8, ">= 0.8 x floor");
	result_take(r, &series[0]);
	return 0;
}

static bool valgrind_is_there(void)
{
	const char *at = getenv("PATH");
	char path[256];

	while (at && *at) {
		size_t length = strcspn(at, ":");

		snprintf(path, sizeof(path), "%.*s/valgrind", (int)length, at);
		if (access(path, X_OK) == 0)
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

/* The sum that callgrind wrote at the server's end. */
static int count_read(const char *path, double *ret_count)
{
	char line[256];
	FILE *f = fopen(path, "re");
	int error = -ENODATA;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "totals: ", 8) == 0) {
			*ret_count = strtod(line + 8, NULL);
			error = 0;
		}
	}
	fclose(f);
	return error;
}

/* User instructions of a server's whole life, with @calls calls in it. */
static int count_of(struct bench *b, enum server_program program, size_t calls, double *ret_count)
{
	char path[128];
	char file[160]; /* of this process: a server may have children */
	const struct server_plan plan = {
		.program = program, .cpu = b->server_cpu, .sandbox_off = true, .count = path
	};
	AUTO_STOP struct server s = SERVER_NONE;
	AUTO_CLOSE int fd = -1;
	pid_t pid;
	int error;

	snprintf(path, sizeof(path), "%s/counts/%d-%zu", b->place.directory, (int)program, calls);
	error = server_start(&b->place, &plan, &b->small, &s);
	if (error == 0)
		error = load_connect(s.socket, &fd);
	for (size_t i = 0; i < calls && error == 0; i++)
		error = exchange_run(&b->small, fd);
	pid = s.pid;
	server_stop(&s);
	snprintf(file, sizeof(file), "%s.%d", path, (int)pid);
	return error < 0 ? error : count_read(file, ret_count);
}

/* The difference of two lives, so that start and end do not count. */
static int instructions_of(struct bench *b, enum server_program program, double *ret_count)
{
	const size_t base = 1000;
	double few, many;
	int error = count_of(b, program, base, &few);

	if (error == 0)
		error = count_of(b, program, base + b->counted_calls, &many);
	if (error == 0)
		*ret_count = (many - few) / (double)b->counted_calls;
	return error;
}

static int instructions_run(struct bench *b, const struct row *row)
{
	struct result *r =
		results_add(&b->results, row->name, "user instructions for a 64-byte call");
	double counts[2];
	int error = 0;

	result_target(r, false, 2500, "<= 2500");
	snprintf(r->note, sizeof(r->note), "not measured: valgrind is not installed");
	if (!valgrind_is_there())
		return 0;
	error = instructions_of(b, SERVER_FLOOR, &counts[0]);
	if (error == 0)
		error = instructions_of(b, b->second, &counts[1]);
	snprintf(r->note, sizeof(r->note), "not measured: under valgrind, %s", strerror(-error));
	if (error < 0)
		return error == -EINTR ? error : 0;
	r->side[0] = counts[0];
	r->side[1] = r->judged = counts[1];
	r->ratio = counts[1] / counts[0];
	snprintf(r->note, sizeof(r->note),
		"counted with --sandbox off: valgrind needs system calls that drpcd does not");
	return 0;
}

/* How much longer a call takes with something on than with it off, in percent. */
static int cost_of(struct bench *b, const struct server_plan plans[2], double *ret_percent)
{
	AUTO_DUEL struct duel d = DUEL(b);
	struct series series[METRICS_MAX] = { 0 };
	int error = duel_start(&d, plans);

	if (error == 0)
		error = duel_open(&d, 1);
	if (error == 0)
		error = interleave(b->rounds, latency_measure, &d, series);
	if (error == 0)
		*ret_percent = (series_summary(&series[0]).ratio - 1) * 100;
	return error;
}

static int protection_run(struct bench *b, const struct row *row)
{
	const struct server_plan credentials[2] = {
		{ .program = SERVER_FLOOR, .cpu = b->server_cpu },
		{ .program = SERVER_FLOOR, .cpu = b->server_cpu, .passcred = true },
	};
	const struct server_plan sandbox[2] = {
		{ .program = b->second, .cpu = b->server_cpu, .sandbox_off = true },
		{ .program = b->second, .cpu = b->server_cpu },
	};
	struct result *r;
	double costs[2];
	int error;

	pin(b->server_cpu);
	error = cost_of(b, credentials, &costs[0]);
	if (error == 0)
		error = cost_of(b, sandbox, &costs[1]);
	if (error < 0)
		return error;
	r = results_add(&b->results, row->name, "seccomp and per-packet credentials");
	r->unit = "%";
	r->decimals = 1;
	r->side[1] = r->judged = costs[0] + costs[1];
	result_target(r, false, 5, "<= 5 % together");
	snprintf(r->note, sizeof(r->note),
		"of the median: credentials %.1f %% (floor with and without), sandbox %.1f %% (%s, "
		"enforce and off)",
		costs[0], costs[1], b->results.names[1]);
	return 0;
}

/* The largest message that a server takes by default has 64 MiB, envelope included. */
#define ENVELOPE_ROOM 64

const struct row rows[] = {
	{ "latency", "64-byte call, one client: median and 99th percentile", latency_run, 0 },
	{ "throughput", "64-byte calls per second, 64 clients", throughput_run, 0 },
	{ "body-1", "1 MiB body echoed", body_run, MIB },
	{ "body-16", "16 MiB body echoed", body_run, 16 * MIB },
	{ "body-64", "64 MiB body echoed", body_run, 64 * MIB - ENVELOPE_ROOM },
	{ "memory", "memory per idle session", memory_run, 0 },
	{ "idle", "median of a call with idle sessions beside it", idle_run, 0 },
	{ "connect", "connect, one call, close", connect_run, 0 },
	{ "instructions", "user instructions for a call (callgrind)", instructions_run, 0 },
	{ "protection", "what seccomp and credentials cost", protection_run, 0 },
};

const size_t rows_count = ARRAY_SIZE(rows);
