/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Session: one accepted connection on a loop. Receives readiness; moves packets to messages,
 * messages to the service, and responses to packets. Decides nothing about who may do what.
 *
 * An idle session is this struct and nothing else. At any time it does one of four things:
 *   reading   waits for packets; LATER calls may be under way beside
 *   waiting   a blocking call is under way, or as many LATER ones as may be; reads nothing
 *   writing   a response did not fit the socket; reads nothing until it is out
 *   leaving   was refused; discards what comes, unparsed, until the peer has had time to read why
 */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "server/channel.h"
#include "server/loop.h"

/* A response on its way out, with all the memory that it lies in. */
struct outgoing {
	struct outgoing *next;
	struct splitter splitter;
	uint8_t head[48];
	uint8_t *buffer;    /* of the message that was answered, or a copy of the body */
	size_t capacity;    /* bytes of it */
	struct arena arena; /* of the call that was answered at once */
	struct kept *kept;  /* the call that was answered later */
	size_t charged;	    /* bytes of the user's quota */
};

struct server_session {
	struct source source; /* first: the event's pointer is the session's */
	struct loop *loop;
	struct channel channel;
	struct quota_user *user;

	struct outgoing *outgoing; /* the first is midway */
	struct outgoing *outgoing_last;
	struct kept *kept; /* calls under way */
	unsigned kept_count;
	unsigned blocking_count; /* of them, on workers */
	size_t charged;		 /* bytes of the user's quota, for the message midway */

	uint32_t events; /* that epoll watches */
	bool is_leaving;
	bool is_stranger;
	bool has_large_buffer; /* of the kernel, counted in the user's quota */
	bool is_closed;

	uint64_t begun_ns;		   /* when the message midway was */
	struct deadline_list *expected_in; /* NULL: no deadline runs */
	uint64_t deadline_ns;
	struct server_session *earlier; /* in that list */
	struct server_session *later;
	struct server_session *next; /* in loop->sessions or loop->closed */
	struct server_session *previous;
};

/* Serve a descriptor that was accepted: takes it over whatever comes of it. */
void session_open(struct loop *loop, int fd);

/* Its time is up. */
void session_expire(struct server_session *session);

/* A call of it was answered by another thread. On the loop. */
void session_take_answer(struct server_session *session, struct kept *kept);

/* Close, cancel what is under way. It is freed after the batch, once all its calls have come back.
 */
void session_close(struct server_session *session);

/* Watch for what the session waits for now; a loop that is stopping reads no more calls. */
void session_update_events(struct server_session *session);

/* Whether a call is under way or a response is going out. */
bool session_is_busy(const struct server_session *session);

/* Whether it is closed and nothing refers to it. */
bool session_is_free(const struct server_session *session);
void session_free(struct server_session *session);

#endif
