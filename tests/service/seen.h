/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Seen: the events of a service as a test remembers them. Receives events from any thread; hands on
 * copies, and lets a test wait for one.
 */
#ifndef SERVICE_SEEN_H
#define SERVICE_SEEN_H

#include <pthread.h>

#include <drpc/event.h>

/* One event; texts are empty where the event had none. */
struct seen_event {
	enum drpc_event_kind kind;
	bool has_peer;
	bool has_call;
	bool has_verdict;
	uid_t uid;
	int64_t sequence;
	char module[32];
	char method[32];
	char rule[32];
	unsigned line;
	int32_t status;
	char reason[160];
};

#define SEEN_MAX 4096

/* How long a test waits for what must come, in seconds: valgrind is slow. */
#define PATIENCE_SECONDS 60

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t count; /* of all; those above SEEN_MAX are counted only */
	struct seen_event events[SEEN_MAX];
};

void seen_init(struct seen *seen);

/* A drpc_event_fn. */
void seen_take(void *seen, const struct drpc_event *event);

/* How many events there were, of any kind and of one. */
size_t seen_total(struct seen *seen);
size_t seen_count(struct seen *seen, enum drpc_event_kind kind);

/* Wait for event number @index of a kind, from 0. False: it did not come in time. */
bool seen_wait(
	struct seen *seen, enum drpc_event_kind kind, size_t index, struct seen_event *ret_event);

#endif
