/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module: receives a policy; finds the shared object of its module, under the same trust checks as
 * the server's, and binds the policy to it, so that names of methods mean what they mean to the
 * server.
 */
#ifndef DRPCCTL_MODULE_H
#define DRPCCTL_MODULE_H

#include <drpc/module.h>
#include <drpc/policy.h>
#include <drpc/problems.h>

struct loaded_module {
	void *handle;			  /* NULL: nothing is loaded */
	const struct drpc_module *module; /* lives as long as the handle */
	char *path;			  /* of the shared object; or where it was looked for */
};

/*
 * Load the module of a policy and bind the policy to it.
 * @directory: where to look; NULL: in ../modules beside the program's directory, then in the
 * installed module directory
 * @module: module_unload() it in any case
 *
 * Returns 0, -ENOENT: there is no such shared object (or the policy names none), @module->path says
 * where it was looked for; -EINVAL: @problems says what is wrong with the module or the policy; or
 * -ENOMEM.
 */
int module_bind(const char *directory, struct drpc_policy *policy, struct drpc_problems *problems,
	struct loaded_module *module);

void module_unload(struct loaded_module *module);

#endif
