/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Seen: see seen.h. */
#include "seen.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

void seen_init(struct seen *seen)
{
	pthread_mutex_init(&seen->lock, NULL);
	pthread_cond_init(&seen->changed, NULL);
	seen->count = 0;
}

static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text != NULL ? text : "");
}

static void copy_event(struct seen_event *to, const struct drpc_event *event)
{
	*to = (struct seen_event){
		.kind = event->kind,
		.has_peer = event->peer != NULL,
		.has_call = event->call != NULL,
		.has_verdict = event->verdict != NULL,
		.status = event->status,
	};
	if (event->peer != NULL)
		to->uid = drpc_peer_uid(event->peer);
	if (event->call != NULL)
		to->sequence = event->call->sequence;
	if (event->module != NULL)
		copy_text(to->module, sizeof(to->module), event->module->name);
	if (event->method != NULL)
		copy_text(to->method, sizeof(to->method), event->method->name);
	if (event->verdict != NULL) {
		copy_text(to->rule, sizeof(to->rule), event->verdict->rule);
		to->line = event->verdict->line;
	}
	copy_text(to->reason, sizeof(to->reason), event->reason);
}

void seen_take(void *data, const struct drpc_event *event)
{
	struct seen *seen = data;

	pthread_mutex_lock(&seen->lock);
	if (seen->count < SEEN_MAX)
		copy_event(&seen->events[seen->count], event);
	seen->count++;
	pthread_cond_broadcast(&seen->changed);
	pthread_mutex_unlock(&seen->lock);
}

/* Event number @index of a kind, or NULL; *ret_count is how many of the kind there are before it.
 */
static const struct seen_event *find(
	const struct seen *seen, enum drpc_event_kind kind, size_t index, size_t *ret_count)
{
	*ret_count = 0;
	for (size_t i = 0; i < seen->count && i < SEEN_MAX; i++) {
		if (seen->events[i].kind != kind)
			continue;
		if (*ret_count == index)
			return &seen->events[i];
		++*ret_count;
	}
	return NULL;
}

size_t seen_total(struct seen *seen)
{
	size_t count;

	pthread_mutex_lock(&seen->lock);
	count = seen->count;
	pthread_mutex_unlock(&seen->lock);
	return count;
}

size_t seen_count(struct seen *seen, enum drpc_event_kind kind)
{
	size_t count;

	pthread_mutex_lock(&seen->lock);
	find(seen, kind, SIZE_MAX, &count);
	pthread_mutex_unlock(&seen->lock);
	return count;
}

bool seen_wait(
	struct seen *seen, enum drpc_event_kind kind, size_t index, struct seen_event *ret_event)
{
	const struct seen_event *event;
	struct timespec deadline;
	size_t count;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += PATIENCE_SECONDS;
	pthread_mutex_lock(&seen->lock);
	while ((event = find(seen, kind, index, &count)) == NULL && r == 0)
		r = pthread_cond_clockwait(&seen->changed, &seen->lock, CLOCK_MONOTONIC, &deadline);
	if (event != NULL)
		*ret_event = *event;
	pthread_mutex_unlock(&seen->lock);
	return event != NULL;
}
