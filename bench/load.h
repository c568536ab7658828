/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Load: callers that cost as little as a caller can. Packets are built once; a call is send(2) and
 * recv(2) on a blocking socket, and each answer is compared with the one that must come.
 *
 * All functions return 0 or a negative errno: -EPROTO another answer came, -ECONNRESET the server
 * closed, -EINTR a signal asked to stop.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

/* One call of echo and its answer, as packets one behind the other. */
struct exchange {
	uint8_t *call;
	size_t call_size; /* bytes of all packets, headers included */
	uint8_t *answer;
	size_t answer_size;
	size_t compared; /* bytes of each answering packet that are looked at; all, to begin with */
};

int exchange_init(struct exchange *e, size_t body_size);
void exchange_deinit(struct exchange *e);

int exchange_send(const struct exchange *e, int fd);
int exchange_receive(const struct exchange *e, int fd);
int exchange_run(const struct exchange *e, int fd);

/* Nanoseconds that only go forward. */
uint64_t load_now(void);

/* Connect, with SO_SNDBUF as it is, or raised as the servers raise theirs. */
int load_connect(const char *path, int *ret_fd);
int load_connect_large(const char *path, int *ret_fd);

/* Open @count sessions, one call on each, so that the server has taken them all. Closes all on
 * failure. */
int load_open(const char *path, const struct exchange *e, size_t count, int *fds);
void load_close(int *fds, size_t count);

/* One caller, @calls calls: nanoseconds of each. */
int load_latency(const struct exchange *e, int fd, size_t calls, uint64_t *ret_ns);

/* @count callers with a call each under way, for @ns nanoseconds: calls per second. */
int load_throughput(
	const struct exchange *e, const int *fds, size_t count, uint64_t ns, double *ret_rate);

/* Connect, one call, close, for @ns nanoseconds: calls per second. */
int load_connects(const struct exchange *e, const char *path, uint64_t ns, double *ret_rate);

#endif
