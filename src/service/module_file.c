/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module file: a shared object to a module. The file and every directory on its way are judged
 * first: only root and the effective user could have written them, or could put another file there
 * before the loader opens it by its name. (The loader takes a descriptor's name, /proc/self/fd/N,
 * for a library that it has loaded already once N is used again, so it cannot be given what was
 * opened.)
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <drpc/service.h>

#include "util/cleanup.h"
#include "util/trusted_file.h"

static int check_symbol(const char *path, void *handle, struct drpc_problems *problems,
	const struct drpc_module **ret_module)
{
	const struct drpc_module *module = dlsym(handle, DRPC_MODULE_SYMBOL);

	if (module == NULL) {
		drpc_problems_add(problems, path, 0,
			"it has no symbol %s; define one with DRPC_MODULE = { ... };",
			DRPC_MODULE_SYMBOL);
		return -EINVAL;
	}
	if (module->abi != DRPC_MODULE_ABI) {
		drpc_problems_add(problems, path, 0,
			"its ABI version is %u, this drpc's is %d; build it against these headers",
			module->abi, DRPC_MODULE_ABI);
		return -EINVAL;
	}
	*ret_module = module;
	return 0;
}

static int load(const char *path, struct drpc_problems *problems, void **ret_handle,
	const struct drpc_module **ret_module)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int r;

	if (handle == NULL) {
		drpc_problems_add(problems, path, 0, "it cannot be loaded: %s", dlerror());
		return -EINVAL;
	}
	r = check_symbol(path, handle, problems, ret_module);
	if (r < 0) {
		dlclose(handle);
		return r;
	}
	*ret_handle = handle;
	return 0;
}

int drpc_module_load(const char *directory, const char *library, struct drpc_problems *problems,
	void **ret_handle, const struct drpc_module **ret_module)
{
	AUTO_CLOSE int parent = -1;
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;

	if (strchr(library, '/') != NULL || library[0] == '\0') {
		drpc_problems_add(problems, NULL, 0,
			"module library \"%s\": give a file name without a slash", library);
		return -EINVAL;
	}
	if (asprintf(&path, "%s/%s", directory, library) < 0)
		return -ENOMEM;
	parent = trusted_directory_open(directory, problems);
	if (parent < 0)
		return parent;
	fd = trusted_file_open_at(parent, library, path, problems);
	if (fd < 0)
		return fd;
	return load(path, problems, ret_handle, ret_module);
}
