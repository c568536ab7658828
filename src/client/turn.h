/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Turn: a lock for long work. One thread holds it, as often as it likes; others wait for it, until
 * a deadline on the monotonic clock if they have one.
 */
#ifndef CLIENT_TURN_H
#define CLIENT_TURN_H

#include <pthread.h>
#include <time.h>

struct turn {
	pthread_mutex_t mutex; /* held for moments only; guards what follows */
	pthread_cond_t given;
	pthread_t holder;
	unsigned int depth; /* how often the holder took it; 0: nobody holds it */
};

/* 0 or a negative errno. */
int turn_init(struct turn *turn);
void turn_deinit(struct turn *turn);

/* Wait for it; @until NULL waits for ever. 0 or -ETIMEDOUT; never that if it is free. */
int turn_take(struct turn *turn, const struct timespec *until);

/* Give it back, once for each time that it was taken. */
void turn_give(struct turn *turn);

#endif
