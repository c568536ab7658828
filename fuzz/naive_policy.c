/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Naive policy: see naive_policy.h. A line at a time, a character at a time. */
#include "naive_policy.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 199

static const struct {
	const char *name;
	bool is_group;
	uint32_t id;
} accounts[] = {
	{ "root", false, 0 },
	{ "alice", false, 1001 },
	{ "bob", false, 1002 },
	{ "root", true, 0 },
	{ "staff", true, 50 },
	{ "users", true, 100 },
};

static const char *const keys[][5] = {
	{ "module", "name", "id", "library" },
	{ "allow", "callers", "methods" },
	{ "deny", "callers", "methods" },
	{ "limits", "max-call-size", "calls-per-second", "concurrent-calls" },
	{ "sandbox", "system-calls", "capabilities", "read-paths", "write-paths" },
};

enum { MODULE, ALLOW, DENY, LIMITS, SANDBOX, SECTIONS };

/* Where the reading has got to. */
struct reading {
	struct naive_policy *policy;
	const char *why; /* not NULL: refused */
	int section;	 /* -1: none yet */
	int key;	 /* within the section; 0: none yet */
	bool seen_section[SECTIONS];
	bool seen_key[5];
	size_t items; /* of the list that is being read */
};

static void refuse(struct reading *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
}

static char *copy(const char *text, size_t length)
{
	char *made = fuzz_alloc(length + 1);

	memcpy(made, text, length);
	return made;
}

bool naive_account(const char *name, bool is_group, uint32_t *ret_id)
{
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
		if (accounts[i].is_group == is_group && strcmp(accounts[i].name, name) == 0) {
			*ret_id = accounts[i].id;
			return true;
		}
	}
	return false;
}

/* Digits and nothing else, without a leading zero, at most @max. */
static bool number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text != '\0'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > UINT64_MAX / 10)
			return false;
		if (value * 10 > UINT64_MAX - digit)
			return false;
		value = value * 10 + digit;
	}
	*ret_number = value;
	return value <= max;
}

static bool int32(const char *text, int32_t *ret_number)
{
	bool is_negative = text[0] == '-';
	uint64_t value;

	if (!number(text + is_negative, (uint64_t)INT32_MAX + is_negative, &value))
		return false;
	if (is_negative && value == 0)
		return false;
	*ret_number = (int32_t)(is_negative ? -(int64_t)value : (int64_t)value);
	return true;
}

/* "7", "7-9", or an account's name: which ids. */
static bool span(const char *text, bool is_group, uint32_t *ret_first, uint32_t *ret_last)
{
	const char *dash = strchr(text, '-');
	char first_text[LINE_MAX_BYTES + 1];
	uint64_t first;
	uint64_t last;

	if (text[0] < '0' || text[0] > '9') {
		bool is_known = naive_account(text, is_group, ret_first);

		*ret_last = *ret_first;
		return is_known;
	}
	strcpy(first_text, text);
	if (dash != NULL)
		first_text[dash - text] = '\0';
	if (!number(first_text, UINT32_MAX - 1u, &first))
		return false;
	if (!number(dash != NULL ? dash + 1 : first_text, UINT32_MAX - 1u, &last))
		return false;
	*ret_first = (uint32_t)first;
	*ret_last = (uint32_t)last;
	return first <= last;
}

static bool is_name(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
		bool is_digit = *c >= '0' && *c <= '9';

		if (!is_letter && !is_digit && (c == text || (*c != '-' && *c != '.')))
			return false;
	}
	return text[0] != '\0';
}

static void check_caller(struct reading *r, const char *item)
{
	uint32_t ignored = 0;

	if (strcmp(item, "*") != 0 &&
		!span(item + (item[0] == '%'), item[0] == '%', &ignored, &ignored))
		refuse(r, "a caller that is none");
}

static void check_method(struct reading *r, const char *item)
{
	bool is_number = item[0] == '-' || (item[0] >= '0' && item[0] <= '9');
	int32_t ignored;

	if (strcmp(item, "*") == 0)
		return;
	if (is_number ? !int32(item, &ignored) : !is_name(item))
		refuse(r, "a method that is none");
}

static void add_to(struct reading *r, struct naive_list *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], item) == 0)
			refuse(r, "an item twice in a list");
	}
	list->items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
	REQUIRE(list->items != NULL, "the harness is out of memory");
	list->items[list->count++] = copy(item, strlen(item));
	if (list->count > 1 && (strcmp(list->items[0], "*") == 0 || strcmp(item, "*") == 0))
		refuse(r, "a star beside others");
}

