/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Naive policy: the grammar and the meaning of policy files (policy/README.md), written a second
 * time, as plainly as can be and without a line of src/access. Receives the text of a file; hands
 * on what it allows. What is written in the file is kept as text and read anew for each question.
 */
#ifndef FUZZ_NAIVE_POLICY_H
#define FUZZ_NAIVE_POLICY_H

#include "fuzz.h"

struct naive_list {
	char **items;
	size_t count;
};

struct naive_rule {
	bool is_deny;
	char *name;
	unsigned line;
	struct naive_list callers;
	struct naive_list methods;
};

struct naive_policy {
	char *name;
	char *id;		   /* of the module */
	uint64_t max_call_size;	   /* 0: no limit */
	uint64_t calls_per_second; /* 0: no limit */
	struct naive_rule *rules;
	size_t rule_count;
};

struct naive_caller {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t group_count;
};

/* A method of the module that a policy is held against. */
struct naive_method {
	int32_t id;
	const char *name;
};

/* The accounts that there are for a harness: no system file is asked. False: no such account. */
bool naive_account(const char *name, bool is_group, uint32_t *ret_id);

/* NULL: nothing that a policy file may be; *ret_why says why. The caller frees it with
 * naive_free(). */
struct naive_policy *naive_parse(const char *text, size_t size, const char **ret_why);
void naive_free(struct naive_policy *policy);

/* Whether the policy is this module's, and all that it lists are methods of it, each once in a
 * rule. */
bool naive_fits(const struct naive_policy *policy, const char *name, int32_t id,
	const struct naive_method *methods, size_t method_count);

/* Whether the file lists a method by name. */
bool naive_has_names(const struct naive_policy *policy);

/* Whether one rule is about this question. @methods: where names are looked up. */
bool naive_matches(const struct naive_rule *rule, const struct naive_caller *caller, int32_t method,
	const struct naive_method *methods, size_t method_count);

/* Whether the policy allows it: an allow rule matches, and no deny rule does. */
bool naive_allows(const struct naive_policy *policy, const struct naive_caller *caller,
	int32_t method, const struct naive_method *methods, size_t method_count);

/* The numbers that a rule's callers begin and end with. Returns how many, at most @max. */
size_t naive_edges(const struct naive_policy *policy, uint32_t *ids, size_t max);

/* The methods that the policy lists, as numbers. Returns how many, at most @max. */
size_t naive_listed(const struct naive_policy *policy, const struct naive_method *methods,
	size_t method_count, int32_t *ids, size_t max);

#endif
