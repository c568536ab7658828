/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Peer: who is calling. Receives a connected descriptor; hands on what the kernel froze about the
 * connector at connect(2), or the reason why this connector is refused by name. Nothing here is
 * read from /proc/PID, and nothing is believed from the peer.
 */
#ifndef ACCESS_PEER_H
#define ACCESS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <drpc/peer.h>

#define PEER_GROUPS_INLINE 8

/* An idle session holds one of these: memory beyond it only for many groups or a label. */
struct drpc_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* for logs */
	uint32_t group_count;
	gid_t few_groups[PEER_GROUPS_INLINE];
	gid_t *many_groups; /* NULL: they are in few_groups */
	char *label;	    /* NULL: none */
};

/* What this system's kernel has to say, found out once at the start. Zero values are not valid. */
struct peer_system {
	uid_t overflow_uid; /* stands for every user that is not mapped here */
	gid_t overflow_gid;
	bool has_labels; /* SO_PEERSEC answers */
};

/* Returns 0, or a negative errno: without the overflow ids nobody can be told from nobody. */
int peer_system_read(struct peer_system *ret_system);

/* Why a connector is refused before any policy. */
enum peer_fault {
	PEER_FINE = 0,
	PEER_LOOKUP_FAILED, /* the kernel did not say who it is */
	PEER_FOREIGN,	    /* pid 0: from a PID namespace that is not ours */
	PEER_OVERFLOW_UID,  /* an unmapped user */
	PEER_OVERFLOW_GID, /* an unmapped group, primary or supplementary: a deny rule might miss it
			    */
};

const char *peer_fault_text(enum peer_fault fault);

/*
 * Ask the kernel who connected @fd. 0: *peer is filled, peer_deinit() it. -ENOMEM. -EACCES:
 * refused, *ret_fault says why, and *peer holds what is known for the log (also to be deinit'ed).
 */
int peer_identify(struct drpc_peer *peer, int fd, const struct peer_system *system,
	enum peer_fault *ret_fault);

void peer_deinit(struct drpc_peer *peer);

static inline const gid_t *peer_groups(const struct drpc_peer *peer)
{
	return peer->many_groups != NULL ? peer->many_groups : peer->few_groups;
}

/* Whether the sender of a packet may be taken for the connector: its pid or its uid is the same. */
static inline bool peer_is_sender(const struct drpc_peer *peer, pid_t sender_pid, uid_t sender_uid)
{
	return sender_uid == peer->uid || (sender_pid == peer->pid && sender_pid != 0);
}

#endif