static void take_item(struct reading *r, const char *item)
{
	struct naive_rule *rule;

	r->items++;
	if (item[0] == '\0')
		refuse(r, "nothing before a comma");
	if (r->section == SANDBOX)
		return; /* says nothing of who may call */
	rule = &r->policy->rules[r->policy->rule_count - 1];
	if (r->key == 1)
		check_caller(r, item);
	else
		check_method(r, item);
	add_to(r, r->key == 1 ? &rule->callers : &rule->methods, item);
}

/* Comma, item, comma, item; the last comma may have nothing after it. */
static void take_items(struct reading *r, char *value)
{
	while (*value != '\0') {
		size_t length = strcspn(value, ",");
		bool is_last = value[length] == '\0';
		char *item = value;

		item[length] = '\0';
		value += length + (is_last ? 0 : 1);
		item += strspn(item, " \t");
		while (item[0] != '\0' && strchr(" \t", item[strlen(item) - 1]) != NULL)
			item[strlen(item) - 1] = '\0';
		if (item[0] == '\0' && is_last)
			return;
		take_item(r, item);
	}
}

static uint64_t size_with_unit(struct reading *r, char *value)
{
	static const char units[] = "KMG";
	const char *unit = value[0] != '\0' ? strchr(units, value[strlen(value) - 1]) : NULL;
	uint64_t size = 0;

	if (unit != NULL)
		value[strlen(value) - 1] = '\0';
	if (!number(value, UINT64_MAX, &size))
		refuse(r, "a size that is none");
	for (int i = 0; unit != NULL && i <= unit - units; i++) {
		if (size > UINT64_MAX / 1024)
			refuse(r, "a size too large");
		size *= 1024;
	}
	return size;
}

static void take_limit(struct reading *r, char *value)
{
	uint64_t limit = 0;

	if (r->key == 1)
		limit = size_with_unit(r, value);
	else if (!number(value, UINT32_MAX, &limit))
		refuse(r, "a limit that is none");
	if (limit == 0)
		refuse(r, "a limit of nothing");
	if (r->key == 1)
		r->policy->max_call_size = limit;
	if (r->key == 2)
		r->policy->calls_per_second = limit;
}

static void take_module(struct reading *r, const char *value)
{
	int32_t ignored;

	if (r->key == 1) {
		if (!is_name(value) || (value[0] >= '0' && value[0] <= '9'))
			refuse(r, "a module's name that is none");
		r->policy->name = copy(value, strlen(value));
	} else if (r->key == 2) {
		if (!int32(value, &ignored))
			refuse(r, "a module's id that is none");
		r->policy->id = copy(value, strlen(value));
	} else if (!is_name(value)) {
		refuse(r, "a library that is none");
	}
}

static bool takes_list(const struct reading *r)
{
	return r->section == ALLOW || r->section == DENY || r->section == SANDBOX;
}

static void end_list(struct reading *r)
{
	if (r->section >= 0 && r->key > 0 && takes_list(r) && r->items == 0)
		refuse(r, "a list of nothing");
	r->items = 0;
	r->key = 0;
}

static void end_section(struct reading *r)
{
	end_list(r);
	if ((r->section == ALLOW || r->section == DENY || r->section == MODULE) &&
		!(r->seen_key[1] && r->seen_key[2]))
		refuse(r, "a section that lacks a key");
	memset(r->seen_key, 0, sizeof(r->seen_key));
}

static void begin_rule(struct reading *r, const char *name, unsigned line)
{
	struct naive_policy *policy = r->policy;

	if (!is_name(name))
		refuse(r, "a rule's name that is none");
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (strcmp(policy->rules[i].name, name) == 0)
			refuse(r, "two rules of a name");
	}
	policy->rules = realloc(policy->rules, (policy->rule_count + 1) * sizeof(*policy->rules));
	REQUIRE(policy->rules != NULL, "the harness is out of memory");
	policy->rules[policy->rule_count++] = (struct naive_rule){
		.is_deny = r->section == DENY, .name = copy(name, strlen(name)), .line = line
	};
}

