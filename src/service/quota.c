/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Quota: see quota.h. Users are found when a session opens, never for a call. */
#include "service/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

void quota_init(struct quota *quota, const struct quota_limits *limits)
{
	*quota = (struct quota){ .lock = PTHREAD_MUTEX_INITIALIZER };
	quota_set_limits(quota, limits);
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

int quota_error(quota_refusal refusal)
{
	if (refusal == NULL)
		return 0;
	return strcmp(refusal, QUOTA_OUT_OF_MEMORY) == 0 ? -ENOMEM : -EUSERS;
}

void quota_set_modules(struct quota *quota, size_t modules)
{
	pthread_mutex_lock(&quota->lock);
	quota->modules = modules;
	pthread_mutex_unlock(&quota->lock);
}

void quota_set_limits(struct quota *quota, const struct quota_limits *limits)
{
	pthread_mutex_lock(&quota->lock);
	quota->max_sessions = limits->max_sessions;
	quota->max_sessions_per_uid = limits->max_sessions_per_uid;
	atomic_store(&quota->max_bytes_per_uid, limits->max_bytes_per_uid);
	pthread_mutex_unlock(&quota->lock);
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
	uint32_t open_to_user = quota->max_sessions;

	if (user->uid != 0)
		open_to_user -= root_reserve(open_to_user);
	if (quota->sessions >= open_to_user)
		return "max-sessions";
	if (user->sessions >= quota->max_sessions_per_uid)
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
 * Calls are spaced 1/rate apart; a caller may run ahead of that by up to one second's worth, so
 * that a burst of a second's calls passes and a faster stream does not.
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

	bool is_counted = limits->concurrent_calls != 0;
	quota_refusal refusal = NULL;

	if (is_counted && !quota_take_one(&calls->under_way, limits->concurrent_calls))
		return "concurrent-calls";
	if (limits->calls_per_second != 0 && !is_in_rate(calls, limits->calls_per_second, now_ns))
		refusal = "calls-per-second";
	if (refusal == NULL)
		*ret_is_counted = is_counted;
	else if (is_counted)
		quota_end_call(user, module);
	return refusal;
}

void quota_end_call(struct quota_user *user, size_t module)
{
	quota_give_one(&user->calls[module].under_way);
}

bool quota_take_one(_Atomic uint32_t *count, uint32_t max)
{
	if (atomic_fetch_add(count, 1) < max)
		return true;
	quota_give_one(count);
	return false;
}

void quota_give_one(_Atomic uint32_t *count)
{
	uint32_t before = atomic_fetch_sub(count, 1);

	assert(before > 0);
	(void)before;
}

bool quota_take_bytes(struct quota *quota, struct quota_user *user, size_t bytes)
{
	uint64_t before = atomic_fetch_add(&user->bytes, bytes);

	if (before + bytes <= atomic_load(&quota->max_bytes_per_uid))
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
