/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy: one module's policy as it is held in memory. policy_file.c makes it; policy.c answers
 * from it.
 */
#ifndef ACCESS_POLICY_H
#define ACCESS_POLICY_H

#include <drpc/policy.h>

#include "access/principal.h"
#include "access/text_list.h"

/* Bounds of a file, so that what a call costs has one too. */
#define POLICY_RULES_MAX 1024
#define POLICY_ITEMS_MAX 1024 /* of one list; and as many different names of methods */

/* A method as a rule lists it. */
struct policy_method {
	char *name; /* NULL: listed by id */
	int32_t id; /* of a name: once it is bound */
	unsigned line;
};

struct policy_rule {
	enum drpc_decision kind;
	char *name;
	unsigned line;
	struct principal_set callers;
	bool every_method;
	struct policy_method *methods; /* as listed */
	size_t method_count;
	size_t method_capacity;
	int32_t *ids; /* sorted, with room for method_count */
	size_t id_count;
	char *callers_text;
	char *methods_text;
};

struct drpc_policy {
	char *file;
	char *module_name;
	unsigned module_name_line;
	int32_t module_id;
	unsigned module_id_line;
	char *library; /* NULL: none */
	struct policy_rule *rules;
	size_t rule_count;
	size_t rule_capacity;
	bool unbound; /* a rule names a method whose id is not known: everything is denied */
	struct text_list method_names;
	struct drpc_policy_limits limits;
	struct text_list system_calls, capabilities, read_paths, write_paths;
	struct drpc_policy_needs needs; /* views of the four above */
};

/*
 * Sort the ids of a rule's methods, into room that was made when it was parsed. Names count only
 * once they are bound: until then their ids mean nothing.
 */
void policy_rule_sort(struct policy_rule *rule, bool bound);

void policy_rule_deinit(struct policy_rule *rule);

#endif
