/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Client: one connection to a server, one call at a time.
 *
 * A client is made for a socket's path, connects when told to, and numbers its calls from 1 on each
 * connection. Any thread may use it: calls take turns. After an error of a call the connection is
 * closed, because what was under way on it cannot be told from what comes next; connect again. It
 * is also closed when the server answered before it had the whole call. A refusal is not an error
 * but a response: read its status.
 */
#ifndef DRPC_CLIENT_H
#define DRPC_CLIENT_H

#include <stdbool.h>

#include <drpc/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_client;

/**
 * drpc_client_new - a client for the server that listens at a path; connects nothing yet
 * @path:       copied; shorter than sun_path (108 bytes with its NUL)
 * @ret_client: the caller frees it with drpc_client_free(); untouched on failure
 *
 * Returns 0, -ENAMETOOLONG or -EINVAL: the path is too long or empty (the caller), -ENOMEM, -EMFILE
 * or -ENFILE (the system). Any thread.
 */
int drpc_client_new(const char *path, struct drpc_client **ret_client);

/**
 * drpc_client_free - close and free; NULL is fine. No other thread may be using the client.
 */
void drpc_client_free(struct drpc_client *client);

/**
 * drpc_client_connect - connect, if it is not connected; forgets an earlier drpc_client_cancel()
 * @timeout_ms: milliseconds to wait for a place in the server's queue; -1 waits for ever
 *
 * Returns 0, -ETIMEDOUT (the clock), or what connect(2) says: -ENOENT no such socket, -ECONNREFUSED
 * nobody listens there, -EACCES the socket's mode forbids, -EPROTOTYPE it is not a SEQPACKET
 * socket. Any thread.
 */
int drpc_client_connect(struct drpc_client *client, int timeout_ms);

/**
 * drpc_client_is_connected - whether a connection is open at this end. Any thread.
 */
bool drpc_client_is_connected(struct drpc_client *client);

/**
 * drpc_client_socket_path - the path that the client was made for; lives as long as the client
 */
const char *drpc_client_socket_path(const struct drpc_client *client);

/**
 * drpc_client_lock, drpc_client_unlock - keep other threads' calls off the connection
 *
 * For a few calls that must follow one another. The thread that holds the lock may call; nests.
 */
void drpc_client_lock(struct drpc_client *client);
void drpc_client_unlock(struct drpc_client *client);

/**
 * drpc_client_call - send one call and wait for its response
 * @module, @method: numbers of what to call
 * @body, @body_size: the method's input in bytes, or NULL and 0; read only during the call
 * @timeout_ms:   milliseconds for the whole exchange, waiting for a turn included; -1 waits for
 * ever
 * @ret_response: the caller frees it with drpc_response_free(); untouched on failure. Its body is
 *                part of it, and empty unless the status is SUCCESS
 *
 * Returns 0 when a response came; a refusal is a response: read its status. Or
 *   -ENOTCONN    not connected                                        (the caller)
 *   -EMSGSIZE    the call is above DRPC_MESSAGE_MAX_BYTES             (the caller; stays connected)
 *   -EINVAL      a body that is NULL and not empty                    (the caller; stays connected)
 *   -ETIMEDOUT   the deadline passed                                  (the clock; stays connected
 *                if other threads' calls left it no turn)
 *   -ECANCELED   drpc_client_cancel()                                 (another thread)
 *   -ECONNRESET  the server went away before its response was whole   (the server)
 *   -EPROTO      a malformed response, or another call's              (the server)
 *   -ENOMEM      the response did not fit in memory                   (the system)
 * Any thread; calls on one client take turns.
 */
int drpc_client_call(struct drpc_client *client, int32_t module, int32_t method, const void *body,
	size_t body_size, int timeout_ms, struct drpc_response **ret_response);

/**
 * drpc_client_send - the same for a call in a structure
 * @call: its sequence is chosen here and written back
 */
int drpc_client_send(struct drpc_client *client, struct drpc_call *call, int timeout_ms,
	struct drpc_response **ret_response);

/**
 * drpc_client_cancel - end the call under way, or the next one if there is none, with -ECANCELED
 *
 * Holds until the next drpc_client_connect(), which it does not interrupt. Any thread, also a
 * signal handler.
 */
void drpc_client_cancel(struct drpc_client *client);

/**
 * drpc_client_close - close the connection, waiting for a call under way; connect opens a new one
 */
void drpc_client_close(struct drpc_client *client);

/**
 * drpc_response_free - free what drpc_client_call() handed out; NULL is fine
 */
void drpc_response_free(struct drpc_response *response);

#ifdef __cplusplus
}
#endif

#endif
