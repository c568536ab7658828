/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Server: a program under measurement, from its start on a private socket to its end. Receives what
 * is to be measured (which program, on which CPU, with what switched off); hands on a socket that
 * answers.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "load.h"

enum server_program { SERVER_FLOOR, SERVER_DRPCD };

struct server_plan {
	enum server_program program;
	int cpu;	   /* the only one that it may use */
	bool passcred;	   /* floor: ask for and look at credentials with each packet */
	bool sandbox_off;  /* drpcd */
	const char *count; /* run under callgrind, which writes here; NULL: run as it is */
};

/* Where the programs are, and where they may write. Made once, before the first start. */
struct server_place {
	char directory[64]; /* private, of this run; removed at the end */
	char *floor;	    /* paths of the programs and modules */
	char *drpcd;
	char *modules;
	size_t sessions; /* that one uid may hold at once */
	uid_t user;	 /* drpcd's, when started as root */
};

struct server {
	pid_t pid; /* 0: none runs */
	int pidfd;
	char socket[96];
	char log[96];
};

#define SERVER_NONE                                                                                \
	{                                                                                          \
		.pidfd = -1                                                                        \
	}
#define AUTO_STOP __attribute__((cleanup(server_stop)))

/* Make the directory, with drpcd's configuration and policy. 0 or a negative errno. */
int server_place_make(struct server_place *p);
void server_place_remove(struct server_place *p);

/*
 * Start, and wait until a call is answered. 0, or a negative errno, said on stderr with the end of
 * the server's log: -ESRCH it ended before it answered, -ETIMEDOUT it did not answer.
 */
int server_start(const struct server_place *p, const struct server_plan *plan,
	const struct exchange *e, struct server *ret_server);

/* SIGTERM, and SIGKILL after a while; returns when it has ended. Any number of times. */
void server_stop(struct server *s);

/* What the server wrote, on stderr, for who asks why a measurement failed. */
void server_log_print(const struct server *s);

/* Bytes of memory: the share of its own in all that it maps. */
int server_memory(const struct server *s, uint64_t *ret_bytes);

/* Nanoseconds of CPU time that all its threads have used. */
int server_cpu_time(const struct server *s, uint64_t *ret_ns);

#endif
