/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy loading: receives paths; hands on policies that were read from files nobody else can
 * write, one or a directory of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/policy_file.h"
#include "util/cleanup.h"
#include "util/trusted_file.h"

#define SUFFIX ".policy"

struct drpc_policies {
	struct drpc_policy **items;
	size_t count;
};

/* What is being loaded from a directory. */
struct loader {
	const char *directory;
	int fd;
	struct drpc_problems *problems;
	struct drpc_policies *policies;
};

/* Takes the descriptor over. */
static int load_open_file(
	int file, const char *path, struct drpc_problems *problems, struct drpc_policy **ret_policy)
{
	AUTO_CLOSE int fd = file;
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	int r;

	if (fd < 0)
		return fd;
	r = trusted_file_read(fd, path, POLICY_FILE_MAX_BYTES, problems, &text, &size);
	return r < 0 ? r : drpc_policy_parse(path, text, size, problems, ret_policy);
}

int drpc_policy_load(
	const char *path, struct drpc_problems *problems, struct drpc_policy **ret_policy)
{
	return load_open_file(trusted_file_open(path, problems), path, problems, ret_policy);
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int add_name(char ***names, size_t *count, const char *name)
{
	char **grown = reallocarray(*names, *count + 1, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	*names = grown;
	grown[*count] = strdup(name);
	if (grown[*count] == NULL)
		return -ENOMEM;
	(*count)++;
	return 0;
}

static bool is_policy(const char *name)
{
	size_t length = strlen(name);

	return length >= strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int read_names(DIR *stream, char ***names, size_t *count)
{
	struct dirent *entry;

	errno = 0;
	while ((entry = readdir(stream)) != NULL) {
		if (is_policy(entry->d_name) && add_name(names, count, entry->d_name) < 0)
			return -ENOMEM;
		errno = 0;
	}
	return -errno;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the policy files in a directory, sorted, also of those that will be refused. */
static int list_names(const struct loader *loader, char ***ret_names, size_t *ret_count)
{
	AUTO_CLOSE int fd = openat(loader->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t count = 0;
	int r;

	if (stream == NULL)
		return errno == ENOMEM ? -ENOMEM : -errno;
	(void)take_fd(&fd); /* the stream's now */
	r = read_names(stream, &names, &count);
	closedir(stream);
	if (r < 0) {
		free_names(names, count);
		return r;
	}
	if (count > 1)
		qsort(names, count, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

/* One module, one file: else it would depend on the order of names who may call. */
static int check_others(const struct loader *loader, const struct drpc_policy *policy)
{
	int r = 0;

	for (size_t i = 0; i < loader->policies->count; i++) {
		const struct drpc_policy *other = loader->policies->items[i];

		if (strcmp(other->module_name, policy->module_name) == 0) {
			drpc_problems_add(loader->problems, policy->file, policy->module_name_line,
				"module name %s is also in %s:%u; remove one of the files",
				policy->module_name, other->file, other->module_name_line);
			r = -EINVAL;
		}
		if (other->module_id == policy->module_id) {
			drpc_problems_add(loader->problems, policy->file, policy->module_id_line,
				"module id %d is also in %s:%u; an id has one module",
				policy->module_id, other->file, other->module_id_line);
			r = -EINVAL;
		}
	}
	return r;
}

static int load_named(struct loader *loader, const char *name)
{
	AUTO_FREE char *path = NULL;
	struct drpc_policy *policy = NULL;
	int r;

	if (asprintf(&path, "%s/%s", loader->directory, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (name[0] == '.') {
		drpc_problems_add(loader->problems, path, 0,
			"a hidden policy file; rename it, or remove it if an editor left it");
		return -EINVAL;
	}
	r = load_open_file(trusted_file_open_at(loader->fd, name, path, loader->problems), path,
		loader->problems, &policy);
	if (r < 0)
		return r;
	r = check_others(loader, policy);
	loader->policies->items[loader->policies->count++] = policy;
	return r;
}

static int load_names(struct loader *loader, char **names, size_t count)
{
	int result = 0;

	loader->policies->items = calloc(count + 1, sizeof(struct drpc_policy *));
	if (loader->policies->items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = load_named(loader, names[i]);

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			result = r;
	}
	return result;
}

static int load_directory(struct loader *loader)
{
	char **names = NULL;
	size_t count = 0;
	int r = list_names(loader, &names, &count);

	if (r < 0 && r != -ENOMEM) {
		drpc_problems_add(loader->problems, loader->directory, 0, "%s", strerror(-r));
		return -EINVAL;
	}
	if (r == 0)
		r = load_names(loader, names, count);
	free_names(names, count);
	return r;
}

/* "policy/" and "policy" are the same to read in a message. */
static char *without_slashes(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	return strndup(path, length);
}

int drpc_policies_load(
	const char *directory, struct drpc_problems *problems, struct drpc_policies **ret_policies)
{
	AUTO_FREE char *path = without_slashes(directory);
	AUTO_CLOSE int fd = trusted_directory_open(directory, problems);
	struct loader loader = { .directory = path, .fd = fd, .problems = problems };
	int r;

	if (fd < 0)
		return fd;
	loader.policies = calloc(1, sizeof(*loader.policies));
	if (loader.policies == NULL || path == NULL) {
		free(loader.policies);
		return -ENOMEM;
	}
	r = load_directory(&loader);
	if (r < 0) {
		drpc_policies_free(loader.policies);
		return r;
	}
	*ret_policies = loader.policies;
	return 0;
}

void drpc_policies_free(struct drpc_policies *policies)
{
	if (policies == NULL)
		return;
	for (size_t i = 0; i < policies->count; i++)
		drpc_policy_free(policies->items[i]);
	free(policies->items);
	free(policies);
}

size_t drpc_policies_count(const struct drpc_policies *policies)
{
	return policies->count;
}

struct drpc_policy *drpc_policies_get(const struct drpc_policies *policies, size_t index)
{
	return index < policies->count ? policies->items[index] : NULL;
}
