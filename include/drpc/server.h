/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Server: a listening socket, threads that serve its sessions, and an end in good order.
 *
 * drpc_server_new(), drpc_server_start() and drpc_server_shutdown() are all that an embedding
 * program needs. One that confines itself takes the start in steps, so that the name exists before
 * privileges are given up, and threads exist before the filter that confines them all:
 *
 *   drpc_server_bind()     the socket exists and queues callers; nobody is accepted
 *   drpc_sandbox_give_up()
 *   drpc_server_prepare()  modules and threads are started; nobody is accepted
 *   drpc_sandbox_filter()
 *   drpc_server_start()    callers are accepted
 */
#ifndef DRPC_SERVER_H
#define DRPC_SERVER_H

#include <sys/types.h>

#include <drpc/service.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_server;

/* Zero, or NULL, is the default that each line names. */
struct drpc_server_options {
	const char *path;	       /* where to listen; shorter than 108 bytes. Required */
	mode_t mode;		       /* of the socket; 0600 */
	unsigned threads;	       /* loop threads; as many as CPUs, at most 8 */
	unsigned workers;	       /* threads for blocking methods, if there are any; 4 */
	uint32_t max_sessions;	       /* 16384; the last 64 of them are root's */
	uint32_t max_sessions_per_uid; /* 1024 */
	uint64_t max_message_size;     /* bytes; 64 MiB */
	uint64_t max_bytes_per_uid;    /* bytes under way for one uid; 256 MiB */
	unsigned message_timeout_ms;   /* for a message to be complete; 10000 */
	unsigned send_timeout_ms;      /* for a peer to go on reading its answer; 10000 */
	bool leaves_socket;	       /* the end leaves the file: somebody else removes it */
	bool serves_in_run;	 /* the thread in drpc_server_run() is one of the loop threads */
	const int *interrupt_fd; /* with serves_in_run: see drpc_server_run(); NULL for none */
};

/**
 * drpc_server_new - a server for a service; opens nothing yet
 * @service:    must outlive the server
 * @options:    copied
 * @ret_server: the caller frees it with drpc_server_free(); untouched on failure
 *
 * Returns 0, -EINVAL or -ENAMETOOLONG: the options (the caller), or -ENOMEM.
 */
int drpc_server_new(struct drpc_service *service, const struct drpc_server_options *options,
	struct drpc_server **ret_server);

/** drpc_server_free - shuts down first if need be, without a deadline; NULL is fine */
void drpc_server_free(struct drpc_server *server);

/**
 * drpc_server_register - drpc_service_register() on the server's service
 */
int drpc_server_register(struct drpc_server *server, const struct drpc_module *module,
	struct drpc_policy *policy, struct drpc_problems *problems);

/**
 * drpc_server_bind - make the socket, with its mode from the first moment on
 *
 * A socket file that nobody listens on any more is replaced. Changes the umask for a moment.
 * Returns 0, or
 *   -EADDRINUSE  another process listens there: see drpc_fault_socket_in_use()
 *   -ENOTSOCK    there is a file at the path that is not a socket; it is left alone
 *   -ESHUTDOWN   the server was shut down (the caller); so do the functions below
 *   or what socket(2), bind(2), listen(2) say.
 */
int drpc_server_bind(struct drpc_server *server);

/**
 * drpc_server_prepare - bind if that is not done, start modules and threads; accept nobody yet
 *
 * Returns 0, what drpc_server_bind() or a module's start says, or -EAGAIN: no more threads (the
 * system). After a failure the server is as after drpc_server_shutdown().
 */
int drpc_server_prepare(struct drpc_server *server);

/**
 * drpc_server_start - prepare if that is not done, then accept callers, and return
 *
 * Returns as drpc_server_prepare().
 */
int drpc_server_start(struct drpc_server *server);

/**
 * drpc_server_run - start, and stay until the server is shut down, interrupted, or time has passed
 * @timeout_ms: -1 stays for ever
 *
 * With serves_in_run the calling thread serves in the meantime; then nobody is served by its loop
 * while no thread is in here, but for drpc_server_shutdown(), which finishes what is under way.
 * With one thread, and no method that blocks, the process then needs no other.
 *
 * *interrupt_fd, where there is one, interrupts it each time that it becomes readable: a
 * signalfd(2), or an eventfd(2) that another thread writes. It stays the caller's, who reads it
 * empty.
 *
 * Returns 0: interrupted, or shut down by another thread. -ETIMEDOUT: time has passed; call again
 * to go on. Or as drpc_server_prepare(). One thread at a time.
 */
int drpc_server_run(struct drpc_server *server, int timeout_ms);

/**
 * drpc_server_shutdown - end: accept nobody, finish the calls under way, close every session
 * @timeout_ms: how long calls may take to finish; then they are cancelled. -1 waits for ever
 *
 * Removes the socket's file, unless told to leave it, if it is still this server's.
 * Returns 0, or -ETIMEDOUT: some calls were cut short, or their answers were not read in time; if
 * their handlers have not returned even now, their threads are still running, and the server must
 * not be freed: exit. Not from a handler.
 */
int drpc_server_shutdown(struct drpc_server *server, int timeout_ms);

/**
 * drpc_fault_socket_in_use - the words for -EADDRINUSE, with what to do
 *
 * Writes at most @size bytes to @text, with a NUL; returns @text.
 */
const char *drpc_fault_socket_in_use(const char *path, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
