/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Principal: whom a rule means. Receives the items of a `callers` list as they are written; hands
 * on sets of uids and gids that answer "is this peer meant" without looking anything up.
 */
#ifndef ACCESS_PRINCIPAL_H
#define ACCESS_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/peer.h"

/* How names become numbers. Each returns 0, -ENOENT: no such account, or another negative errno. */
struct principal_names {
	int (*user)(void *data, const char *name, uint32_t *ret_uid);
	int (*group)(void *data, const char *name, uint32_t *ret_gid);
	void *data;
};

/* The accounts of this system: getpwnam_r(3) and getgrnam_r(3). */
extern const struct principal_names principal_accounts;

struct id_range {
	uint32_t first;
	uint32_t last; /* inclusive */
};

/* Which ids one item means. The zero value is no valid kind. */
enum principal_kind { PRINCIPAL_USERS = 1, PRINCIPAL_GROUPS, PRINCIPAL_ANYONE };

struct principal {
	enum principal_kind kind;
	struct id_range ids; /* not of PRINCIPAL_ANYONE */
};

/*
 * One item: "alice", "1000", "2000-2999", the same after '%' for groups, or "*".
 * Returns 0; -EINVAL or -ENOENT: *ret_fault says in static words what is wrong and what to write;
 * or another negative errno: the accounts could not be asked.
 */
int principal_parse(const char *item, const struct principal_names *names,
	struct principal *ret_principal, const char **ret_fault);

struct id_set {
	struct id_range
		*ranges; /* sorted and apart from one another once principal_set_finish() ran */
	size_t count;
	size_t capacity;
};

struct principal_set {
	bool anyone;
	struct id_set users;
	struct id_set groups;
};

/* Returns 0 or -ENOMEM. */
int principal_set_add(struct principal_set *set, const struct principal *principal);

/* Sort and merge. After the last addition, before the first question. */
void principal_set_finish(struct principal_set *set);

void principal_set_deinit(struct principal_set *set);

/* Pure, and quick: every call asks. */
bool principal_set_has(const struct principal_set *set, const struct drpc_peer *peer);

#endif
