/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Event log: what the server reports, to lines of the log. A uid that repeats itself, or that
 * brings more different events than a person would read, is counted and not printed, so that nobody
 * can fill the disk by being refused. Any thread.
 */
#ifndef DRPCD_EVENT_LOG_H
#define DRPCD_EVENT_LOG_H

#include <pthread.h>
#include <stdbool.h>

#include <drpc/event.h>

#include "util/log.h"

#define EVENT_LOG_SLOTS	   256
#define EVENT_LOG_DISTINCT 16

/* What one uid brought in this window of time. */
struct event_log_slot {
	bool is_used;
	uid_t uid;
	uint64_t begin_ns;
	unsigned distinct; /* printed */
	uint64_t printed[EVENT_LOG_DISTINCT];
	uint64_t repeats; /* counted, not printed */
};

struct event_log {
	struct log *log;
	pthread_mutex_t lock;
	struct event_log_slot slots[EVENT_LOG_SLOTS];
	uint64_t others; /* counted, of uids that found no slot */
};

void event_log_init(struct event_log *events, struct log *log);

/* A drpc_event_fn; @data is the struct event_log. */
void event_log_take(void *data, const struct drpc_event *event);

/* Print the counts of windows that are over; all of them at the end. Now and then, from anywhere.
 */
void event_log_flush(struct event_log *events, bool all);

#endif
