/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Event log: see event_log.h. */
#include "drpcd/event_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define WINDOW_NS UINT64_C(5000000000)

/* How many slots a uid may look for its own in. */
#define PLACES 16

static const char *const words[] = {
	[DRPC_EVENT_CALL] = "call",
	[DRPC_EVENT_DENY] = "deny",
	[DRPC_EVENT_REFUSE] = "refuse",
	[DRPC_EVENT_LIMIT] = "limit",
	[DRPC_EVENT_FAIL] = "fail",
	[DRPC_EVENT_PROTOCOL] = "close",
	[DRPC_EVENT_PAUSE] = "pause",
	[DRPC_EVENT_RESUME] = "resume",
};

void event_log_init(struct event_log *events, struct log *log)
{
	*events = (struct event_log){ .log = log, .lock = PTHREAD_MUTEX_INITIALIZER };
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One line. */

static void add_peer(struct log_line *line, const struct drpc_peer *peer)
{
	if (peer == NULL)
		return;
	log_number(line, "uid", (int64_t)drpc_peer_uid(peer));
	log_number(line, "gid", (int64_t)drpc_peer_gid(peer));
	log_number(line, "pid", (int64_t)drpc_peer_pid(peer));
	if (drpc_peer_label(peer) != NULL)
		log_text(line, "label", drpc_peer_label(peer));
}

static void add_call(struct log_line *line, const struct drpc_event *event)
{
	if (event->call == NULL)
		return;
	if (event->module != NULL)
		log_text(line, "module", event->module->name);
	else
		log_number(line, "module", event->call->module);
	if (event->method != NULL)
		log_text(line, "method", event->method->name);
	else
		log_number(line, "method", event->call->method);
}

static void add_verdict(struct log_line *line, const struct drpc_verdict *verdict)
{
	char where[1024];

	if (verdict == NULL)
		return;
	log_text(line, "rule", verdict->rule != NULL ? verdict->rule : "-");
	if (verdict->file == NULL)
		return;
	if (verdict->line != 0) {
		snprintf(where, sizeof(where), "%s:%u", verdict->file, verdict->line);
		log_text(line, "file", where);
	} else {
		log_text(line, "file", verdict->file);
	}
}

static void print_event(struct log *log, const struct drpc_event *event)
{
	struct log_line line;

	log_begin(&line, log, words[event->kind]);
	add_peer(&line, event->peer);
	add_call(&line, event);
	add_verdict(&line, event->verdict);
	if ((event->call != NULL || event->status != 0) && drpc_status_name(event->status) != NULL)
		log_text(&line, "status", drpc_status_name(event->status));
	log_text(&line, "reason", event->reason);
	if (event->call != NULL)
		log_number(&line, "sequence", event->call->sequence);
	log_end(&line);
}

/* Repeats. */

static void print_repeats(struct log *log, const struct event_log_slot *slot)
{
	struct log_line line;

	log_begin(&line, log, "repeat");
	log_number(&line, "uid", (int64_t)slot->uid);
	log_number(&line, "count", (int64_t)slot->repeats);
	log_text(&line, "reason", "more of the same from this uid, or too many to print");
	log_end(&line);
}

static void end_window(struct log *log, struct event_log_slot *slot)
{
	if (slot->is_used && slot->repeats > 0)
		print_repeats(log, slot);
	slot->is_used = false;
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Events of one uid that a person would call the same: pid and sequence may differ. */
static uint64_t likeness(const struct drpc_event *event)
{
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &event->kind, sizeof(event->kind));

	hash = mix(hash, event->reason, strlen(event->reason));
	if (event->call == NULL)
		return hash;
	hash = mix(hash, &event->call->module, sizeof(event->call->module));
	return mix(hash, &event->call->method, sizeof(event->call->method));
}

static bool was_printed(const struct event_log_slot *slot, uint64_t hash)
{
	for (unsigned i = 0; i < slot->distinct; i++) {
		if (slot->printed[i] == hash)
			return true;
	}
	return false;
}

/*
 * The slot of a uid, in a window that has not ended. Where a uid looks for one, windows of others
 * are left alone; when all of those places are taken it has none, and NULL stands for "count, do
 * not print": nobody can buy lines with more uids than a person could read.
 */
static struct event_log_slot *slot_of(struct event_log *events, uid_t uid, uint64_t now_ns)
{
	struct event_log_slot *free_slot = NULL;

	for (unsigned i = 0; i < PLACES; i++) {
		struct event_log_slot *slot = &events->slots[(uid + i) % EVENT_LOG_SLOTS];

		if (slot->is_used && now_ns > slot->begin_ns + WINDOW_NS)
			end_window(events->log, slot);
		if (slot->is_used && slot->uid == uid)
			return slot;
		if (!slot->is_used && free_slot == NULL)
			free_slot = slot;
	}
	if (free_slot != NULL)
		*free_slot =
			(struct event_log_slot){ .is_used = true, .uid = uid, .begin_ns = now_ns };
	return free_slot;
}

static bool is_to_be_printed(struct event_log *events, const struct drpc_event *event)
{
	uint64_t hash = likeness(event);
	struct event_log_slot *slot;

	slot = slot_of(events, drpc_peer_uid(event->peer), clock_ns());
	if (slot == NULL) {
		events->others++;
		return false;
	}
	if (was_printed(slot, hash) || slot->distinct == EVENT_LOG_DISTINCT) {
		slot->repeats++;
		return false;
	}
	slot->printed[slot->distinct++] = hash;
	return true;
}

void event_log_take(void *data, const struct drpc_event *event)
{
	struct event_log *events = data;

	if (event->peer == NULL || event->kind == DRPC_EVENT_CALL) {
		print_event(events->log, event);
		return;
	}
	pthread_mutex_lock(&events->lock);
	if (is_to_be_printed(events, event))
		print_event(events->log, event);
	pthread_mutex_unlock(&events->lock);
}

/* Of uids that found no slot. */
static void print_others(struct event_log *events)
{
	struct log_line line;

	if (events->others == 0)
		return;
	log_begin(&line, events->log, "repeat");
	log_number(&line, "count", (int64_t)events->others);
	log_text(&line, "reason", "from more uids than are told apart");
	log_end(&line);
	events->others = 0;
}

void event_log_flush(struct event_log *events, bool all)
{
	uint64_t now_ns;

	pthread_mutex_lock(&events->lock);
	now_ns = clock_ns();
	for (size_t i = 0; i < EVENT_LOG_SLOTS; i++) {
		struct event_log_slot *slot = &events->slots[i];

		if (all || now_ns > slot->begin_ns + WINDOW_NS)
			end_window(events->log, slot);
	}
	print_others(events);
	pthread_mutex_unlock(&events->lock);
}
