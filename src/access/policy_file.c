/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Policy file: receives the text of a file as INI events; hands on a policy, or all that is wrong
 * with the text. Two tables say which sections and keys there are. A key's items go through one
 * path: split, counted, held against their duplicates, then taken by the key's own function.
 */
#include "access/policy_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/suggest.h"
#include "sandbox/capabilities.h"
#include "sandbox/syscalls.h"
#include "util/cleanup.h"
#include "util/ini.h"

#define KEYS_MAX     4 /* of one section */
#define SECTIONS_MAX 5
#define BLANKS	     " \t"

struct reader {
	const char *file;
	const struct principal_names *names;
	struct drpc_problems *problems;
	struct drpc_policy *policy; /* as far as it is read */
	bool refused;
	bool out_of_memory;
	bool too_many_rules; /* said so already */

	const struct section
		*section; /* NULL: none yet, or a refused one whose keys are passed over */
	unsigned section_line;
	unsigned section_lines[SECTIONS_MAX]; /* where each stands; 0: not yet */
	unsigned key_lines[KEYS_MAX];	      /* the same for the keys of this section */

	bool has_keys; /* also refused ones */

	const struct key *key; /* NULL: none yet, or a refused one */
	unsigned key_line;
	struct text_list items; /* of this key so far */
};

struct key {
	const char *name;
	const char *separators; /* between the items of a list; NULL: the key takes one value */
	bool required;
	/* One item, or the value. */
	void (*take)(struct reader *reader, unsigned line, const char *item);
	/* The list is complete and in reader->items; NULL: nothing more to do. */
	void (*done)(struct reader *reader);
};

struct section {
	const char *name;
	const struct key *keys;
	size_t key_count;
	bool is_rule; /* [allow NAME]: any number of them */
	enum drpc_decision kind;
};

#define refuse(reader, line, ...)                                                                  \
	do {                                                                                       \
		(reader)->refused = true;                                                          \
		drpc_problems_add((reader)->problems, (reader)->file, (line), __VA_ARGS__);        \
	} while (0)

static struct policy_rule *current_rule(const struct reader *reader)
{
	return &reader->policy->rules[reader->policy->rule_count - 1];
}

static char *copy_text(struct reader *reader, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		reader->out_of_memory = true;
	return copy;
}

/* Letters, digits, '-', '_' and '.', a letter, a digit or '_' first. */
static bool is_name(const char *text)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return text[0] != '\0' && text[0] != '-' && text[0] != '.' &&
	       text[strspn(text, letters)] == '\0';
}

static bool starts_number(const char *text)
{
	return *text == '-' || (*text >= '0' && *text <= '9');
}

