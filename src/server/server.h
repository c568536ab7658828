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
	int listener; /* -1: not bound */
	ino_t inode;  /* of the socket's file */

	struct loop *loops;
	unsigned loop_count; /* initialised */
	struct workers workers;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	unsigned running; /* loop threads that have not ended */
	unsigned threads; /* loop threads to be joined */
	bool is_prepared;
	bool is_over;     /* shut down, or never to start */
};

/* A loop's thread ends. */
void server_loop_ended(struct drpc_server *server);

#endif
