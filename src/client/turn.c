/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Turn: receives threads that want the connection; lets one on at a time. Made of a condition and
 * not of a recursive mutex, because a mutex waits on the monotonic clock only by a newer function,
 * which the thread sanitizer does not know.
 */
#include "client/turn.h"

#include <errno.h>
#include <stdbool.h>

int turn_init(struct turn *turn)
{
	pthread_condattr_t attributes;
	int r;

	*turn = (struct turn){ .mutex = PTHREAD_MUTEX_INITIALIZER };
	r = pthread_condattr_init(&attributes);
	if (r != 0)
		return -r;
	r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(&turn->given, &attributes);
	pthread_condattr_destroy(&attributes);
	return -r;
}

void turn_deinit(struct turn *turn)
{
	pthread_cond_destroy(&turn->given);
	pthread_mutex_destroy(&turn->mutex);
}

static bool is_taken(const struct turn *turn)
{
	return turn->depth > 0 && !pthread_equal(turn->holder, pthread_self());
}

int turn_take(struct turn *turn, const struct timespec *until)
{
	int r = 0;

	pthread_mutex_lock(&turn->mutex);
	while (is_taken(turn) && r == 0)
		r = until ? pthread_cond_timedwait(&turn->given, &turn->mutex, until)
			  : pthread_cond_wait(&turn->given, &turn->mutex);
	r = is_taken(turn) ? -r : 0;
	if (r == 0) {
		turn->holder = pthread_self();
		turn->depth++;
	}
	pthread_mutex_unlock(&turn->mutex);
	return r;
}

void turn_give(struct turn *turn)
{
	pthread_mutex_lock(&turn->mutex);
	if (--turn->depth == 0)
		pthread_cond_signal(&turn->given);
	pthread_mutex_unlock(&turn->mutex);
}
