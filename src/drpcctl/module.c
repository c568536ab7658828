/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module: receives a policy; finds the shared object of its module and binds the policy to it.
 */
#include "drpcctl/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drpc/service.h>

#include "util/cleanup.h"

/* @place below the directory that holds the one that this program is in. */
static int beside_program(const char *place, char path[static PATH_MAX])
{
	size_t size = strlen(place) + 1;
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash = NULL;

	if (length < 0)
		return -errno;
	path[length] = '\0';
	for (int i = 0; i < 2; i++) {
		slash = strrchr(path, '/');
		if (slash == NULL)
			return -ENOENT;
		*slash = '\0';
	}
	if ((size_t)(slash - path) + size > PATH_MAX)
		return -ENOENT;
	memcpy(slash, place, size);
	return 0;
}

/* Whether there is such a file at all: whether it may be trusted is judged when it is opened. */
static int try_directory(const char *directory, const char *library, struct loaded_module *module)
{
	free(module->path);
	module->path = NULL;
	if (asprintf(&module->path, "%s/%s", directory, library) < 0) {
		module->path = NULL;
		return -ENOMEM;
	}
	return access(module->path, F_OK) == 0 ? 0 : -ENOENT;
}

/* Where modules are in a build tree and in an installation, wherever either was put. */
static const char *const beside[] = { "/modules", "/" DRPC_MODULE_SUBDIR };

static int find_beside(
	const char *library, struct loaded_module *module, char found[static PATH_MAX])
{
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		int r = beside_program(beside[i], found);

		if (r == 0)
			r = try_directory(found, library, module);
		if (r == 0 || r == -ENOMEM)
			return r;
	}
	return -ENOENT;
}

static int find(const char *directory, const char *library, struct loaded_module *module,
	char found[static PATH_MAX])
{
	if (directory == NULL) {
		int r = find_beside(library, module, found);

		if (r == 0 || r == -ENOMEM)
			return r;
		directory = DRPC_MODULE_DIR;
	}
	if (strlen(directory) >= PATH_MAX)
		return -ENOENT;
	memcpy(found, directory, strlen(directory) + 1);
	return try_directory(directory, library, module);
}

int module_bind(const char *directory, struct drpc_policy *policy, struct drpc_problems *problems,
	struct loaded_module *module)
{
	const char *library = drpc_policy_library(policy);
	char found[PATH_MAX];
	int r;

	*module = (struct loaded_module){ 0 };
	if (library == NULL)
		return -ENOENT;
	r = find(directory, library, module, found);
	if (r < 0)
		return r;
	r = drpc_module_load(found, library, problems, &module->handle, &module->module);
	return r < 0 ? r : drpc_policy_bind(policy, module->module, problems);
}

void module_unload(struct loaded_module *module)
{
	if (module->handle != NULL)
		dlclose(module->handle);
	free(module->path);
	*module = (struct loaded_module){ 0 };
}
