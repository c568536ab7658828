/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy binding: receives a policy and the module that it is for; hands on the same policy with
 * its method names turned into ids, or what in it is not the module's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/module.h>

#include "access/policy.h"
#include "util/cleanup.h"

static const struct drpc_method *find_method(
	const struct drpc_module *module, const struct policy_method *wanted)
{
	for (size_t i = 0; i < module->method_count; i++) {
		const struct drpc_method *method = &module->methods[i];

		if (wanted->name == NULL && method->id == wanted->id)
			return method;
		if (wanted->name != NULL && method->name != NULL &&
			strcmp(method->name, wanted->name) == 0)
			return method;
	}
	return NULL;
}

static const char *name_text(const char *name)
{
	return name == NULL ? "?" : name;
}

/* What the module has, for a person to choose from: "greeting (0), farewell (1)". NULL: no memory.
 */
static char *list_methods(const struct drpc_module *module)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	for (size_t i = 0; i < module->method_count; i++)
		fprintf(stream, "%s%s (%d)", i == 0 ? "" : ", ", name_text(module->methods[i].name),
			module->methods[i].id);
	if (fclose(stream) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int refuse_method(const struct drpc_policy *policy, const struct policy_method *method,
	const struct drpc_module *module, struct drpc_problems *problems)
{
	AUTO_FREE char *has = list_methods(module);
	char id[16];

	snprintf(id, sizeof(id), "%d", method->id);
	drpc_problems_add(problems, policy->file, method->line,
		"module %s has no method %s; it has: %s", name_text(module->name),
		method->name != NULL ? method->name : id, has == NULL ? "?" : has);
	return -EINVAL;
}

/* Fill in the ids of names. The rule's sorted ids stay as they are until all is well. */
static int bind_methods(const struct drpc_policy *policy, struct policy_rule *rule,
	const struct drpc_module *module, struct drpc_problems *problems)
{
	int r = 0;

	for (size_t i = 0; i < rule->method_count; i++) {
		struct policy_method *method = &rule->methods[i];
		const struct drpc_method *found = find_method(module, method);

		if (found == NULL)
			r = refuse_method(policy, method, module, problems);
		else
			method->id = found->id;
	}
	return r;
}

/* A method listed by name and by id shows only once both are known. */
static int bind_duplicates(const struct drpc_policy *policy, const struct policy_rule *rule,
	struct drpc_problems *problems)
{
	for (size_t i = 1; i < rule->method_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (rule->methods[i].id != rule->methods[j].id)
				continue;
			drpc_problems_add(problems, policy->file, rule->methods[i].line,
				"method %d is listed twice, by name and by id; remove one",
				rule->methods[i].id);
			return -EINVAL;
		}
	}
	return 0;
}

static int bind_identity(const struct drpc_policy *policy, const struct drpc_module *module,
	struct drpc_problems *problems)
{
	int r = 0;

	if (module->name == NULL || strcmp(policy->module_name, module->name) != 0) {
		drpc_problems_add(problems, policy->file, policy->module_name_line,
			"the module's name is not %s but %s; change one of the two",
			policy->module_name, name_text(module->name));
		r = -EINVAL;
	}
	if (policy->module_id != module->id) {
		drpc_problems_add(problems, policy->file, policy->module_id_line,
			"the module's id is not %d but %d; change one of the two",
			policy->module_id, module->id);
		r = -EINVAL;
	}
	return r;
}

int drpc_policy_bind(struct drpc_policy *policy, const struct drpc_module *module,
	struct drpc_problems *problems)
{
	int r = bind_identity(policy, module, problems);

	for (size_t i = 0; i < policy->rule_count; i++) {
		if (bind_methods(policy, &policy->rules[i], module, problems) < 0 ||
			bind_duplicates(policy, &policy->rules[i], problems) < 0)
			r = -EINVAL;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < policy->rule_count; i++)
		policy_rule_sort(&policy->rules[i], true);
	policy->unbound = false;
	return 0;
}
