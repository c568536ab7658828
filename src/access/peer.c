/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Peer: receives a connected descriptor; hands on what the kernel says of the connector, or the
 * reason why it is refused. Each answer of the kernel is checked: one that is missing or odd is a
 * refusal.
 */
#include "access/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#define GROUPS_MAX	65536 /* NGROUPS_MAX of the kernel: more is no answer */
#define LABEL_MAX_BYTES 4096
#define NO_ID		UINT32_MAX /* (uid_t)-1: the kernel has no credentials for the peer */

static const char *const fault_texts[] = {
	[PEER_FINE] = "not refused",
	[PEER_LOOKUP_FAILED] = "the kernel did not say who it is",
	[PEER_FOREIGN] = "pid 0: from a foreign PID namespace",
	[PEER_OVERFLOW_UID] = "the overflow uid: from a user namespace that maps it to nobody here",
	[PEER_OVERFLOW_GID] = "the overflow gid: from a user namespace that maps it to nobody here",
};

const char *peer_fault_text(enum peer_fault fault)
{
	return (size_t)fault < ARRAY_SIZE(fault_texts) ? fault_texts[fault] : "refused";
}

/* Exactly digits and a newline. */
static int parse_id_line(const char *text, size_t size, uint32_t *ret_id)
{
	uint64_t id = 0;

	if (size < 2 || text[size - 1] != '\n')
		return -EINVAL;
	for (size_t i = 0; i < size - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		id = id * 10 + (uint64_t)(text[i] - '0');
		if (id >= NO_ID)
			return -EINVAL;
	}
	*ret_id = (uint32_t)id;
	return 0;
}

static int read_id(const char *path, uint32_t *ret_id)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	return n < 0 ? -errno : parse_id_line(text, (size_t)n, ret_id);
}

static int read_overflow_ids(struct peer_system *system)
{
	int r = read_id("/proc/sys/kernel/overflowuid", &system->overflow_uid);

	return r < 0 ? r : read_id("/proc/sys/kernel/overflowgid", &system->overflow_gid);
}

static bool answers_label(int fd)
{
	char label[1];
	socklen_t size = sizeof(label);

	return getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &size) == 0 || errno == ERANGE;
}

int peer_system_read(struct peer_system *ret_system)
{
	struct peer_system system = { 0 };
	int pair[2];
	int r = read_overflow_ids(&system);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	system.has_labels = answers_label(pair[0]);
	close(pair[0]);
	close(pair[1]);
	*ret_system = system;
	return 0;
}

static enum peer_fault ask_credentials(struct drpc_peer *peer, int fd)
{
	struct ucred credentials = { 0, NO_ID, NO_ID };
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 ||
		size != sizeof(credentials))
		return PEER_LOOKUP_FAILED;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	peer->pid = credentials.pid;
	if (peer->uid == NO_ID || peer->gid == NO_ID || peer->pid < 0)
		return PEER_LOOKUP_FAILED;
	return PEER_FINE;
}

/* Room for @count groups, inside the peer if they are few. */
static int reserve_groups(struct drpc_peer *peer, size_t count, gid_t **ret_groups)
{
	if (count > PEER_GROUPS_INLINE) {
		peer->many_groups = reallocarray(NULL, count, sizeof(gid_t));
		if (peer->many_groups == NULL)
			return -ENOMEM;
	}
	*ret_groups = peer->many_groups != NULL ? peer->many_groups : peer->few_groups;
	return 0;
}

/* The kernel says ERANGE and how much it wants; groups are frozen, so it can say so only once. */
static int ask_groups(struct drpc_peer *peer, int fd, enum peer_fault *fault)
{
	socklen_t size = sizeof(peer->few_groups);
	gid_t *groups = peer->few_groups;
	int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);

	*fault = PEER_LOOKUP_FAILED;
	if (r < 0 && errno == ERANGE) {
		if (size % sizeof(gid_t) != 0 || size / sizeof(gid_t) > GROUPS_MAX)
			return -EACCES;
		if (reserve_groups(peer, size / sizeof(gid_t), &groups) < 0)
			return -ENOMEM;
		r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	}
	if (r < 0 || size % sizeof(gid_t) != 0)
		return -EACCES;
	peer->group_count = (uint32_t)(size / sizeof(gid_t));
	*fault = PEER_FINE;
	return 0;
}

/* A label is for logs, but a kernel that has one and cannot say it is not to be trusted with the
 * rest. */
static int ask_label(struct drpc_peer *peer, int fd, enum peer_fault *fault)
{
	AUTO_FREE char *label = calloc(1, LABEL_MAX_BYTES + 1);
	socklen_t size = LABEL_MAX_BYTES;

	if (label == NULL)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &size) == 0) {
		peer->label = strdup(label);
		return peer->label == NULL ? -ENOMEM : 0;
	}
	if (errno == ENOPROTOOPT) /* this peer has none */
		return 0;
	*fault = PEER_LOOKUP_FAILED;
	return -EACCES;
}

