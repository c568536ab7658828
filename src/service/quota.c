/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Quota: see quota.h. Users are found when a session opens, never for a call. */
#include "service/quota.h"

#include <assert.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)

void quota_init(struct quota *quota)
{
	*quota = (struct quota){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

void quota_deinit(struct quota *quota)
{
	for (size_t i = 0; i < QUOTA_BUCKETS; i++) {
		struct quota_user *user = quota->buckets[i];

		while (user != NULL) {
			struct quota_user *next = user->next;

			assert(user->sessions == 0 && atomic_load(&user->bytes) == 0);
			free(user);
			user = next;
		}
	}
	pthread_mutex_destroy(&quota->lock);
}

void quota_set_limits(struct quota *quota, const struct quota_limits *limits, size_t modules)
{
	quota->limits = *limits;
	quota->modules = modules;
}

/* A user without sessions is kept for a second, so that reconnecting does not reset its rate. */
static bool is_forgettable(const struct quota_user *user, uint64_t now_ns)
{
	return user->sessions == 0 && now_ns > user->idle_since_ns + SECOND_NS;
}

static void forget_idle(struct quota_user **link, uint64_t now_ns)
{
	while (*link != NULL) {
		struct quota_user *user = *link;

		if (is_forgettable(user, now_ns)) {
			*link = user->next;
			free(user);
		} else {
			link = &user->next;
		}
	}
}

static struct quota_user *find_or_add(struct quota *quota, uid_t uid, uint64_t now_ns)
{
	struct quota_user **bucket = &quota->buckets[uid % QUOTA_BUCKETS];
	struct quota_user *user;

	for (user = *bucket; user != NULL; user = user->next) {
		if (user->uid == uid)
			return user;
	}
	forget_idle(bucket, now_ns);
	user = calloc(1, sizeof(*user) + quota->modules * sizeof(user->calls[0]));
	if (user == NULL)
		return NULL;
	user->uid = uid;
	user->next = *bucket;
	*bucket = user;
	return user;
}

/* A small server, which 64 would close to all others, keeps half for root. */
static uint32_t root_reserve(uint32_t max_sessions)
{
	return max_sessions > 2 * QUOTA_ROOT_RESERVE ? QUOTA_ROOT_RESERVE : max_sessions / 2;
}

static quota_refusal refuse_session(const struct quota *quota, const struct quota_user *user)
{
	uint32_t open_to_user = quota->limits.max_sessions;

	if (user->uid != 0)
		open_to_user -= root_reserve(open_to_user);
	if (quota->sessions >= open_to_user)
		return "max-sessions";
	if (user->sessions >= quota->limits.max_sessions_per_uid)
		return "max-sessions-per-uid";
	return NULL;
}

quota_refusal quota_open_session(
	struct quota *quota, uid_t uid, uint64_t now_ns, struct quota_user **ret_user)
{
	quota_refusal refusal;
	struct quota_user *user;

	pthread_mutex_lock(&quota->lock);
	user = find_or_add(quota, uid, now_ns);
	refusal = user != NULL ? refuse_session(quota, user) : QUOTA_OUT_OF_MEMORY;
	if (refusal == NULL) {
		user->sessions++;
		quota->sessions++;
		*ret_user = user;
	}
	pthread_mutex_unlock(&quota->lock);
	return refusal;
}

void quota_close_session(struct quota *quota, struct quota_user *user, uint64_t now_ns)
{
	pthread_mutex_lock(&quota->lock);
	assert(user->sessions > 0 && quota->sessions > 0);
	user->sessions--;
	quota->sessions--;
	user->idle_since_ns = now_ns;
	pthread_mutex_unlock(&quota->lock);
}

/*
 * Calls are spaced 1/rate apart; a caller may run ahead of that by up to one second's worth, so that a
 * burst of a second's calls passes and a faster stream does not.
 */
static bool is_in_rate(struct quota_calls *calls, uint32_t per_second, uint64_t now_ns)
{
	uint64_t space = SECOND_NS / per_second;
	uint64_t due = atomic_load(&calls->next_due_ns);
	uint64_t next;

	do {
		next = (due > now_ns ? due : now_ns) + space;
		if (next > now_ns + SECOND_NS)
			return false;
	} while (!atomic_compare_exchange_weak(&calls->next_due_ns, &due, next));
	return true;
}

quota_refusal quota_begin_call(struct quota_user *user, size_t module,
	const struct drpc_policy_limits *limits, uint64_t now_ns, bool *ret_is_counted)
{
	struct quota_calls *calls = &user->calls[module];

	if (limits->calls_per_second != 0 && !is_in_rate(calls, limits->calls_per_second, now_ns))
		return "calls-per-second";
	if (limits->concurrent_calls == 0)
		return NULL;
	if (atomic_fetch_add(&calls->under_way, 1) >= limits->concurrent_calls) {
		quota_end_call(user, module);
		return "concurrent-calls";
	}
	*ret_is_counted = true;
	return NULL;
}

void quota_end_call(struct quota_user *user, size_t module)
{
	uint32_t before = atomic_fetch_sub(&user->calls[module].under_way, 1);

	assert(before > 0);
	(void)before;
}

bool quota_take_bytes(struct quota *quota, struct quota_user *user, size_t bytes)
{
	uint64_t before = atomic_fetch_add(&user->bytes, bytes);

	if (before + bytes <= quota->limits.max_bytes_per_uid)
		return true;
	quota_give_bytes(user, bytes);
	return false;
}

void quota_give_bytes(struct quota_user *user, size_t bytes)
{
	uint64_t before;

	if (bytes == 0)
		return;
	before = atomic_fetch_sub(&user->bytes, bytes);
	assert(before >= bytes);
	(void)before;
}
