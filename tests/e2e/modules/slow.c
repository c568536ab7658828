/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module slow: receives calls that take their time or go wrong; hands on what the tests need to see
 * of them. The counters let a test wait for an event instead of a moment.
 *
 *   wait      BLOCKING: the body's number of milliseconds, or until released or cancelled
 *   later     LATER: the module's own thread answers, with the body
 *   park      LATER: until released or cancelled
 *   count     NOW: "begun=N ended=N cancelled=N parked=N"
 *   until     BLOCKING: "begun 2": until that counter is at least that
 *   release   NOW: lets every wait end, and answers what is parked, the newest call first
 *   badout    NOW: an output that lacks a required field
 *   hugeout   NOW: an output larger than any message
 *   fail      NOW: -EIO
 *   failwith  NOW: the body's number as a status, with words for the log
 *   trespass  NOW: a system call that is not on the sandbox's list
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <drpc/module.h>

#include "slow.pb-c.h"

/* How often a wait looks whether it was cancelled: nobody tells a blocking method. */
#define SLICE_NS   10000000
#define UNTIL_MS   20000
#define HUGE_BYTES ((size_t)1 << 40)

enum counter { BEGUN, ENDED, CANCELLED, PARKED, COUNTERS };

static const char *const counter_names[COUNTERS] = { "begun", "ended", "cancelled", "parked" };

/* A LATER call, in its own memory. */
struct held {
	struct drpc_request *request;
	struct held *next;
};

struct slow {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool is_stopping;
	unsigned releases;
	unsigned counters[COUNTERS];
	struct held *parked;	/* the newest first */
	struct held *to_answer; /* by the thread, in this order */
};

static void add(struct slow *slow, enum counter counter, int by)
{
	slow->counters[counter] += (unsigned)by;
	pthread_cond_broadcast(&slow->changed);
}

static struct held **end_of(struct held **list)
{
	while (*list != NULL)
		list = &(*list)->next;
	return list;
}

/* The body as text; bodies of this module are short. */
static void body_text(const struct drpc_request *request, char *text, size_t size)
{
	const struct drpc_call *call = drpc_request_call(request);
	size_t length = call->body_size < size ? call->body_size : size - 1;

	if (length > 0)
		memcpy(text, call->body, length);
	text[length] = '\0';
}

static int say(struct drpc_request *request, const char *text)
{
	drpc_request_set_body(request, text, strlen(text));
	return 0;
}

/* Waiting. */

static struct timespec after_ns(uint64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns += (uint64_t)now.tv_nsec;
	now.tv_sec += (time_t)(ns / 1000000000);
	now.tv_nsec = (long)(ns % 1000000000);
	return now;
}

static bool is_past(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* One look at the counters' condition variable; the lock is held. */
static void wait_slice(struct slow *slow)
{
	struct timespec soon = after_ns(SLICE_NS);

	pthread_cond_clockwait(&slow->changed, &slow->lock, CLOCK_MONOTONIC, &soon);
}

static int wait_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);
	struct timespec deadline;
	unsigned releases;
	bool is_cancelled;
	char text[32];

	(void)input;
	(void)output;
	body_text(request, text, sizeof(text));
	deadline = after_ns(strtoull(text, NULL, 10) * 1000000);
	pthread_mutex_lock(&slow->lock);
	releases = slow->releases;
	add(slow, BEGUN, 1);
	while (releases == slow->releases && !is_past(&deadline) &&
		!drpc_request_is_cancelled(request))
		wait_slice(slow);
	is_cancelled = drpc_request_is_cancelled(request);
	add(slow, is_cancelled ? CANCELLED : ENDED, 1);
	pthread_mutex_unlock(&slow->lock);
	return is_cancelled ? -ECANCELED : say(request, "waited");
}

static bool find_counter(const char *name, enum counter *ret_counter)
{
	for (int i = 0; i < COUNTERS; i++) {
		if (strcmp(counter_names[i], name) == 0) {
			*ret_counter = (enum counter)i;
			return true;
		}
	}
	return false;
}

static int until_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);
	struct timespec deadline = after_ns((uint64_t)UNTIL_MS * 1000000);
	enum counter counter;
	char text[32];
	char *number;
	unsigned wanted;
	bool is_there;

	(void)input;
	(void)output;
	body_text(request, text, sizeof(text));
	number = strchr(text, ' ');
	if (number == NULL)
		return -EINVAL;
	*number++ = '\0';
	if (!find_counter(text, &counter))
		return -EINVAL;
	wanted = (unsigned)strtoul(number, NULL, 10);
	pthread_mutex_lock(&slow->lock);
	while (slow->counters[counter] < wanted && !is_past(&deadline) &&
		!drpc_request_is_cancelled(request))
		wait_slice(slow);
	is_there = slow->counters[counter] >= wanted;
	pthread_mutex_unlock(&slow->lock);
	return is_there ? 0 : -ETIMEDOUT;
}

static int count_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);
	const char *text;

	(void)input;
	(void)output;
	pthread_mutex_lock(&slow->lock);
	text = drpc_request_printf(request, "begun=%u ended=%u cancelled=%u parked=%u",
		slow->counters[BEGUN], slow->counters[ENDED], slow->counters[CANCELLED],
		slow->counters[PARKED]);
	pthread_mutex_unlock(&slow->lock);
	return text != NULL ? say(request, text) : -ENOMEM;
}

/* Answering later. */

static struct held *hold(struct drpc_request *request)
{
	struct held *held = drpc_request_alloc(request, sizeof(*held));

	if (held != NULL)
		held->request = request;
	return held;
}

