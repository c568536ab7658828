/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Event: what a server tells the program around it, because the library itself never logs.
 *
 * The function that gets events runs on whatever thread the event happens; it must not wait, and
 * must not call back into the server.
 */
#ifndef DRPC_EVENT_H
#define DRPC_EVENT_H

#include <drpc/message.h>
#include <drpc/module.h>
#include <drpc/peer.h>
#include <drpc/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

enum drpc_event_kind {
	DRPC_EVENT_CALL,     /* a call was answered, whatever the status */
	DRPC_EVENT_DENY,     /* policy, or the want of one, refused a call or a caller */
	DRPC_EVENT_REFUSE,   /* the system refused a peer by name, before any policy */
	DRPC_EVENT_LIMIT,    /* a limit was hit; reason names it */
	DRPC_EVENT_FAIL,     /* a call failed, and its handler or the framework says why */
	DRPC_EVENT_PROTOCOL, /* a session was ended over what its peer sent, or did not send or read
			      */
	DRPC_EVENT_PAUSE,    /* accepting pauses: out of descriptors or memory */
	DRPC_EVENT_RESUME,   /* accepting goes on */
};

/* Everything in it is good for the duration of the call only. */
struct drpc_event {
	enum drpc_event_kind kind;
	const struct drpc_peer *peer;	    /* NULL: not about one */
	const struct drpc_call *call;	    /* NULL: not about a call */
	const struct drpc_module *module;   /* of the call; NULL: there is none of its id */
	const struct drpc_method *method;   /* of the call; NULL: there is none of its id */
	const struct drpc_verdict *verdict; /* NULL: not decided by policy */
	int32_t status;			    /* that the call was answered with */
	const char *reason;		    /* in words, never NULL */
};

typedef void drpc_event_fn(void *data, const struct drpc_event *event);

#ifdef __cplusplus
}
#endif

#endif
