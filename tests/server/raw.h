/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Raw: a client that may do what libdrpc's does not: several calls under way, half a message,
 * packets that lie, and not reading. Its sockets wait, but not longer than PATIENCE_SECONDS.
 */
#ifndef SERVER_RAW_H
#define SERVER_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/message.h>

/* Connect; -1: nobody listens. */
int raw_connect(const char *path);

/* Give a socket the patience of the others. */
void raw_be_patient(int fd);

/* Send a call of any size. False: the other end is closed. */
bool raw_call(
	int fd, int32_t module, int32_t method, int64_t sequence, const void *body, size_t size);

/* Send packet number @index of a message of @total bytes, all zeros. False: the other end is
 * closed. */
bool raw_send_chunk(int fd, uint64_t total, uint32_t index);

/* Send bytes as one packet. */
bool raw_send(int fd, const void *bytes, size_t size);

struct raw_answer {
	struct drpc_response response;
	uint8_t *bytes; /* the caller frees */
};

/* Receive one response. False: the other end closed, or it took too long. */
bool raw_receive(int fd, struct raw_answer *ret_answer);

/* Receive one response and free it: its status, or -1. */
int raw_receive_status(int fd, int64_t sequence);

/* Whether the other end closes; what it sent before is dropped. */
bool raw_is_closed(int fd);

#endif