static bool has_group(const struct drpc_peer *peer, gid_t gid)
{
	const gid_t *groups = peer_groups(peer);

	for (size_t i = 0; i < peer->group_count; i++) {
		if (groups[i] == gid)
			return true;
	}
	return peer->gid == gid;
}

/* Those who stand for nobody in particular. Which of them a policy names makes no difference. */
static enum peer_fault judge_ids(const struct drpc_peer *peer, const struct peer_system *system)
{
	if (peer->uid == NO_ID || has_group(peer, NO_ID))
		return PEER_LOOKUP_FAILED;
	if (peer->uid == system->overflow_uid)
		return PEER_OVERFLOW_UID;
	if (has_group(peer, system->overflow_gid))
		return PEER_OVERFLOW_GID;
	return PEER_FINE;
}

static int ask_everything(
	struct drpc_peer *peer, int fd, const struct peer_system *system, enum peer_fault *fault)
{
	int r;

	*fault = ask_credentials(peer, fd);
	if (*fault != PEER_FINE)
		return -EACCES;
	r = ask_groups(peer, fd, fault);
	if (r == 0 && system->has_labels)
		r = ask_label(peer, fd, fault);
	if (r < 0)
		return r;
	*fault = peer->pid == 0 ? PEER_FOREIGN : judge_ids(peer, system);
	return *fault == PEER_FINE ? 0 : -EACCES;
}

int peer_identify(struct drpc_peer *peer, int fd, const struct peer_system *system,
	enum peer_fault *ret_fault)
{
	enum peer_fault fault = PEER_LOOKUP_FAILED;
	int r;

	*peer = (struct drpc_peer){ .uid = NO_ID, .gid = NO_ID };
	r = ask_everything(peer, fd, system, &fault);
	if (r == -ENOMEM) {
		peer_deinit(peer);
		return r;
	}
	if (r < 0)
		*ret_fault = fault;
	return r;
}

void peer_deinit(struct drpc_peer *peer)
{
	free(peer->many_groups);
	free(peer->label);
	*peer = (struct drpc_peer){ .uid = NO_ID, .gid = NO_ID };
}

int drpc_peer_new(
	uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, struct drpc_peer **ret_peer)
{
	AUTO_FREE struct drpc_peer *peer = calloc(1, sizeof(*peer));
	gid_t *copy;

	if (peer == NULL || group_count > UINT32_MAX ||
		reserve_groups(peer, group_count, &copy) < 0)
		return -ENOMEM;
	if (group_count > 0)
		memcpy(copy, groups, group_count * sizeof(*groups));
	peer->uid = uid;
	peer->gid = gid;
	peer->group_count = (uint32_t)group_count;
	*ret_peer = take_ptr(peer);
	return 0;
}

int drpc_peer_from_socket(int fd, struct drpc_peer **ret_peer, const char **ret_reason)
{
	/* Whether labels exist need not be known: a peer without one answers ENOPROTOOPT. */
	struct peer_system system = { .has_labels = true };
	AUTO_FREE struct drpc_peer *peer = calloc(1, sizeof(*peer));
	enum peer_fault fault = PEER_LOOKUP_FAILED;
	int r;

	if (peer == NULL)
		return -ENOMEM;
	r = read_overflow_ids(&system) < 0 ? -EACCES : peer_identify(peer, fd, &system, &fault);
	if (r == -EACCES && ret_reason != NULL)
		*ret_reason = peer_fault_text(fault);
	if (r < 0) {
		peer_deinit(peer);
		return r;
	}
	*ret_peer = take_ptr(peer);
	return 0;
}

int drpc_peer_check(const struct drpc_peer *peer, const char **ret_reason)
{
	struct peer_system system = { 0 };
	enum peer_fault fault;
	int r = read_overflow_ids(&system);

	if (r < 0)
		return r;
	fault = judge_ids(peer, &system);
	if (fault == PEER_FINE)
		return 0;
	if (ret_reason != NULL)
		*ret_reason = peer_fault_text(fault);
	return -EACCES;
}

void drpc_peer_free(struct drpc_peer *peer)
{
	if (peer == NULL)
		return;
	peer_deinit(peer);
	free(peer);
}

uid_t drpc_peer_uid(const struct drpc_peer *peer)
{
	return peer->uid;
}

gid_t drpc_peer_gid(const struct drpc_peer *peer)
{
	return peer->gid;
}

pid_t drpc_peer_pid(const struct drpc_peer *peer)
{
	return peer->pid;
}

const gid_t *drpc_peer_groups(const struct drpc_peer *peer, size_t *ret_count)
{
	*ret_count = peer->group_count;
	return peer_groups(peer);
}

const char *drpc_peer_label(const struct drpc_peer *peer)
{
	return peer->label;
}
