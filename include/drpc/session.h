/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Session: one connection served by the caller's own thread, without a server around it. For a
 * program that gets connected descriptors by other means (inherited, from a socketpair, in its own
 * event loop).
 */
#ifndef DRPC_SESSION_H
#define DRPC_SESSION_H

#include <drpc/service.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_session;

/**
 * drpc_session_new - serve a connected SEQPACKET socket
 * @fd:          the session's from now on if this succeeds, else still the caller's. SO_PASSCRED is
 * set on it: set it earlier if packets may be in it already, for a packet from before that has no
 *               sender, and is refused
 * @service:     must outlive the session
 * @ret_session: the caller frees it with drpc_session_free(); untouched on failure
 *
 * The first session of all starts the service's modules. Returns 0, -EACCES: the peer is refused
 * whatever the policy, or a stranger to it (the peer), -EUSERS: it has too many sessions, -ENOMEM,
 * or what setsockopt(2) or a module's start said.
 */
int drpc_session_new(int fd, struct drpc_service *service, struct drpc_session **ret_session);

/** drpc_session_free - close and free; NULL is fine */
void drpc_session_free(struct drpc_session *session);

/** drpc_session_fd - for poll(2): readable means drpc_session_process() has something to do */
int drpc_session_fd(const struct drpc_session *session);

/** drpc_session_peer - who is at the other end; lives as long as the session */
const struct drpc_peer *drpc_session_peer(const struct drpc_session *session);

/**
 * drpc_session_process - receive one message, run its call, send the response
 * @timeout_ms: milliseconds to receive and to send; 0 takes what has arrived and does not wait for
 *              more; -1 waits for ever. The handler takes as long as it takes
 *
 * Returns 0: one call was answered, and a refusal is an answer too. Or
 *   -ETIMEDOUT  no whole message in time, or the peer does not read; call again to go on waiting
 *   -ENOTCONN   the peer closed its end
 *   -EPROTO     the peer broke the protocol, or was not allowed anything; free the session
 *   -ENOBUFS    max-bytes-per-uid; free the session
 *   -ENOMEM     or another error of recvmsg(2) or sendmsg(2); free the session
 */
int drpc_session_process(struct drpc_session *session, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
