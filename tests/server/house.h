/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * House: a server with the module lab, on a socket in a directory of its own. Each test gets one,
 * and leaves no file and no descriptor behind.
 */
#ifndef SERVER_HOUSE_H
#define SERVER_HOUSE_H

#include <drpc/server.h>

#include "service/lab.h"

struct house {
	char dir[32];
	char path[64];
	struct drpc_server_options options; /* what house_start() takes; tests may change it */
	struct drpc_server *server;
	int free_fd;
};

extern struct house house;

/* cmocka's fixtures: the directory and the defaults; and all that is left over. */
int house_set_up(void **state);
int house_tear_down(void **state);

/* Make a service under a policy, and a server; start it. */
void house_open(const char *policy);
void house_start(void);

/* A second thread that shuts the server down. */
struct house_end {
	pthread_t thread;
	int timeout_ms;
	int result;
	sem_t done;
};

void house_end_start(struct house_end *end, int timeout_ms);
int house_end_wait(struct house_end *end);

#endif
