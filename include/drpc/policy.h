/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy: the file that says who may call a module, and the answer to "may they".
 *
 * A call is allowed when an allow rule matches and no deny rule does. Order never matters, and the
 * default is deny. A policy is loaded whole or not at all: every doubt refuses the file. Once
 * loaded it never changes, and any number of threads may ask it. policy/README.md has the grammar.
 */
#ifndef DRPC_POLICY_H
#define DRPC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drpc/peer.h>
#include <drpc/problems.h>

#ifdef __cplusplus
extern "C" {
#endif

struct drpc_policy;   /* of one module */
struct drpc_policies; /* of a directory: a policy for each module */
struct drpc_module;

/**
 * drpc_policy_load - read one policy file
 * @path:       a regular file of root's or of the caller's effective user, that nobody else may
 * write, in directories of which the same is true
 * @problems:   gets a line for everything that is wrong
 * @ret_policy: the caller frees it with drpc_policy_free(); untouched on failure
 *
 * Returns 0, -EINVAL: the file is refused, @problems says why (the file), or -ENOMEM. Looks names
 * of users and groups up in the accounts, so not for a thread that must not wait.
 */
int drpc_policy_load(
	const char *path, struct drpc_problems *problems, struct drpc_policy **ret_policy);

/**
 * drpc_policy_parse - the same from memory
 * @file: a name for messages and verdicts
 * @text, @size: bytes; no NUL is needed at the end, and none may be within
 */
int drpc_policy_parse(const char *file, const char *text, size_t size,
	struct drpc_problems *problems, struct drpc_policy **ret_policy);

/** drpc_policy_free - NULL is fine */
void drpc_policy_free(struct drpc_policy *policy);

/**
 * drpc_policies_load - read every *.policy of a directory
 * @ret_policies: the caller frees them with drpc_policies_free(); untouched on failure
 *
 * As drpc_policy_load(); two files with the same module name or id are refused too. A directory
 * with no policy gives an empty set.
 */
int drpc_policies_load(
	const char *directory, struct drpc_problems *problems, struct drpc_policies **ret_policies);

/** drpc_policies_free - also frees each policy that is in it; NULL is fine */
void drpc_policies_free(struct drpc_policies *policies);

size_t drpc_policies_count(const struct drpc_policies *policies);

/** drpc_policies_get - the policy number @index, from 0; the set owns it */
struct drpc_policy *drpc_policies_get(const struct drpc_policies *policies, size_t index);

/* What the file's [module] says. Strings live as long as the policy. */
const char *drpc_policy_file(const struct drpc_policy *policy);
const char *drpc_policy_module_name(const struct drpc_policy *policy);
int32_t drpc_policy_module_id(const struct drpc_policy *policy);
const char *drpc_policy_library(const struct drpc_policy *policy); /* NULL: none named */

/* Limits of a module; 0 is "no limit was set". */
struct drpc_policy_limits {
	uint64_t max_call_size;	   /* bytes of a call's body */
	uint32_t calls_per_second; /* for each caller uid */
	uint32_t concurrent_calls; /* for each caller uid */
};

const struct drpc_policy_limits *drpc_policy_limits(const struct drpc_policy *policy);

/* What the module needs beyond the base sandbox: lists that end with NULL, never NULL themselves.
 */
struct drpc_policy_needs {
	const char *const *system_calls;
	const char *const *capabilities; /* "cap_net_admin" as libcap writes it */
	const char *const *read_paths;
	const char *const *write_paths;
};

const struct drpc_policy_needs *drpc_policy_needs(const struct drpc_policy *policy);

/**
 * drpc_policy_bind - hold a policy against the module that it is for, and look its method names up
 *
 * Until then a policy that names methods allows nothing. Returns 0, or -EINVAL: a name, an id or a
 * method that is not the module's; @problems says where and what to write, and the policy judges as
 * before. Before the policy is used.
 */
int drpc_policy_bind(struct drpc_policy *policy, const struct drpc_module *module,
	struct drpc_problems *problems);

/* The zero value is the safe one. */
enum drpc_decision { DRPC_DENY = 0, DRPC_ALLOW = 1 };

/* What a policy says. Strings live as long as the policy. */
struct drpc_verdict {
	enum drpc_decision decision;
	const char *rule;   /* the rule that decided; NULL: none did */
	const char *file;   /* the policy's file; NULL: there is none */
	unsigned line;	    /* of the rule; 0 when there is none */
	const char *reason; /* in words: "allowed", "denied by a rule", "no rule allows" */
};

/**
 * drpc_policy_judge - may this peer call this method?
 * @policy: NULL denies
 * @method: the method's number, whether or not the module has such a method
 *
 * Pure; any thread. The one function that decides: the server and "explain" both ask it.
 */
struct drpc_verdict drpc_policy_judge(
	const struct drpc_policy *policy, const struct drpc_peer *peer, int32_t method);

/**
 * drpc_policy_could_allow - is there a method of the module that this peer may call?
 */
bool drpc_policy_could_allow(const struct drpc_policy *policy, const struct drpc_peer *peer);

/* One rule held against one question, for explanations. */
struct drpc_rule_match {
	enum drpc_decision kind; /* what the rule does when it matches */
	const char *rule;
	unsigned line;
	bool caller_matches;
	bool method_matches;
	const char *callers; /* what the rule lists, "root, 1000-2999"; both live as long as the
				policy */
	const char *methods; /* "greeting, 7", or "*" */
};

/**
 * drpc_policy_rule - hold rule number @index, from 0, in the order of the file, against a question
 *
 * Returns 0, or -ENOENT: there is no such rule.
 */
int drpc_policy_rule(const struct drpc_policy *policy, size_t index, const struct drpc_peer *peer,
	int32_t method, struct drpc_rule_match *ret_match);

/**
 * drpc_policy_method_name - name number @index, from 0, of the method names that the file uses
 *
 * For tools that have the file but not the module. Returns NULL past the last one.
 */
const char *drpc_policy_method_name(const struct drpc_policy *policy, size_t index);

#ifdef __cplusplus
}
#endif

#endif
