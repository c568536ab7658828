/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Quota: what each caller uid has in use, held against the limits. Receives a uid and a clock
 * reading; hands on a place, or the name of the limit that was hit. Any thread. What was taken is
 * given back by the one who took it; a user who has nothing left in use, and whose rate has
 * recovered, is forgotten.
 */
#ifndef SERVICE_QUOTA_H
#define SERVICE_QUOTA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <drpc/policy.h>

/* Of the sessions, so many are root's alone: so that root can come in when all others are used up.
 */
#define QUOTA_ROOT_RESERVE 64

struct quota_limits {
	uint32_t max_sessions;
	uint32_t max_sessions_per_uid;
	uint64_t max_bytes_per_uid;
};

/* What one uid has under way in one module. */
struct quota_calls {
	_Atomic uint32_t under_way;
	_Atomic uint64_t next_due_ns; /* when an evenly spaced next call would be due */
};

struct quota_user {
	struct quota_user *next; /* in its bucket */
	uid_t uid;
	uint32_t sessions;	/* under the table's lock */
	uint64_t idle_since_ns; /* when the last session closed */
	_Atomic uint64_t bytes;
	_Atomic uint32_t large_buffers; /* of the kernel, for answers on their way */
	_Atomic uint32_t queued;	/* calls that wait for a worker */
	struct quota_calls calls[];	/* one for each module of the service */
};

#define QUOTA_BUCKETS 256

struct quota {
	pthread_mutex_t lock; /* guards all but the first of what follows */
	_Atomic uint64_t max_bytes_per_uid;
	uint32_t max_sessions;
	uint32_t max_sessions_per_uid;
	size_t modules;
	uint32_t sessions;
	struct quota_user *buckets[QUOTA_BUCKETS];
};

/* Why a place was not given: a static string that names the limit. NULL: it was given. */
typedef const char *quota_refusal;

#define QUOTA_OUT_OF_MEMORY "out of memory"

/* The same as an errno. */
int quota_error(quota_refusal refusal);

void quota_init(struct quota *quota, const struct quota_limits *limits);
void quota_deinit(struct quota *quota);

/* How many modules the service has. Before the first session. */
void quota_set_modules(struct quota *quota, size_t modules);

/* Other limits, for what is taken from now on. */
void quota_set_limits(struct quota *quota, const struct quota_limits *limits);

/* A session of @uid opens: *ret_user is to be given back with quota_close_session(). */
quota_refusal quota_open_session(
	struct quota *quota, uid_t uid, uint64_t now_ns, struct quota_user **ret_user);
void quota_close_session(struct quota *quota, struct quota_user *user, uint64_t now_ns);

/*
 * A call begins in module number @module, under that module's limits. *ret_is_counted is set when
 * it counts as under way, and is to be ended.
 */
quota_refusal quota_begin_call(struct quota_user *user, size_t module,
	const struct drpc_policy_limits *limits, uint64_t now_ns, bool *ret_is_counted);
void quota_end_call(struct quota_user *user, size_t module);

/* One more of something of which a uid may have so many; and one less. */
bool quota_take_one(_Atomic uint32_t *count, uint32_t max);
void quota_give_one(_Atomic uint32_t *count);

/* Memory is held for a message under way; and given back. */
bool quota_take_bytes(struct quota *quota, struct quota_user *user, size_t bytes);
void quota_give_bytes(struct quota_user *user, size_t bytes);

#endif
