/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Principal: receives items such as "alice", "%staff" or "2000-2999"; hands on sorted ranges of
 * ids. Names are looked up here, when a policy is loaded, and never again.
 */
#include "access/principal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

#define NO_ID UINT32_MAX /* (uid_t)-1: what system calls take for "no id" */

#define ACCOUNT_BUFFER_FIRST 1024
#define ACCOUNT_BUFFER_LAST  ((size_t)1024 * 1024)

/* getpwnam_r(3): besides 0, these say that there is no such name. */
static int account_error(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH ? -ENOENT : -error;
}

static int look_up_user(void *data, const char *name, uint32_t *ret_uid)
{
	(void)data;
	for (size_t size = ACCOUNT_BUFFER_FIRST; size <= ACCOUNT_BUFFER_LAST; size *= 2) {
		AUTO_FREE char *buffer = malloc(size);
		struct passwd account, *found = NULL;
		int error;

		if (buffer == NULL)
			return -ENOMEM;
		error = getpwnam_r(name, &account, buffer, size, &found);
		if (found != NULL)
			*ret_uid = found->pw_uid;
		if (error != ERANGE)
			return found != NULL ? 0 : account_error(error);
	}
	return -ERANGE;
}

static int look_up_group(void *data, const char *name, uint32_t *ret_gid)
{
	(void)data;
	for (size_t size = ACCOUNT_BUFFER_FIRST; size <= ACCOUNT_BUFFER_LAST; size *= 2) {
		AUTO_FREE char *buffer = malloc(size);
		struct group account, *found = NULL;
		int error;

		if (buffer == NULL)
			return -ENOMEM;
		error = getgrnam_r(name, &account, buffer, size, &found);
		if (found != NULL)
			*ret_gid = found->gr_gid;
		if (error != ERANGE)
			return found != NULL ? 0 : account_error(error);
	}
	return -ERANGE;
}

const struct principal_names principal_accounts = { look_up_user, look_up_group, NULL };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits only: no sign, no blank, no leading zero. Moves *text past them. */
static int take_id(const char **text, uint32_t *ret_id, const char **ret_fault)
{
	const char *at = *text;
	uint64_t id = 0;

	*ret_fault = "not an id; write decimal digits";
	if (!is_digit(*at))
		return -EINVAL;
	*ret_fault = "an id with a leading zero; write it without";
	if (at[0] == '0' && is_digit(at[1]))
		return -EINVAL;
	*ret_fault = "not an id; the largest is 4294967294";
	for (; is_digit(*at); at++) {
		id = id * 10 + (uint64_t)(*at - '0');
		if (id >= NO_ID)
			return -EINVAL;
	}
	*ret_id = (uint32_t)id;
	*text = at;
	return 0;
}

static int parse_range(const char *text, struct id_range *ret_ids, const char **ret_fault)
{
	struct id_range ids;
	int r = take_id(&text, &ids.first, ret_fault);

	if (r < 0)
		return r;
	ids.last = ids.first;
	if (*text == '-') {
		text++;
		r = take_id(&text, &ids.last, ret_fault);
		if (r < 0)
			return r;
	}
	*ret_fault =
		"neither an id nor a range; write 1000 or 2000-2999, with commas between, and a name "
		"that begins with a digit by its id";
	if (*text != '\0')
		return -EINVAL;
	*ret_fault = "a range upside down; write the smaller id first";
	if (ids.last < ids.first)
		return -EINVAL;
	*ret_ids = ids;
	return 0;
}

/* What could be a name at all: whether it is one, the accounts say. */
static bool is_name(const char *text)
{
	if (*text == '\0' || *text == '-' || *text == '+')
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f ||
			strchr("*%,:/=#;[]\"'", *text) != NULL)
			return false;
	}
	return true;
}

static int parse_name(const char *text, bool is_group, const struct principal_names *names,
	struct id_range *ret_ids, const char **ret_fault)
{
	uint32_t id = NO_ID;
	int r;

	*ret_fault = "not a name; write a user, %group, an id, a range or *, with commas between";
	if (!is_name(text))
		return -EINVAL;
	r = is_group ? names->group(names->data, text, &id) : names->user(names->data, text, &id);
	if (r == -ENOENT)
		*ret_fault = is_group ? "no such group; create it or write its gid"
				      : "no such user; create it or write its uid";
	if (r < 0)
		return r;
	*ret_fault = "its id is 4294967295, which stands for no id";
	if (id == NO_ID)
		return -EINVAL;
	*ret_ids = (struct id_range){ id, id };
	return 0;
}

int principal_parse(const char *item, const struct principal_names *names,
	struct principal *ret_principal, const char **ret_fault)
{
	bool is_group = item[0] == '%';
	const char *text = item + is_group;
	struct id_range ids;
	int r;

	if (strcmp(item, "*") == 0) {
		*ret_principal = (struct principal){ .kind = PRINCIPAL_ANYONE };
		return 0;
	}
	if (is_digit(*text))
		r = parse_range(text, &ids, ret_fault);
	else
		r = parse_name(text, is_group, names, &ids, ret_fault);
	if (r < 0)
		return r;
	*ret_principal = (struct principal){ is_group ? PRINCIPAL_GROUPS : PRINCIPAL_USERS, ids };
	return 0;
}

static int id_set_add(struct id_set *set, struct id_range ids)
{
	if (set->count == set->capacity) {
		size_t capacity = set->capacity == 0 ? 4 : set->capacity * 2;
		struct id_range *ranges = reallocarray(set->ranges, capacity, sizeof(*ranges));

		if (ranges == NULL)
			return -ENOMEM;
		set->ranges = ranges;
		set->capacity = capacity;
	}
	set->ranges[set->count++] = ids;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct id_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Ranges that overlap or touch become one, so that a search meets at most one that could match. */
static void id_set_finish(struct id_set *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->ranges, set->count, sizeof(*set->ranges), compare_ranges);
	for (size_t i = 1; i < set->count; i++) {
		struct id_range *last = &set->ranges[kept];
		struct id_range next = set->ranges[i];

		/* No id is UINT32_MAX, so last + 1 does not wrap. */
		if (next.first > last->last + 1)
			set->ranges[++kept] = next;
		else if (next.last > last->last)
			last->last = next.last;
	}
	set->count = kept + 1;
}

static bool id_set_has(const struct id_set *set, uint32_t id)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (id < set->ranges[middle].first)
			high = middle;
		else if (id > set->ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

int principal_set_add(struct principal_set *set, const struct principal *principal)
{
	switch (principal->kind) {
	case PRINCIPAL_ANYONE:
		set->anyone = true;
		return 0;
	case PRINCIPAL_USERS:
		return id_set_add(&set->users, principal->ids);
	case PRINCIPAL_GROUPS:
		return id_set_add(&set->groups, principal->ids);
	}
	return -EINVAL;
}

void principal_set_finish(struct principal_set *set)
{
	id_set_finish(&set->users);
	id_set_finish(&set->groups);
}

void principal_set_deinit(struct principal_set *set)
{
	free(set->users.ranges);
	free(set->groups.ranges);
	*set = (struct principal_set){ 0 };
}

bool principal_set_has(const struct principal_set *set, const struct drpc_peer *peer)
{
	const gid_t *groups = peer_groups(peer);

	if (set->anyone || id_set_has(&set->users, peer->uid))
		return true;
	if (set->groups.count == 0)
		return false;
	if (id_set_has(&set->groups, peer->gid))
		return true;
	for (size_t i = 0; i < peer->group_count; i++) {
		if (id_set_has(&set->groups, groups[i]))
			return true;
	}
	return false;
}
