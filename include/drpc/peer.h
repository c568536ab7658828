/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Peer: the process at the other end, as the kernel described it when it connected.
 *
 * Decisions use the uid and the gids. The pid is for logs: by the time it is read, it may be
 * another process's. What the peer says about itself is nowhere in here.
 */
#ifndef DRPC_PEER_H
#define DRPC_PEER_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_peer;

/**
 * drpc_peer_new - describe a caller by hand, to ask a policy about it
 * @groups, @group_count: supplementary groups; copied
 * @ret_peer: the caller frees it with drpc_peer_free(); untouched on failure
 *
 * Returns 0 or -ENOMEM. Any thread.
 */
int drpc_peer_new(
	uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, struct drpc_peer **ret_peer);

/**
 * drpc_peer_from_socket - ask the kernel who connected a Unix socket
 * @fd:         stays the caller's
 * @ret_peer:   the caller frees it with drpc_peer_free(); untouched on failure
 * @ret_reason: a static string for the log, set when -EACCES is returned; may be NULL
 *
 * Returns 0, -ENOMEM, or -EACCES: this peer is refused whatever a policy says, because its identity
 * could not be had or stands for nobody in particular (the peer). Any thread.
 */
int drpc_peer_from_socket(int fd, struct drpc_peer **ret_peer, const char **ret_reason);

/**
 * drpc_peer_check - whether a peer that was described by hand would be refused before any policy
 * @ret_reason: a static string, set when -EACCES is returned; may be NULL
 *
 * Judges the ids as drpc_peer_from_socket() does. Returns 0, -EACCES: an overflow id or no id (the
 * peer), or what reading /proc/sys/kernel/overflow{u,g}id gave (the system). Any thread.
 */
int drpc_peer_check(const struct drpc_peer *peer, const char **ret_reason);

/** drpc_peer_free - NULL is fine */
void drpc_peer_free(struct drpc_peer *peer);

uid_t drpc_peer_uid(const struct drpc_peer *peer);
gid_t drpc_peer_gid(const struct drpc_peer *peer);

/** drpc_peer_pid - for logs only; 0 for a peer that was described by hand */
pid_t drpc_peer_pid(const struct drpc_peer *peer);

/**
 * drpc_peer_groups - the supplementary groups
 * @ret_count: how many
 *
 * Returns an array that lives as long as the peer.
 */
const gid_t *drpc_peer_groups(const struct drpc_peer *peer, size_t *ret_count);

/** drpc_peer_label - the security label (SO_PEERSEC), or NULL where no security module gives one */
const char *drpc_peer_label(const struct drpc_peer *peer);

#ifdef __cplusplus
}
#endif

#endif
