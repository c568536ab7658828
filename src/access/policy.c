/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy: receives a question (peer, method); hands on a verdict with the rule that gave it. Pure:
 * no I/O, no clock, no globals. What is not allowed by a rule is denied, and so is everything that
 * is in doubt.
 */
#include "access/policy.h"

#include <errno.h>
#include <stdlib.h>

static bool rule_has_method(const struct policy_rule *rule, int32_t method)
{
	size_t low = 0, high = rule->id_count;

	if (rule->every_method)
		return true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rule->ids[middle] == method)
			return true;
		if (rule->ids[middle] < method)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static struct drpc_verdict verdict_of(
	const struct drpc_policy *policy, const struct policy_rule *rule, const char *reason)
{
	return (struct drpc_verdict){
		.decision = rule->kind,
		.rule = rule->name,
		.file = policy->file,
		.line = rule->line,
		.reason = reason,
	};
}

struct drpc_verdict drpc_policy_judge(
	const struct drpc_policy *policy, const struct drpc_peer *peer, int32_t method)
{
	struct drpc_verdict none = { .decision = DRPC_DENY, .reason = "no rule allows" };
	const struct policy_rule *allowed_by = NULL;

	if (policy == NULL || peer == NULL) {
		none.reason =
			policy == NULL ? "the module has no policy" : "the caller is not known";
		return none;
	}
	none.file = policy->file;
	if (policy->unbound) {
		none.reason = "the policy's methods were not looked up in the module yet";
		return none;
	}
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (rule->kind == DRPC_ALLOW && allowed_by != NULL)
			continue;
		if (!rule_has_method(rule, method) || !principal_set_has(&rule->callers, peer))
			continue;
		if (rule->kind == DRPC_DENY)
			return verdict_of(policy, rule, "denied by a rule");
		allowed_by = rule;
	}
	return allowed_by == NULL ? none : verdict_of(policy, allowed_by, "allowed");
}

/* A deny rule of every method ends the question; one that lists some leaves others, ids being many.
 */
bool drpc_policy_could_allow(const struct drpc_policy *policy, const struct drpc_peer *peer)
{
	bool allows_every = false, allows_one = false;

	if (policy == NULL || peer == NULL || policy->unbound)
		return false;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (!principal_set_has(&rule->callers, peer))
			continue;
		if (rule->kind == DRPC_DENY && rule->every_method)
			return false;
		if (rule->kind == DRPC_DENY)
			continue;
		allows_every = allows_every || rule->every_method;
		for (size_t j = 0; j < rule->id_count && !allows_one && !allows_every; j++)
			allows_one = drpc_policy_judge(policy, peer, rule->ids[j]).decision ==
				     DRPC_ALLOW;
	}
	return allows_every || allows_one;
}

int drpc_policy_rule(const struct drpc_policy *policy, size_t index, const struct drpc_peer *peer,
	int32_t method, struct drpc_rule_match *ret_match)
{
	const struct policy_rule *rule;

	if (policy == NULL || index >= policy->rule_count)
		return -ENOENT;
	rule = &policy->rules[index];
	*ret_match = (struct drpc_rule_match){
		.kind = rule->kind,
		.rule = rule->name,
		.line = rule->line,
		.caller_matches = principal_set_has(&rule->callers, peer),
		.method_matches = rule_has_method(rule, method),
		.callers = rule->callers_text,
		.methods = rule->methods_text,
	};
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

void policy_rule_sort(struct policy_rule *rule, bool bound)
{
	rule->id_count = 0;
	for (size_t i = 0; i < rule->method_count; i++) {
		if (bound || rule->methods[i].name == NULL)
			rule->ids[rule->id_count++] = rule->methods[i].id;
	}
	if (rule->id_count > 1)
		qsort(rule->ids, rule->id_count, sizeof(*rule->ids), compare_ids);
}

void policy_rule_deinit(struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->method_count; i++)
		free(rule->methods[i].name);
	free(rule->methods);
	free(rule->ids);
	free(rule->name);
	free(rule->callers_text);
	free(rule->methods_text);
	principal_set_deinit(&rule->callers);
}

void drpc_policy_free(struct drpc_policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->rule_count; i++)
		policy_rule_deinit(&policy->rules[i]);
	free(policy->rules);
	free(policy->file);
	free(policy->module_name);
	free(policy->library);
	text_list_deinit(&policy->method_names);
	text_list_deinit(&policy->system_calls);
	text_list_deinit(&policy->capabilities);
	text_list_deinit(&policy->read_paths);
	text_list_deinit(&policy->write_paths);
	free(policy);
}

const char *drpc_policy_file(const struct drpc_policy *policy)
{
	return policy->file;
}

const char *drpc_policy_module_name(const struct drpc_policy *policy)
{
	return policy->module_name;
}

int32_t drpc_policy_module_id(const struct drpc_policy *policy)
{
	return policy->module_id;
}

const char *drpc_policy_library(const struct drpc_policy *policy)
{
	return policy->library;
}

const struct drpc_policy_limits *drpc_policy_limits(const struct drpc_policy *policy)
{
	return &policy->limits;
}

const struct drpc_policy_needs *drpc_policy_needs(const struct drpc_policy *policy)
{
	return &policy->needs;
}

const char *drpc_policy_method_name(const struct drpc_policy *policy, size_t index)
{
	return index < policy->method_names.count ? policy->method_names.items[index] : NULL;
}