static void begin_section(struct reading *r, char *text, unsigned line)
{
	char *blank = strchr(text, ' ');

	end_section(r);
	r->section = -1;
	if (blank != NULL)
		*blank = '\0';
	for (int i = 0; i < SECTIONS; i++) {
		if (strcmp(text, keys[i][0]) == 0)
			r->section = i;
	}
	if (r->section < 0) {
		refuse(r, "an unknown section");
	} else if (r->section == ALLOW || r->section == DENY) {
		begin_rule(r, blank != NULL ? blank + 1 : "", line);
	} else {
		if (blank != NULL || r->seen_section[r->section])
			refuse(r, "a section with a name, or twice");
		r->seen_section[r->section] = true;
	}
}

static void take_value(struct reading *r, char *value)
{
	if (strpbrk(value, ";#") != NULL)
		refuse(r, "what might be a comment within a value");
	if (takes_list(r))
		take_items(r, value);
	else if (value[0] == '\0')
		refuse(r, "no value");
	else if (r->section == MODULE)
		take_module(r, value);
	else
		take_limit(r, value);
}

static void trim_end(char *text)
{
	while (text[0] != '\0' && strchr(" \t", text[strlen(text) - 1]) != NULL)
		text[strlen(text) - 1] = '\0';
}

static void take_pair(struct reading *r, char *line)
{
	char *equals = strchr(line, '=');

	end_list(r);
	if (equals == NULL || r->section < 0) {
		refuse(r, "no pair, or one outside of all sections");
		return;
	}
	*equals = '\0';
	trim_end(line);
	for (int i = 1; i < 5; i++) {
		const char *key = keys[r->section][i];

		if (key != NULL && strcmp(key, line) == 0)
			r->key = i;
	}
	if (r->key == 0 || r->seen_key[r->key]) {
		refuse(r, "a key unknown, or twice");
		return;
	}
	r->seen_key[r->key] = true;
	take_value(r, equals + 1 + strspn(equals + 1, " \t"));
}

static void take_continuation(struct reading *r, char *text)
{
	if (r->section < 0 || r->key == 0 || !takes_list(r)) {
		refuse(r, "an indented line that continues no list");
		return;
	}
	if (text[0] == '[' || strchr(text, '=') != NULL)
		refuse(r, "an indented line that looks like another");
	take_value(r, text);
}

static void take_line(struct reading *r, char *line, unsigned number_of_line)
{
	char *text = line + strspn(line, " \t");
	char *close;

	if (text[0] == '\0' || text[0] == ';' || text[0] == '#')
		return;
	for (char *c = text + 1; *c != '\0'; c++) {
		if (*c == ';' && strchr(" \t", c[-1]) != NULL)
			*c-- = '\0';
	}
	trim_end(line);
	close = strchr(line, ']');
	if (text > line)
		take_continuation(r, text);
	else if (line[0] != '[')
		take_pair(r, line);
	else if (close == NULL || close[1] != '\0')
		refuse(r, "a bracket that is not closed, or text after it");
	else {
		*close = '\0';
		begin_section(r, line + 1, number_of_line);
	}
}

static void take_bytes(struct reading *r, const char *bytes, size_t length, unsigned number_of_line)
{
	char line[LINE_MAX_BYTES + 1];

	if (length > 0 && bytes[length - 1] == '\r')
		length--;
	if (length > LINE_MAX_BYTES) {
		refuse(r, "a line too long");
		return;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if ((c < 32 && c != '\t') || c == 127) {
			refuse(r, "a control character");
			return;
		}
	}
	memcpy(line, bytes, length);
	line[length] = '\0';
	take_line(r, line, number_of_line);
}

struct naive_policy *naive_parse(const char *text, size_t size, const char **ret_why)
{
	struct reading r = { .policy = fuzz_alloc(sizeof(*r.policy)), .section = -1 };
	size_t at = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	unsigned line = 0;

	while (at < size && r.why == NULL) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end != NULL ? (size_t)(end - text) - at : size - at;

		take_bytes(&r, text + at, length, ++line);
		at += length + 1;
	}
	end_section(&r);
	if (!r.seen_section[MODULE])
		refuse(&r, "no module");
	if (r.why == NULL)
		return r.policy;
	*ret_why = r.why;
	naive_free(r.policy);
	return NULL;
}

static void free_list(struct naive_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
}

void naive_free(struct naive_policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->rule_count; i++) {
		free(policy->rules[i].name);
		free_list(&policy->rules[i].callers);
		free_list(&policy->rules[i].methods);
	}
	free(policy->rules);
	free(policy->name);
	free(policy->id);
	free(policy);
}

