/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Server: the listening socket, the loops and the workers, and who waits for their end. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <drpc/server.h>

#include "server/loop.h"
#include "server/workers.h"
#include "service/service.h"

struct drpc_server {
	struct drpc_service *service;
	struct drpc_server_options options; /* with every default filled in */
	char *path;
	int interrupt_fd; /* where the options name one */
	int listener;	  /* -1: not bound */
	ino_t inode;	  /* of the socket's file */

	struct loop *loops;
	unsigned loop_count; /* initialised */
	unsigned own_loops; /* of them, the first so many are nobody's but drpc_server_run()'s: 0 or
			       1 */
	bool is_interrupted;	/* only whoever drives that loop knows */
	_Atomic bool is_paused; /* a loop could not accept, and none has accepted since */
	_Atomic bool has_cut;	/* calls, at the end */
	struct workers workers;

	pthread_mutex_t life; /* held by whoever prepares or shuts down; guards the next two */
	bool is_prepared;
	bool is_entered; /* the service knows of this server */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	unsigned running; /* loops that have not ended */
	unsigned threads; /* of loops, to be joined */
	bool is_driven;	  /* a thread runs the loop that has none of its own */
	bool own_ended;	  /* and that loop has ended */
	bool is_over;	  /* shut down, or never to start */
};

/* The source of the caller's interrupt_fd, on the loop that drpc_server_run() drives. */
void server_interrupted(struct source *source, uint32_t events);

/* A loop's thread ends. */
void server_loop_ended(struct drpc_server *server);

#endif
