/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Request: the life of one call. Receives the bytes of a message and who sent them; hands on a
 * Response.
 *
 *   request_begin()   who is calling, and where the call's memory comes from
 *   request_judge()   decode, verdict, limits, method: the request is refused, or knows its method
 *   request_keep()    for a method that is not answered at once: a request with memory of its own
 *   request_run()     unpack, run the handler, marshal
 *   request_end()     give back what the call took
 *
 * A request that was not kept lives for one turn of the loop and borrows the loop's arena.
 */
#ifndef SERVICE_REQUEST_H
#define SERVICE_REQUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/service.h"
#include "util/arena.h"
#include "wire/assembler.h"

struct drpc_request {
	struct drpc_service *service;
	const struct drpc_peer *peer;
	struct quota_user *user;
	int socket; /* of the peer; -1 where it may be closed while the handler runs */
	struct arena *arena;

	struct drpc_call call;
	const struct service_module *module;
	const struct drpc_method *method;
	bool is_counted; /* as under way, in the user's quota */
	ProtobufCMessage *output;
	const char *why;  /* what drpc_request_fail() said */
	bool is_reported; /* an event told of it already */
	struct drpc_response response;

	struct kept *kept; /* NULL: answered within this turn of the loop */
};

/* What a request that outlives its turn has more. It starts with the request, and is one
 * allocation. */
struct kept {
	struct drpc_request request;
	struct arena arena;
	uint8_t *message;     /* the body's bytes */
	size_t bytes_charged; /* of the user's quota */
	_Atomic bool is_cancelled;

	pthread_mutex_t lock; /* recursive: a cancel function may answer */
	bool is_answered;
	void (*on_cancel)(struct drpc_request *request, void *data);
	void *cancel_data;

	/* Who is told that the response is there, on whatever thread; set before the handler runs.
	 */
	void (*answered)(struct kept *kept);
	void *owner;
	struct kept *next;	   /* in the one queue that it is in */
	struct kept *sibling_next; /* in its owner's list of calls under way */
	struct kept *sibling_previous;
};

void request_begin(struct drpc_request *request, struct drpc_service *service,
	const struct drpc_peer *peer, struct quota_user *user, struct arena *arena, int socket);

/*
 * Steps 4 to 6 of a call's way. Returns false: refused, request->response says how. True: it may
 * run.
 */
bool request_judge(
	struct drpc_request *request, const uint8_t *message, size_t size, uint64_t now_ns);

/*
 * Make a request last: takes over the message's buffer (message->buffer is NULL afterwards), or
 * copies the body of one that is a view. -ENOMEM or -ENOBUFS (the user's bytes) leave everything as
 * it was.
 */
int request_keep(
	const struct drpc_request *request, struct message *message, struct kept **ret_kept);

/*
 * Run the handler. Returns true when request->response is there; false: DRPC_PENDING, and a kept
 * request may by now have been answered and be gone.
 */
bool request_run(struct drpc_request *request);

/* Refuse a call that was to run, because @limit was hit: answered BUSY. */
void request_refuse_busy(struct drpc_request *request, const char *limit);

/* Report the call, if calls are reported, and give back its charge. Its memory stays. */
void request_end(struct drpc_request *request);

/* Tell the handler of a kept request that nobody waits for its answer any more. */
void kept_cancel(struct kept *kept);

/* After request_end(): give back all memory. */
void kept_free(struct kept *kept);

#endif
