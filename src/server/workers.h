/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Workers: a bounded pool of threads for methods that block, with a bounded queue before it.
 * Receives kept requests; runs each and tells its owner that it was answered.
 */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include <pthread.h>
#include <stdbool.h>

#include "service/request.h"

/* Calls that may wait for a free worker. */
#define WORKERS_QUEUE_MAX	  1024
#define WORKERS_QUEUE_MAX_PER_UID 128

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct kept *first;
	struct kept *last;
	unsigned queued;
	bool is_stopping;
	pthread_t *threads;
	unsigned count;
};

void workers_init(struct workers *workers);

/* 0, -ENOMEM or -EAGAIN; workers_stop() either way. */
int workers_start(struct workers *workers, unsigned count);

/* False: the queue is full, or its share of the caller's uid. */
bool workers_submit(struct workers *workers, struct kept *kept);

/* Waits for the handlers that are running. Nothing may be queued. */
void workers_stop(struct workers *workers);

/* Start a thread with a modest stack, that leaves the program's signals to the program's threads.
 */
int workers_spawn(pthread_t *ret_thread, void *(*function)(void *), void *data);

#endif
