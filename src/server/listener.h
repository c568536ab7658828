/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Listener: the socket that callers connect to. Receives a path; hands on accepted descriptors, one
 * for each readiness, and pauses instead of spinning when there are no more descriptors to be had.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <sys/types.h>

#include "server/loop.h"

/*
 * Make, bind and listen; the name appears with its mode already on it. A dead socket is replaced.
 * 0, -EADDRINUSE, -ENOTSOCK, -ENAMETOOLONG, or another errno. *ret_inode tells this socket's file
 * from another that may come to stand at its path.
 */
int listener_bind(const char *path, mode_t mode, int *ret_fd, ino_t *ret_inode);

/* Remove the file if it is still the one that listener_bind() made. 0 or a negative errno. */
int listener_unlink(const char *path, ino_t inode);

/* The loop's source. */
void listener_ready(struct source *source, uint32_t events);

/* Start or stop to accept on this loop; what is done already is no error. */
void listener_resume(struct loop *loop);
void listener_pause(struct loop *loop);

#endif