static void *answer_all(void *data)
{
	struct slow *slow = data;

	pthread_mutex_lock(&slow->lock);
	while (!slow->is_stopping || slow->to_answer != NULL) {
		struct held *held = slow->to_answer;
		const struct drpc_call *call;

		if (held == NULL) {
			pthread_cond_wait(&slow->changed, &slow->lock);
			continue;
		}
		slow->to_answer = held->next;
		add(slow, ENDED, 1);
		pthread_mutex_unlock(&slow->lock);
		call = drpc_request_call(held->request);
		drpc_request_set_body(held->request, call->body, call->body_size);
		drpc_request_answer(held->request, 0);
		pthread_mutex_lock(&slow->lock);
	}
	pthread_mutex_unlock(&slow->lock);
	return NULL;
}

static int later_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);
	struct held *held = hold(request);

	(void)input;
	(void)output;
	if (held == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&slow->lock);
	*end_of(&slow->to_answer) = held;
	add(slow, BEGUN, 1);
	pthread_mutex_unlock(&slow->lock);
	return DRPC_PENDING;
}

/* Take it off the list; false: it is being answered already. */
static bool unpark(struct slow *slow, struct held *held)
{
	struct held **link = &slow->parked;

	while (*link != NULL && *link != held)
		link = &(*link)->next;
	if (*link == NULL)
		return false;
	*link = held->next;
	add(slow, PARKED, -1);
	return true;
}

static void park_cancelled(struct drpc_request *request, void *data)
{
	struct slow *slow = drpc_request_data(request);
	bool is_mine;

	pthread_mutex_lock(&slow->lock);
	is_mine = unpark(slow, data);
	if (is_mine)
		add(slow, CANCELLED, 1);
	pthread_mutex_unlock(&slow->lock);
	if (is_mine)
		drpc_request_answer(request, -ECANCELED);
}

static int park_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);
	struct held *held = hold(request);
	int r;

	(void)input;
	(void)output;
	if (held == NULL)
		return -ENOMEM;
	r = drpc_request_on_cancel(request, park_cancelled, held);
	if (r < 0)
		return r;
	pthread_mutex_lock(&slow->lock);
	held->next = slow->parked;
	slow->parked = held;
	add(slow, BEGUN, 1);
	add(slow, PARKED, 1);
	pthread_mutex_unlock(&slow->lock);
	return DRPC_PENDING;
}

static int release_call(struct drpc_request *request, const void *input, void *output)
{
	struct slow *slow = drpc_request_data(request);

	(void)input;
	(void)output;
	pthread_mutex_lock(&slow->lock);
	slow->releases++;
	*end_of(&slow->to_answer) = slow->parked;
	slow->parked = NULL;
	add(slow, PARKED, -(int)slow->counters[PARKED]);
	pthread_mutex_unlock(&slow->lock);
	return 0;
}

/* Going wrong. */

static int badout_call(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output; /* stays without its text */
	return 0;
}

static int hugeout_call(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	drpc_request_set_body(request, "", HUGE_BYTES);
	return 0;
}

static int fail_call(struct drpc_request *request, const void *input, void *output)
{
	(void)input;
	(void)output;
	drpc_request_set_body(request, "never seen", strlen("never seen"));
	return -EIO;
}

static int failwith_call(struct drpc_request *request, const void *input, void *output)
{
	char text[32];

	(void)input;
	(void)output;
	body_text(request, text, sizeof(text));
	return drpc_request_fail(request, (enum drpc_status)atoi(text), "told to: %s", text);
}

static int trespass_call(struct drpc_request *request, const void *input, void *output)
{
	(void)request;
	(void)input;
	(void)output;
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? -EACCES : 0;
}

/* The module. */

static int start(void **ret_data)
{
	struct slow *slow = calloc(1, sizeof(*slow));
	int r;

	if (slow == NULL)
		return -ENOMEM;
	slow->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	slow->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	r = pthread_create(&slow->thread, NULL, answer_all, slow);
	if (r != 0) {
		free(slow);
		return -r;
	}
	*ret_data = slow;
	return 0;
}

static void stop(void *data)
{
	struct slow *slow = data;

	pthread_mutex_lock(&slow->lock);
	slow->is_stopping = true;
	pthread_cond_broadcast(&slow->changed);
	pthread_mutex_unlock(&slow->lock);
	pthread_join(slow->thread, NULL);
	free(slow);
}

static const struct drpc_method methods[] = {
	{ .id = 0, .name = "wait", .mode = DRPC_METHOD_BLOCKING, .handler = wait_call },
	{ .id = 1, .name = "later", .mode = DRPC_METHOD_LATER, .handler = later_call },
	{ .id = 2, .name = "park", .mode = DRPC_METHOD_LATER, .handler = park_call },
	{ .id = 3, .name = "count", .handler = count_call },
	{ .id = 4, .name = "until", .mode = DRPC_METHOD_BLOCKING, .handler = until_call },
	{ .id = 5, .name = "release", .handler = release_call },
	{ .id = 6, .name = "badout", .output = &slow__needed__descriptor, .handler = badout_call },
	{ .id = 7, .name = "hugeout", .handler = hugeout_call },
	{ .id = 8, .name = "fail", .handler = fail_call },
	{ .id = 9, .name = "failwith", .handler = failwith_call },
	{ .id = 10, .name = "trespass", .handler = trespass_call },
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 901,
	.name = "slow",
	.methods = methods,
	.method_count = sizeof(methods) / sizeof(methods[0]),
	.start = start,
	.stop = stop,
};
