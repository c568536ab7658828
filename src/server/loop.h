/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Loop: one thread, its epoll, and the sessions that it accepted. Receives readiness, answers that
 * come from other threads, and the passing of time; hands each to its session. A session never
 * changes thread, so nothing of it needs a lock.
 *
 * A batch of events is dispatched whole before anything that it closed is freed: an event can never
 * reach a session that is gone.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "service/request.h"
#include "util/arena.h"

struct drpc_server;
struct server_session;
struct channel_scratch;

/* What epoll hands back: who is to be told. */
struct source {
	void (*ready)(struct source *source, uint32_t events);
};

/* Sessions with the same time to wait, the first to expire in front. */
struct deadline_list {
	struct server_session *first;
	struct server_session *last;
	uint64_t wait_ns;
};

#define LOOP_BATCH_EVENTS 64

struct loop {
	struct drpc_server *server;
	pthread_t thread;
	int epoll;
	int wake; /* eventfd: look at answered and at is_stopping */
	struct epoll_event events[LOOP_BATCH_EVENTS]; /* this batch */
	struct source wake_source;
	struct source accept_source;
	struct source interrupt_source;
	uint64_t now_ns;	  /* CLOCK_MONOTONIC, of this batch */
	uint64_t accept_again_ns; /* 0: accepting; else: when to try again */
	bool accept_open;	  /* the listener is in the epoll set */

	struct channel_scratch *scratch;
	uint64_t trim_ns; /* when its spare buffer has been of no use for long enough; 0: there is
			     none */
	struct arena arena;

	struct server_session *sessions; /* all that are open */
	struct server_session *closed;	 /* to be freed after this batch */
	struct deadline_list receiving;	 /* a message is midway */
	struct deadline_list sending;	 /* a response is midway */
	struct deadline_list leaving;	 /* refused, and given a moment to read why */
	unsigned strangers;		 /* of them, those whom nothing could be allowed */

	pthread_mutex_t lock;  /* guards answered */
	struct kept *answered; /* by other threads, the newest first */
	_Atomic bool may_accept;
	_Atomic bool is_stopping; /* finish what is under way, take nothing new */
	_Atomic bool is_cut;	  /* and do not wait for it any longer */
};

/* 0 or a negative errno; loop_deinit() either way. */
int loop_init(struct loop *loop, struct drpc_server *server);
void loop_deinit(struct loop *loop);

/*
 * Wait for one batch of events, at most until @until_ns, and deal with it. Returns false when the
 * loop is stopping and nothing is under way any more.
 */
bool loop_turn(struct loop *loop, uint64_t until_ns);

/* The function of a thread that is the loop's own: turns until the end. */
void *loop_run(void *loop);

/* From any thread: have the loop look at what changed. */
void loop_wake(struct loop *loop);

/* From any thread: a kept request of one of the loop's sessions was answered. */
void loop_take_answer(struct loop *loop, struct kept *kept);

int loop_watch(struct loop *loop, int fd, struct source *source, uint32_t events);
int loop_rewatch(struct loop *loop, int fd, struct source *source, uint32_t events);

/* A message of one of the loop's sessions is done with its buffer. */
void loop_keep_buffer(struct loop *loop, uint8_t *buffer, size_t capacity);

/* Put a session at the end of a list, with its full time to wait; or take it out of the one it is
 * in. */
void loop_expect(struct loop *loop, struct deadline_list *list, struct server_session *session);
void loop_expect_no_more(struct server_session *session);

#endif