/* The number of a method as it is listed; false: it is no method of the module. */
static bool find_method(
	const char *item, const struct naive_method *methods, size_t method_count, int32_t *ret_id)
{
	int32_t id;

	if (int32(item, &id)) {
		*ret_id = id;
		return true;
	}
	for (size_t i = 0; i < method_count; i++) {
		if (strcmp(methods[i].name, item) == 0) {
			*ret_id = methods[i].id;
			return true;
		}
	}
	return false;
}

static bool rule_fits(
	const struct naive_rule *rule, const struct naive_method *methods, size_t method_count)
{
	for (size_t i = 0; i < rule->methods.count; i++) {
		int32_t id, other;
		bool is_there = false;

		if (strcmp(rule->methods.items[i], "*") == 0)
			continue;
		if (!find_method(rule->methods.items[i], methods, method_count, &id))
			return false;
		for (size_t j = 0; j < method_count; j++)
			is_there = is_there || methods[j].id == id;
		for (size_t j = 0; j < i; j++) {
			if (find_method(rule->methods.items[j], methods, method_count, &other) &&
				other == id)
				return false;
		}
		if (!is_there)
			return false;
	}
	return true;
}

bool naive_fits(const struct naive_policy *policy, const char *name, int32_t id,
	const struct naive_method *methods, size_t method_count)
{
	int32_t own_id;

	if (strcmp(policy->name, name) != 0 || !int32(policy->id, &own_id) || own_id != id)
		return false;
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (!rule_fits(&policy->rules[i], methods, method_count))
			return false;
	}
	return true;
}

bool naive_has_names(const struct naive_policy *policy)
{
	int32_t ignored;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct naive_list *list = &policy->rules[i].methods;

		for (size_t j = 0; j < list->count; j++) {
			if (strcmp(list->items[j], "*") != 0 && !int32(list->items[j], &ignored))
				return true;
		}
	}
	return false;
}

static bool is_meant(const char *item, const struct naive_caller *caller)
{
	bool is_group = item[0] == '%';
	uint32_t first = 0;
	uint32_t last = 0;

	if (strcmp(item, "*") == 0)
		return true;
	if (!span(item + is_group, is_group, &first, &last))
		return false;
	if (!is_group)
		return caller->uid >= first && caller->uid <= last;
	if (caller->gid >= first && caller->gid <= last)
		return true;
	for (size_t i = 0; i < caller->group_count; i++) {
		if (caller->groups[i] >= first && caller->groups[i] <= last)
			return true;
	}
	return false;
}

bool naive_matches(const struct naive_rule *rule, const struct naive_caller *caller, int32_t method,
	const struct naive_method *methods, size_t method_count)
{
	bool is_caller = false;
	bool is_method = false;

	for (size_t i = 0; i < rule->callers.count; i++) {
		if (is_meant(rule->callers.items[i], caller))
			is_caller = true;
	}
	for (size_t i = 0; i < rule->methods.count; i++) {
		const char *item = rule->methods.items[i];
		int32_t id;

		if (strcmp(item, "*") == 0)
			is_method = true;
		else if (find_method(item, methods, method_count, &id) && id == method)
			is_method = true;
	}
	return is_caller && is_method;
}

bool naive_allows(const struct naive_policy *policy, const struct naive_caller *caller,
	int32_t method, const struct naive_method *methods, size_t method_count)
{
	bool is_allowed = false;
	bool is_denied = false;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct naive_rule *rule = &policy->rules[i];

		if (!naive_matches(rule, caller, method, methods, method_count))
			continue;
		if (rule->is_deny)
			is_denied = true;
		else
			is_allowed = true;
	}
	return is_allowed && !is_denied;
}

size_t naive_edges(const struct naive_policy *policy, uint32_t *ids, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct naive_list *list = &policy->rules[i].callers;

		for (size_t j = 0; j < list->count && count + 2 <= max; j++) {
			const char *item = list->items[j];
			bool is_group = item[0] == '%';

			if (strcmp(item, "*") != 0 &&
				span(item + is_group, is_group, &ids[count], &ids[count + 1]))
				count += 2;
		}
	}
	return count;
}

size_t naive_listed(const struct naive_policy *policy, const struct naive_method *methods,
	size_t method_count, int32_t *ids, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct naive_list *list = &policy->rules[i].methods;

		for (size_t j = 0; j < list->count && count < max; j++) {
			if (find_method(list->items[j], methods, method_count, &ids[count]))
				count++;
		}
	}
	return count;
}
