/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * drpcctl policy check: receives paths of policy files and directories of them; prints all that is
 * wrong with them, and a line for each that is right.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <drpc/policy.h>

#include "drpcctl/command.h"
#include "drpcctl/module.h"
#include "drpcctl/text.h"
#include "util/cleanup.h"

/* What one path gave: a policy, or a directory's set of them. */
struct source {
	struct drpc_policy *policy;
	struct drpc_policies *policies;
};

/* One policy and what came of it. */
struct checked {
	struct drpc_policy *policy;
	bool methods_checked;
	bool is_right;
	char *module_path;
};

struct check {
	const char *module_directory;
	bool json;
	struct drpc_problems *problems;
	struct source *sources;
	size_t source_count;
	struct checked *items;
	size_t count;
};

static const char help[] =
	"drpcctl policy check - say what is wrong with policy files\n\n"
	"Usage: drpcctl policy check [OPTION]... PATH...\n\n"
	"Reads each file, and each *.policy of each directory, as the server does: with its checks of\n"
	"who owns and may write them, and that no two are for one module. Names of methods are\n"
	"checked too where the module's shared object is found. Needs no server and no root.\n\n"
	"Options:\n"
	"  --module-dir DIR  where modules are; else ../modules or\n"
	"                    ../lib/drpc/modules beside this program's directory, then\n"
	"                    " DRPC_MODULE_DIR "\n"
	"  --json            one JSON object\n"
	"  --help            this text\n\n"
	"Exit: 0 all are right; 1 something is wrong; 2 the command line is wrong; 3 the system failed.\n";

static size_t source_size(const struct source *source)
{
	if (source->policy != NULL)
		return 1;
	return source->policies == NULL ? 0 : drpc_policies_count(source->policies);
}

static struct drpc_policy *source_get(const struct source *source, size_t index)
{
	return source->policy != NULL ? source->policy : drpc_policies_get(source->policies, index);
}

/* One that serves nothing is wrong for the server too. */
static int load_directory(struct check *check, const char *path, struct source *source)
{
	int r = drpc_policies_load(path, check->problems, &source->policies);

	if (r == 0 && source_size(source) == 0)
		drpc_problems_add(check->problems, path, 0,
			"there is no .policy file, so nothing would be served; write one");
	return r;
}

static int load_path(struct check *check, const char *path, struct source *source)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return load_directory(check, path, source);
	return drpc_policy_load(path, check->problems, &source->policy);
}

static int load_paths(struct check *check, char **paths, size_t count)
{
	size_t total = 0;

	check->sources = calloc(count, sizeof(*check->sources));
	if (check->sources == NULL)
		return -ENOMEM;
	check->source_count = count;
	for (size_t i = 0; i < count; i++) {
		if (load_path(check, paths[i], &check->sources[i]) == -ENOMEM)
			return -ENOMEM;
		total += source_size(&check->sources[i]);
	}
	check->items = calloc(total + 1, sizeof(*check->items));
	if (check->items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < source_size(&check->sources[i]); j++)
			check->items[check->count++].policy = source_get(&check->sources[i], j);
	}
	return 0;
}

/* Two files given one by one may be for one module as two of a directory may. */
static bool check_others(struct check *check, size_t index)
{
	const struct drpc_policy *policy = check->items[index].policy;
	bool is_right = true;

	for (size_t i = 0; i < index; i++) {
		const struct drpc_policy *other = check->items[i].policy;

		if (strcmp(drpc_policy_module_name(other), drpc_policy_module_name(policy)) != 0 &&
			drpc_policy_module_id(other) != drpc_policy_module_id(policy))
			continue;
		drpc_problems_add(check->problems, drpc_policy_file(policy), 0,
			"module %s (id %d) has the name or the id of %s's module; one module, one file",
			drpc_policy_module_name(policy), drpc_policy_module_id(policy),
			drpc_policy_file(other));
		is_right = false;
	}
	return is_right;
}

static int check_module(struct check *check, struct checked *item)
{
	struct loaded_module module;
	int r = module_bind(check->module_directory, item->policy, check->problems, &module);

	item->methods_checked = r != -ENOENT;
	if (r == -EINVAL)
		item->is_right = false;
	item->module_path = take_ptr(module.path);
	module_unload(&module);
	return r == -ENOMEM ? r : 0;
}

static int check_all(struct check *check, char **paths, size_t count)
{
	int r = load_paths(check, paths, count);

	for (size_t i = 0; i < check->count && r == 0; i++) {
		check->items[i].is_right = check_others(check, i);
		r = check_module(check, &check->items[i]);
	}
	return r;
}

static void print_item(const struct checked *item)
{
	const struct drpc_policy *policy = item->policy;

	if (!item->is_right)
		return;
	printf("%s: ok: module %s, id %d; ", drpc_policy_file(policy),
		drpc_policy_module_name(policy), drpc_policy_module_id(policy));
	if (item->methods_checked)
		printf("methods checked in %s\n", item->module_path);
	else if (item->module_path != NULL)
		printf("methods not checked: there is no %s; use --module-dir\n",
			item->module_path);
	else
		printf("methods not checked: no library is named, which only an embedded server takes\n");
}

static void print_item_json(const struct checked *item)
{
	const struct drpc_policy *policy = item->policy;

	fputs("{\"file\":", stdout);
	print_json(drpc_policy_file(policy));
	fputs(",\"module\":", stdout);
	print_json(drpc_policy_module_name(policy));
	printf(",\"id\":%d,\"ok\":%s,\"methods_checked\":%s}", drpc_policy_module_id(policy),
		item->is_right ? "true" : "false", item->methods_checked ? "true" : "false");
}

static void print_answer(const struct check *check)
{
	if (!check->json) {
		print_problems(check->problems);
		for (size_t i = 0; i < check->count; i++)
			print_item(&check->items[i]);
		return;
	}
	printf("{\"ok\":%s,\"policies\":[",
		drpc_problems_count(check->problems) == 0 ? "true" : "false");
	for (size_t i = 0; i < check->count; i++) {
		fputs(i == 0 ? "" : ",", stdout);
		print_item_json(&check->items[i]);
	}
	fputs("],\"problems\":", stdout);
	print_json_problems(check->problems);
	puts("}");
}

static void check_deinit(struct check *check)
{
	for (size_t i = 0; i < check->count; i++)
		free(check->items[i].module_path);
	for (size_t i = 0; i < check->source_count; i++) {
		drpc_policy_free(check->sources[i].policy);
		drpc_policies_free(check->sources[i].policies);
	}
	free(check->items);
	free(check->sources);
	drpc_problems_free(check->problems);
}

static int check_and_print(struct check *check, char **paths, size_t count)
{
	int r;

	check->problems = drpc_problems_new();
	r = check->problems == NULL ? -ENOMEM : check_all(check, paths, count);
	if (r < 0)
		return trouble("drpcctl policy check", "%s", strerror(-r));
	print_answer(check);
	return drpc_problems_count(check->problems) == 0 ? EXIT_DONE : EXIT_NO;
}

int command_policy_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "module-dir", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct check check = { 0 };
	int option, code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'm') {
			check.module_directory = optarg;
		} else if (option == 'j') {
			check.json = true;
		} else if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		} else {
			return usage_error(argv[0], "wrong option");
		}
	}
	if (optind == argc)
		return usage_error(argv[0], "no policy file and no directory given");
	code = check_and_print(&check, argv + optind, (size_t)(argc - optind));
	check_deinit(&check);
	return code;
}
