/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A server for the client's tests: a thread that accepts one connection after another and hands
 * each to the test's function. Made of room wire and nothing else.
 */
#ifndef CLIENT_SERVER_H
#define CLIENT_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/message.h>

struct server {
	char dir[32];
	char path[64];
	int listener;
	pthread_t thread;
	bool running;
	void (*serve)(struct server *server, int fd); /* the connection is closed when it returns */
	void *context;				      /* the test's */
};

/* Make a directory with a listening socket in it; nobody accepts yet. */
void server_open(struct server *server, int backlog);
/* Accept, and serve. */
void server_start(
	struct server *server, void (*serve)(struct server *server, int fd), void *context);
/* End the thread once it has served the connection that it has, and remove the directory. */
void server_close(struct server *server);

/* A failed check ends the whole test program: cmocka's checks are for the test's own thread. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			server_fail(__FILE__, __LINE__, #condition);                               \
	} while (0)
void server_fail(const char *file, int line, const char *condition) __attribute__((noreturn));

/* A call with memory of its own. */
struct server_call {
	struct drpc_call call;
	uint8_t *bytes;
};

/* Receive one whole call. False: the client closed its end. The caller frees bytes. */
bool server_receive(int fd, struct server_call *ret_call);
/* Receive one packet of a call and drop it. */
void server_receive_packet(int fd);
/* Wait until the client closed its end, dropping what it sends. */
void server_wait_for_end(int fd);
/* Send a response, or as much of it as the client stays for. */
void server_answer(int fd, int64_t sequence, int32_t status, const void *body, size_t body_size);
/* Send these bytes as one packet, whatever they are. */
void server_send_raw(int fd, const void *bytes, size_t size);

#endif