/* Decimal digits without a leading zero, up to @max. Moves *text past them. */
static int take_number(const char **text, uint64_t max, uint64_t *ret_number)
{
	const char *at = *text;
	uint64_t number = 0;

	if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9'))
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (max - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	*ret_number = number;
	*text = at;
	return 0;
}

/* An id of a module or a method: any int32, "-0" apart. */
static int parse_int32(const char *text, int32_t *ret_id)
{
	bool negative = *text == '-';
	uint64_t number;

	text += negative;
	if (take_number(&text, (uint64_t)INT32_MAX + negative, &number) < 0 || *text != '\0')
		return -EINVAL;
	if (negative && number == 0)
		return -EINVAL;
	*ret_id = (int32_t)(negative ? -(int64_t)number : (int64_t)number);
	return 0;
}

/* [module] */

static void take_module_name(struct reader *reader, unsigned line, const char *value)
{
	if (!is_name(value) || starts_number(value))
		refuse(reader, line,
			"\"%s\" is no module's name; write letters, digits, '-', '_' and '.', "
			"a letter first",
			value);
	reader->policy->module_name = copy_text(reader, value);
	reader->policy->module_name_line = line;
}

static void take_module_id(struct reader *reader, unsigned line, const char *value)
{
	if (parse_int32(value, &reader->policy->module_id) < 0)
		refuse(reader, line,
			"\"%s\" is no module's id; write a number from -2147483648 to 2147483647",
			value);
	reader->policy->module_id_line = line;
}

static void take_library(struct reader *reader, unsigned line, const char *value)
{
	if (strchr(value, '/') != NULL)
		refuse(reader, line,
			"\"%s\" has a slash; write a file's name, it is looked for in the "
			"module directory",
			value);
	else if (!is_name(value))
		refuse(reader, line,
			"\"%s\" is no library's name; write letters, digits, '-', '_' and '.', "
			"such as hello.so",
			value);
	reader->policy->library = copy_text(reader, value);
}

/* [allow NAME] and [deny NAME] */

static void take_caller(struct reader *reader, unsigned line, const char *item)
{
	struct principal principal;
	const char *fault = "";
	int r = principal_parse(item, reader->names, &principal, &fault);

	if (r == 0)
		r = principal_set_add(&current_rule(reader)->callers, &principal);
	if (r == -ENOMEM)
		reader->out_of_memory = true;
	else if (r == -EINVAL || r == -ENOENT)
		refuse(reader, line, "\"%s\": %s", item, fault);
	else if (r < 0)
		refuse(reader, line, "\"%s\": the accounts could not be asked: %s", item,
			strerror(-r));
}

/* "*" says all there is to say; beside others, one of the two is a mistake. */
static void check_star(struct reader *reader)
{
	if (reader->items.count > 1 && text_list_has(&reader->items, "*"))
		refuse(reader, reader->key_line,
			"%s: \"*\" beside others; write * alone, or only the others",
			reader->key->name);
}

static void finish_callers(struct reader *reader)
{
	struct policy_rule *rule = current_rule(reader);

	check_star(reader);
	principal_set_finish(&rule->callers);
	rule->callers_text = text_list_join(&reader->items);
	if (rule->callers_text == NULL)
		reader->out_of_memory = true;
}

static int add_method(struct policy_rule *rule, struct policy_method method)
{
	if (rule->method_count == rule->method_capacity) {
		size_t capacity = rule->method_capacity == 0 ? 4 : rule->method_capacity * 2;
		struct policy_method *methods =
			reallocarray(rule->methods, capacity, sizeof(*methods));

		if (methods == NULL)
			return -ENOMEM;
		rule->methods = methods;
		rule->method_capacity = capacity;
	}
	rule->methods[rule->method_count++] = method;
	return 0;
}

/* Names that the file uses, each once, for drpc_policy_method_name(). */
static void note_method_name(struct reader *reader, unsigned line, const char *name)
{
	struct text_list *names = &reader->policy->method_names;

	reader->policy->unbound = true;
	if (text_list_has(names, name))
		return;
	if (names->count == POLICY_ITEMS_MAX)
		refuse(reader, line, "more than %d different methods; write * or ids",
			POLICY_ITEMS_MAX);
	else if (text_list_add(names, name) < 0)
		reader->out_of_memory = true;
}

static void take_method(struct reader *reader, unsigned line, const char *item)
{
	struct policy_rule *rule = current_rule(reader);
	struct policy_method method = { .line = line };

	if (strcmp(item, "*") == 0) {
		rule->every_method = true;
		return;
	}
	if (starts_number(item)) {
		if (parse_int32(item, &method.id) < 0)
			refuse(reader, line,
				"\"%s\" is no method's id; write a number from -2147483648 to "
				"2147483647",
				item);
	} else if (is_name(item)) {
		note_method_name(reader, line, item);
		method.name = copy_text(reader, item);
	} else {
		refuse(reader, line,
			"\"%s\" is no method; write names or ids with commas between, or *", item);
	}
	if (add_method(rule, method) < 0) {
		free(method.name);
		reader->out_of_memory = true;
	}
}

static void finish_methods(struct reader *reader)
{
	struct policy_rule *rule = current_rule(reader);

	check_star(reader);
	rule->methods_text = text_list_join(&reader->items);
	rule->ids = calloc(rule->method_count + 1, sizeof(*rule->ids));
	if (rule->methods_text == NULL || rule->ids == NULL) {
		reader->out_of_memory = true;
		return;
	}
	policy_rule_sort(rule, false);
}

/* [limits] */

static uint64_t parse_limit(
	struct reader *reader, unsigned line, const char *value, uint64_t max, const char *cure)
{
	uint64_t limit = 0;

	if (take_number(&value, max, &limit) < 0 || *value != '\0' || limit == 0)
		refuse(reader, line, "%s: %s", reader->key->name, cure);
	return limit;
}

static void take_max_call_size(struct reader *reader, unsigned line, const char *value)
{
	static const char units[] = "KMG";
	static const char cure[] =
		"write bytes, such as 512, 64K, 16M or 1G, more than 0; without the key "
		"there is no limit";
	size_t length = strlen(value);
	const char *unit = length > 0 ? strchr(units, value[length - 1]) : NULL;
	unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
	char digits[INI_LINE_MAX_BYTES + 1];

	memcpy(digits, value, length + 1);
	if (unit != NULL)
		digits[length - 1] = '\0';
	reader->policy->limits.max_call_size =
		parse_limit(reader, line, digits, UINT64_MAX >> shift, cure) << shift;
}

static void take_calls_per_second(struct reader *reader, unsigned line, const char *value)
{
	reader->policy->limits.calls_per_second =
		(uint32_t)parse_limit(reader, line, value, UINT32_MAX,
			"write a number from 1 to 4294967295; without the key there is no limit");
}

static void take_concurrent_calls(struct reader *reader, unsigned line, const char *value)
{
	reader->policy->limits.concurrent_calls =
		(uint32_t)parse_limit(reader, line, value, UINT32_MAX,
			"write a number from 1 to 4294967295; without the key there is no limit");
}

/* [sandbox] */

/* What this kernel and libseccomp know, so that no start fails over what a check let pass. */
static void take_system_call(struct reader *reader, unsigned line, const char *item)
{
	if (!syscalls_exists(item))
		refuse(reader, line,
			"\"%s\" is no system call of this machine; write its name, such as openat",
			item);
}

static void take_capability(struct reader *reader, unsigned line, const char *item)
{
	if (item[strspn(item, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] != '\0' || !capability_exists(item))
		refuse(reader, line,
			"\"%s\" is no capability of this kernel; write its name, such as "
			"CAP_NET_ADMIN",
			item);
}

static bool climbs(const char *path)
{
	for (const char *at = strstr(path, "/.."); at != NULL; at = strstr(at + 1, "/..")) {
		if (at[3] == '/' || at[3] == '\0')
			return true;
	}
	return false;
}

static void take_path(struct reader *reader, unsigned line, const char *item)
{
	if (item[0] != '/' || climbs(item))
		refuse(reader, line, "\"%s\": write an absolute path, from / on and without \"..\"",
			item);
}

static void move_items(struct reader *reader, struct text_list *list)
{
	*list = reader->items;
	reader->items = (struct text_list){ 0 };
}

static void finish_system_calls(struct reader *reader)
{
	move_items(reader, &reader->policy->system_calls);
}

/* As libcap writes them. The names are ASCII: take_capability() saw to it. */
static void finish_capabilities(struct reader *reader)
{
	struct text_list *list = &reader->policy->capabilities;

	move_items(reader, list);
	for (size_t i = 0; i < list->count; i++) {
		for (char *c = list->items[i]; *c != '\0'; c++) {
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
		}
	}
}

static void finish_read_paths(struct reader *reader)
{
	move_items(reader, &reader->policy->read_paths);
}

static void finish_write_paths(struct reader *reader)
{
	move_items(reader, &reader->policy->write_paths);
}

static const struct key module_keys[] = {
	{ "name", NULL, true, take_module_name },
	{ "id", NULL, true, take_module_id },
	{ "library", NULL, false, take_library },
};

static const struct key rule_keys[] = {
	{ "callers", ",", true, take_caller, finish_callers },
	{ "methods", ",", true, take_method, finish_methods },
};

static const struct key limit_keys[] = {
	{ "max-call-size", NULL, false, take_max_call_size },
	{ "calls-per-second", NULL, false, take_calls_per_second },
	{ "concurrent-calls", NULL, false, take_concurrent_calls },
};

static const struct key sandbox_keys[] = {
	{ "system-calls", "," BLANKS, false, take_system_call, finish_system_calls },
	{ "capabilities", "," BLANKS, false, take_capability, finish_capabilities },
	{ "read-paths", ",", false, take_path, finish_read_paths },
	{ "write-paths", ",", false, take_path, finish_write_paths },
};

#define KEYS(keys) keys, ARRAY_SIZE(keys)

static const struct section sections[SECTIONS_MAX] = {
	{ "module", KEYS(module_keys) },
	{ "allow", KEYS(rule_keys), true, DRPC_ALLOW },
	{ "deny", KEYS(rule_keys), true, DRPC_DENY },
	{ "limits", KEYS(limit_keys) },
	{ "sandbox", KEYS(sandbox_keys) },
};

static void take_item(struct reader *reader, unsigned line, const char *item)
{
	if (text_list_has(&reader->items, item)) {
		refuse(reader, line, "\"%s\" is listed twice; remove one", item);
		return;
	}
	if (reader->items.count == POLICY_ITEMS_MAX) {
		refuse(reader, line, "%s lists more than %d; use ranges or groups, or another rule",
			reader->key->name, POLICY_ITEMS_MAX);
		reader->key = NULL; /* said once */
		return;
	}
	if (text_list_add(&reader->items, item) < 0) {
		reader->out_of_memory = true;
		return;
	}
	reader->key->take(reader, line, item);
}

/* The items of one line. A comma may end the line. */
static void take_items(struct reader *reader, unsigned line, const char *value)
{
	const char *at = value + strspn(value, BLANKS);

	while (*at != '\0' && reader->key != NULL && !reader->out_of_memory) {
		size_t size = strcspn(at, reader->key->separators);
		size_t length = size;
		char item[INI_LINE_MAX_BYTES + 1];

		while (length > 0 && strchr(BLANKS, at[length - 1]) != NULL)
			length--;
		memcpy(item, at, length);
		item[length] = '\0';
		if (length == 0)
			refuse(reader, line, "nothing before a comma; remove the comma");
		else
			take_item(reader, line, item);
		at += size;
		at += strspn(at, BLANKS);
		at += *at == ',';
		at += strspn(at, BLANKS);
	}
}

static void close_key(struct reader *reader)
{
	const struct key *key = reader->key;

	if (key != NULL && key->separators != NULL) {
		if (reader->items.count == 0)
			refuse(reader, reader->key_line,
				"%s lists nothing; write at least one, or remove the key",
				key->name);
		else if (key->done != NULL)
			key->done(reader);
	}
	text_list_deinit(&reader->items);
	reader->key = NULL;
}

static void close_section(struct reader *reader)
{
	const struct section *section = reader->section;

	close_key(reader);
	if (section == NULL)
		return;
	if (section->is_rule && !reader->has_keys) {
		refuse(reader, reader->section_line,
			"an empty rule; write callers and methods, or remove it");
		return;
	}
	for (size_t i = 0; i < section->key_count; i++) {
		if (section->keys[i].required && reader->key_lines[i] == 0)
			refuse(reader, reader->section_line, "[%s] without %s; add %s = ...",
				section->name, section->keys[i].name, section->keys[i].name);
	}
}

static bool reserve_rule(struct drpc_policy *policy)
{
	size_t capacity = policy->rule_capacity == 0 ? 4 : policy->rule_capacity * 2;
	struct policy_rule *rules;

	if (policy->rule_count < policy->rule_capacity)
		return true;
	rules = reallocarray(policy->rules, capacity, sizeof(*rules));
	if (rules == NULL)
		return false;
	policy->rules = rules;
	policy->rule_capacity = capacity;
	return true;
}

static void add_rule(
	struct reader *reader, const struct section *section, unsigned line, const char *name)
{
	struct drpc_policy *policy = reader->policy;

	if (!reserve_rule(policy)) {
		reader->out_of_memory = true;
		return;
	}
	policy->rules[policy->rule_count++] = (struct policy_rule){
		.kind = section->kind,
		.name = copy_text(reader, name),
		.line = line,
	};
	reader->section = section;
}

static void open_rule(
	struct reader *reader, const struct section *section, unsigned line, const char *name)
{
	const struct drpc_policy *policy = reader->policy;

	if (!is_name(name)) {
		refuse(reader, line,
			"\"%s\" is no rule's name; write [%s NAME]: one blank, then letters, digits, "
			"'-', '_' and '.'",
			name, section->name);
		return;
	}
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (strcmp(policy->rules[i].name, name) == 0) {
			refuse(reader, line,
				"rule \"%s\" is in line %u already; give this one another name",
				name, policy->rules[i].line);
			return;
		}
	}
	if (policy->rule_count < POLICY_RULES_MAX) {
		add_rule(reader, section, line, name);
	} else if (!reader->too_many_rules) {
		refuse(reader, line, "more than %d rules; list several callers in one",
			POLICY_RULES_MAX);
		reader->too_many_rules = true;
	}
}

/* A section that may stand once. */
static void open_single(struct reader *reader, const struct section *section, unsigned line)
{
	unsigned *first = &reader->section_lines[section - sections];

	if (*first != 0) {
		refuse(reader, line, "[%s] is in line %u already; put its keys there",
			section->name, *first);
		return;
	}
	*first = line;
	reader->section = section;
}

static void refuse_section(struct reader *reader, unsigned line, const char *text, const char *word)
{
	const char *near = suggest(word, sections, SECTIONS_MAX, sizeof(sections[0]));

	if (near == NULL)
		refuse(reader, line,
			"unknown section [%s]; there are [module], [allow NAME], [deny NAME], "
			"[limits] and [sandbox]",
			text);
	else
		refuse(reader, line, "unknown section [%s]; did you mean \"%s\"?", text, near);
}

static void open_section(struct reader *reader, unsigned line, const char *text)
{
	char word[INI_LINE_MAX_BYTES + 1];
	size_t length = strcspn(text, " ");

	close_section(reader);
	reader->section = NULL;
	reader->section_line = line;
	memset(reader->key_lines, 0, sizeof(reader->key_lines));
	reader->has_keys = false;
	memcpy(word, text, length);
	word[length] = '\0';
	for (size_t i = 0; i < SECTIONS_MAX; i++) {
		const struct section *section = &sections[i];

		if (strcmp(section->name, word) != 0)
			continue;
		if (section->is_rule) {
			open_rule(reader, section, line,
				text[length] == ' ' ? text + length + 1 : "");
			return;
		}
		if (text[length] == '\0') {
			open_single(reader, section, line);
			return;
		}
	}
	refuse_section(reader, line, text, word);
}

static void refuse_key(struct reader *reader, unsigned line, const char *name)
{
	const struct section *section = reader->section;
	const char *near =
		suggest(name, section->keys, section->key_count, sizeof(section->keys[0]));
	char known[256] = "";

	if (near != NULL) {
		refuse(reader, line, "unknown key \"%s\" in [%s]; did you mean \"%s\"?", name,
			section->name, near);
		return;
	}
	for (size_t i = 0; i < section->key_count; i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			i == 0 ? "" : ", ", section->keys[i].name);
	refuse(reader, line, "unknown key \"%s\" in [%s]; there are %s", name, section->name,
		known);
}

/* Whether the key may begin here. */
static bool open_key(struct reader *reader, unsigned line, const char *name)
{
	const struct section *section = reader->section;

	close_key(reader);
	reader->has_keys = true;
	for (size_t i = 0; i < section->key_count; i++) {
		if (strcmp(section->keys[i].name, name) != 0)
			continue;
		if (reader->key_lines[i] != 0) {
			refuse(reader, line, "\"%s\" is in line %u already; %s", name,
				reader->key_lines[i],
				section->keys[i].separators == NULL
					? "remove one of them"
					: "to continue that list, indent the items");
			return false;
		}
		reader->key_lines[i] = line;
		reader->key = &section->keys[i];
		reader->key_line = line;
		return true;
	}
	refuse_key(reader, line, name);
	return false;
}

static void take_value(struct reader *reader, const struct ini_event *event)
{
	const struct key *key = reader->key;

	if (key == NULL)
		return;
	if (key->separators != NULL)
		take_items(reader, event->line, event->value);
	else if (event->continued)
		refuse(reader, event->line,
			"%s takes one value; remove this line, or the blanks before it", key->name);
	else if (event->value[0] == '\0')
		refuse(reader, event->line, "%s has no value; write %s = ...", key->name,
			key->name);
	else
		key->take(reader, event->line, event->value);
}

static void take_event(void *data, const struct ini_event *event)
{
	struct reader *reader = data;

	if (reader->out_of_memory)
		return;
	if (event->key == NULL) {
		open_section(reader, event->line, event->section);
		return;
	}
	if (event->section[0] == '\0' && !event->continued) {
		refuse(reader, event->line,
			"\"%s\" stands before the first section; begin with [module]", event->key);
		return;
	}
	if (reader->section == NULL)
		return;
	if (!event->continued && !open_key(reader, event->line, event->key))
		return;
	take_value(reader, event);
}

static void finish_policy(struct reader *reader)
{
	struct drpc_policy *policy = reader->policy;

	close_section(reader);
	if (reader->section_lines[0] == 0)
		refuse(reader, 0, "no [module]; add one, with name, id and library");
	policy->needs = (struct drpc_policy_needs){
		.system_calls = text_list_items(&policy->system_calls),
		.capabilities = text_list_items(&policy->capabilities),
		.read_paths = text_list_items(&policy->read_paths),
		.write_paths = text_list_items(&policy->write_paths),
	};
}

static int read_policy(struct reader *reader, const char *text, size_t size)
{
	int r = ini_read(reader->file, text, size, reader->problems, take_event, reader);

	if (r == -ENOMEM || reader->out_of_memory) {
		text_list_deinit(&reader->items);
		return -ENOMEM;
	}
	finish_policy(reader);
	if (reader->out_of_memory)
		return -ENOMEM;
	return r < 0 || reader->refused ? -EINVAL : 0;
}

int policy_file_parse(const char *file, const char *text, size_t size,
	const struct principal_names *names, struct drpc_problems *problems,
	struct drpc_policy **ret_policy)
{
	struct drpc_policy *policy = calloc(1, sizeof(*policy));
	struct reader reader = {
		.file = file,
		.names = names,
		.problems = problems,
		.policy = policy,
	};
	int r = -ENOMEM;

	if (policy != NULL)
		policy->file = strdup(file);
	if (policy != NULL && policy->file != NULL)
		r = read_policy(&reader, text, size);
	if (r < 0) {
		drpc_policy_free(policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}

int drpc_policy_parse(const char *file, const char *text, size_t size,
	struct drpc_problems *problems, struct drpc_policy **ret_policy)
{
	return policy_file_parse(file, text, size, &principal_accounts, problems, ret_policy);
}
