/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Workers: see workers.h. */
#include "server/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define STACK_BYTES ((size_t)2 * 1024 * 1024)

void workers_init(struct workers *workers)
{
	*workers = (struct workers){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
}

/* What a thread does to itself (SIGSYS, SIGSEGV, ...) it must still be able to report. */
static void block_signals_of_others(sigset_t *ret_before)
{
	static const int own[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&blocked, own[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, ret_before);
}

int workers_spawn(pthread_t *ret_thread, void *(*function)(void *), void *data)
{
	pthread_attr_t attributes;
	sigset_t before;
	int r;

	r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	block_signals_of_others(&before);
	r = pthread_create(ret_thread, &attributes, function, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

/* The next request, or NULL: the end. */
static struct kept *take(struct workers *workers)
{
	struct kept *kept;

	pthread_mutex_lock(&workers->lock);
	while (workers->first == NULL && !workers->is_stopping)
		pthread_cond_wait(&workers->changed, &workers->lock);
	kept = workers->first;
	if (kept != NULL) {
		workers->first = kept->next;
		workers->queued--;
		quota_give_one(&kept->request.user->queued);
	}
	pthread_mutex_unlock(&workers->lock);
	return kept;
}

/* A call that was cancelled before its turn came is not begun. */
static void run(struct kept *kept)
{
	if (drpc_request_is_cancelled(&kept->request)) {
		drpc_request_answer(&kept->request, -ECANCELED);
		return;
	}
	request_run(&kept->request);
	kept->answered(kept);
}

static void *work(void *data)
{
	struct workers *workers = data;
	struct kept *kept;

	while ((kept = take(workers)) != NULL)
		run(kept);
	return NULL;
}

int workers_start(struct workers *workers, unsigned count)
{
	workers->threads = calloc(count, sizeof(*workers->threads));
	if (workers->threads == NULL)
		return -ENOMEM;
	while (workers->count < count) {
		int r = workers_spawn(&workers->threads[workers->count], work, workers);

		if (r < 0)
			return r;
		workers->count++;
	}
	return 0;
}

bool workers_submit(struct workers *workers, struct kept *kept)
{
	bool has_room;

	pthread_mutex_lock(&workers->lock);
	has_room = workers->queued < WORKERS_QUEUE_MAX &&
		   quota_take_one(&kept->request.user->queued, WORKERS_QUEUE_MAX_PER_UID);
	if (has_room) {
		kept->next = NULL;
		if (workers->first != NULL)
			workers->last->next = kept;
		else
			workers->first = kept;
		workers->last = kept;
		workers->queued++;
		pthread_cond_signal(&workers->changed);
	}
	pthread_mutex_unlock(&workers->lock);
	return has_room;
}

void workers_stop(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->is_stopping = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->count; i++)
		pthread_join(workers->threads[i], NULL);
	free(workers->threads);
	workers->threads = NULL;
	workers->count = 0;
}
