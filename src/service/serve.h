/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Serve: one call from its bytes to its response on the caller's own thread, waiting for the
 * handler whatever its mode. For what has no loop: drpc_service_process() and
 * drpc_session_process().
 */
#ifndef SERVICE_SERVE_H
#define SERVICE_SERVE_H

#include "service/request.h"

struct served {
	struct drpc_request request; /* its response is the call's */
	struct kept *kept;	     /* whose memory the response may be in */
};

/* The response is good until served_end(). @socket: the peer's, or -1. @message stays the caller's
 * unless its buffer becomes NULL. */
void serve(struct served *served, struct drpc_service *service, const struct drpc_peer *peer,
	struct quota_user *user, struct arena *arena, int socket, struct message *message,
	uint64_t now_ns);

void served_end(struct served *served);

/* CLOCK_MONOTONIC. */
uint64_t serve_clock_ns(void);

#endif
