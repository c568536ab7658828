/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * drpcctl policy explain: receives a caller, a module and a method; prints the verdict that the
 * server would give, from the same function, with the rule that gave it or the rules that came
 * nearest.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/policy.h>

#include "drpcctl/caller.h"
#include "drpcctl/command.h"
#include "drpcctl/module.h"
#include "drpcctl/text.h"
#include "util/cleanup.h"

#define COMMAND "drpcctl policy explain"

/* The question, as it was typed. */
struct question {
	const char *policy_directory;
	const char *module_directory;
	const char *user;
	const char *groups[CALLER_GROUPS_MAX];
	size_t group_count;
	const char *module;
	const char *method;
	bool json;
};

/* What is needed to answer it. */
struct explanation {
	const struct question *question;
	struct drpc_problems *problems;
	struct drpc_policies *policies;
	struct drpc_peer *peer;
	struct loaded_module *modules; /* one for each policy; empty where none was found */
	struct drpc_policy *policy;    /* of the module that was asked for */
	struct loaded_module *module;  /* its place in modules */
	int32_t method_id;
	const char *method_name; /* NULL: not known */
	bool method_missing;	 /* the module is known, and has no such method */
	struct drpc_verdict verdict;
};

static const char help[] =
	"drpcctl policy explain - say who may call what, and by which rule\n\n"
	"Usage: drpcctl policy explain [OPTION]... --user USER MODULE METHOD\n\n"
	"Prints the verdict that the server gives, from the same function, with the file and line of the\n"
	"rule; for a denial, the rules that came nearest and what each lacked. MODULE and METHOD are\n"
	"names or numbers (a negative number after --). Needs no server and no root.\n\n"
	"Options:\n"
	"  --user USER       who calls: a name, with its groups from the accounts; or a uid, which then\n"
	"                    has the gid of the same number and no other groups\n"
	"  --group GROUP     one more supplementary group of the caller, a name or a gid; repeatable\n"
	"  --policy-dir DIR  where the policies are; else " DRPC_POLICY_DIR "\n"
	"  --module-dir DIR  where modules are; else ../modules or\n"
	"                    ../lib/drpc/modules beside this program's directory, then\n"
	"                    " DRPC_MODULE_DIR "\n"
	"  --json            one JSON object\n"
	"  --help            this text\n\n"
	"Exit: 0 allowed; 1 denied, or a policy is wrong; 2 the command line is wrong or cannot be\n"
	"answered without the module; 3 the system failed.\n";

/* Methods by id in any rule: their meaning cannot be guessed from names. */
static bool lists_ids(const struct explanation *e, const struct drpc_policy *policy)
{
	struct drpc_rule_match match;

	for (size_t i = 0; drpc_policy_rule(policy, i, e->peer, 0, &match) == 0; i++) {
		for (const char *at = match.methods; at != NULL; at = strchr(at, ',')) {
			at += strspn(at, ", ");
			if (is_number(at))
				return true;
		}
	}
	return false;
}

/*
 * Without the module, a policy that lists only names can still be asked about names: which ids they
 * have makes no difference to the verdict. @more is a name that may not be in the policy.
 */
static int bind_to_names(struct drpc_policy *policy, const char *more, int32_t *ret_more)
{
	AUTO_FREE struct drpc_method *methods = NULL;
	struct drpc_module module = {
		.abi = DRPC_MODULE_ABI,
		.id = drpc_policy_module_id(policy),
		.name = drpc_policy_module_name(policy),
	};
	size_t count = 0;

	while (drpc_policy_method_name(policy, count) != NULL)
		count++;
	methods = calloc(count + 1, sizeof(*methods));
	if (methods == NULL)
		return -ENOMEM;
	*ret_more = (int32_t)count;
	for (size_t i = 0; i < count; i++) {
		methods[i] = (struct drpc_method){ (int32_t)i, drpc_policy_method_name(policy, i) };
		if (more != NULL && strcmp(more, methods[i].name) == 0)
			*ret_more = (int32_t)i;
	}
	module.methods = methods;
	module.method_count = count;
	return drpc_policy_bind(policy, &module, NULL);
}

static int find_policy(struct explanation *e)
{
	const char *wanted = e->question->module;
	int64_t id = 0;
	bool by_id = parse_number(wanted, INT32_MIN, INT32_MAX, &id);

	for (size_t i = 0; i < drpc_policies_count(e->policies); i++) {
		struct drpc_policy *policy = drpc_policies_get(e->policies, i);

		if (by_id ? drpc_policy_module_id(policy) != id
			  : strcmp(drpc_policy_module_name(policy), wanted) != 0)
			continue;
		e->policy = policy;
		e->module = &e->modules[i];
		return 0;
	}
	return -ENOENT;
}

/* With the module at hand: its own table says what the argument means. */
static int find_method(struct explanation *e, const struct drpc_module *module)
{
	int64_t id = 0;
	bool by_id = parse_number(e->question->method, INT32_MIN, INT32_MAX, &id);

	for (size_t i = 0; i < module->method_count; i++) {
		const struct drpc_method *method = &module->methods[i];

		if (by_id ? method->id != id
			  : method->name == NULL || strcmp(method->name, e->question->method) != 0)
			continue;
		e->method_id = method->id;
		e->method_name = method->name;
		return 0;
	}
	e->method_id = (int32_t)id;
	e->method_missing = true;
	return by_id ? 0
		     : usage_error(COMMAND, "module %s has no method %s",
			       drpc_policy_module_name(e->policy), e->question->method);
}

static int needs_module(const struct explanation *e)
{
	const char *path = e->module->path;

	return usage_error(COMMAND,
		"the policy and the question name methods by name and by id, which only the module can tell "
		"apart, and there is no %s; use --module-dir",
		path == NULL ? "library in the policy" : path);
}

static int find_method_without_module(struct explanation *e)
{
	int64_t id = 0;

	if (parse_number(e->question->method, INT32_MIN, INT32_MAX, &id)) {
		e->method_id = (int32_t)id;
		return drpc_policy_method_name(e->policy, 0) == NULL ? 0 : needs_module(e);
	}
	if (lists_ids(e, e->policy))
		return needs_module(e);
	e->method_name = e->question->method;
	if (bind_to_names(e->policy, e->question->method, &e->method_id) < 0)
		return trouble(COMMAND, "%s", strerror(ENOMEM));
	return 0;
}

/* Bind every policy whose module is found. One that is not right is no policy to explain. */
static int bind_policies(struct explanation *e)
{
	size_t count = drpc_policies_count(e->policies);
	int result = 0;

	e->modules = calloc(count + 1, sizeof(*e->modules));
	if (e->modules == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = module_bind(e->question->module_directory,
			drpc_policies_get(e->policies, i), e->problems, &e->modules[i]);

		if (r == -ENOMEM)
			return r;
		if (r == -EINVAL)
			result = r;
	}
	return result;
}

static int print_wrong(const struct explanation *e)
{
	if (!e->question->json) {
		print_problems(e->problems);
		puts("the policies are refused as a whole: the server does not start with them");
		return EXIT_NO;
	}
	fputs("{\"decision\":\"deny\",\"reason\":\"the policies are refused\",\"problems\":",
		stdout);
	print_json_problems(e->problems);
	puts("}");
	return EXIT_NO;
}

static int load(struct explanation *e)
{
	int r = drpc_policies_load(e->question->policy_directory, e->problems, &e->policies);

	if (r == 0)
		r = bind_policies(e);
	if (r == -ENOMEM)
		return trouble(COMMAND, "%s", strerror(-r));
	return r < 0 ? print_wrong(e) : 0;
}

static void print_caller_json(const struct explanation *e)
{
	size_t count;
	const gid_t *groups = drpc_peer_groups(e->peer, &count);

	printf("\"uid\":%u,\"gid\":%u,\"groups\":[", drpc_peer_uid(e->peer),
		drpc_peer_gid(e->peer));
	for (size_t i = 0; i < count; i++)
		printf("%s%u", i == 0 ? "" : ",", groups[i]);
	putchar(']');
}

static void print_caller(const struct explanation *e)
{
	size_t count;
	const gid_t *groups = drpc_peer_groups(e->peer, &count);

	printf("caller: uid %u, gid %u, groups ", drpc_peer_uid(e->peer), drpc_peer_gid(e->peer));
	for (size_t i = 0; i < count; i++)
		printf("%s%u", i == 0 ? "" : ",", groups[i]);
	puts(count == 0 ? "none" : "");
}

/* Denied without a rule having been looked at. */
static int print_refusal(const struct explanation *e, const char *reason, const char *cure)
{
	if (e->question->json) {
		fputs("{\"decision\":\"deny\",", stdout);
		print_caller_json(e);
		fputs(",\"rule\":null,\"file\":null,\"line\":0,\"reason\":", stdout);
		print_json(reason);
		fputs(",\"cure\":", stdout);
		print_json(cure);
		puts("}");
		return EXIT_NO;
	}
	printf("DENIED: %s\n", reason);
	print_caller(e);
	printf("cure: %s\n", cure);
	return EXIT_NO;
}

/*
 * Whether every policy denies this caller everything, so that the server does not even read its
 * calls. *ret_known is false where a policy's module was not found and its names cannot stand for
 * it.
 */
static bool is_stranger(const struct explanation *e, bool *ret_known)
{
	*ret_known = true;
	for (size_t i = 0; i < drpc_policies_count(e->policies); i++) {
		struct drpc_policy *policy = drpc_policies_get(e->policies, i);
		int32_t unused;

		if (policy != e->policy && e->modules[i].module == NULL &&
			drpc_policy_method_name(policy, 0) != NULL &&
			(lists_ids(e, policy) || bind_to_names(policy, NULL, &unused) < 0))
			*ret_known = false;
		else if (drpc_policy_could_allow(policy, e->peer))
			return false;
	}
	return true;
}

/* Allow rules that would have been enough but for one thing; if there are none, all allow rules. */
static bool came_near(const struct explanation *e, const struct drpc_rule_match *match, bool all)
{
	if (match->kind != DRPC_ALLOW || e->verdict.decision == DRPC_ALLOW)
		return false;
	return all || match->caller_matches || match->method_matches;
}

static bool nothing_near(const struct explanation *e)
{
	struct drpc_rule_match match;

	for (size_t i = 0; drpc_policy_rule(e->policy, i, e->peer, e->method_id, &match) == 0;
		i++) {
		if (came_near(e, &match, false))
			return false;
	}
	return true;
}

static void print_near(const struct explanation *e, const struct drpc_rule_match *match)
{
	printf("near: [allow %s], %s:%u: ", match->rule, e->verdict.file, match->line);
	if (match->caller_matches && match->method_matches)
		puts("caller and method match; it would allow if no rule denied");
	else if (match->caller_matches)
		printf("the caller matches, the method does not: it lists %s\n", match->methods);
	else if (match->method_matches)
		printf("the method matches, the caller does not: it lists %s\n", match->callers);
	else
		printf("neither matches: it lists callers %s and methods %s\n", match->callers,
			match->methods);
}

static void print_near_json(const struct drpc_rule_match *match)
{
	fputs("{\"rule\":", stdout);
	print_json(match->rule);
	printf(",\"line\":%u,\"caller_matches\":%s,\"method_matches\":%s,\"callers\":", match->line,
		match->caller_matches ? "true" : "false", match->method_matches ? "true" : "false");
	print_json(match->callers);
	fputs(",\"methods\":", stdout);
	print_json(match->methods);
	putchar('}');
}

static void print_all_near(const struct explanation *e)
{
	bool all = nothing_near(e), first = true;
	struct drpc_rule_match match;

	for (size_t i = 0; drpc_policy_rule(e->policy, i, e->peer, e->method_id, &match) == 0;
		i++) {
		if (!came_near(e, &match, all))
			continue;
		if (e->question->json) {
			fputs(first ? "" : ",", stdout);
			print_near_json(&match);
		} else {
			print_near(e, &match);
		}
		first = false;
	}
}

/* What to write where. NULL: nothing to cure. */
static const char *cure_text(const struct explanation *e, char *text, size_t size)
{
	const struct drpc_verdict *verdict = &e->verdict;

	if (verdict->decision == DRPC_ALLOW)
		return NULL;
	if (verdict->rule != NULL)
		snprintf(text, size,
			"a deny rule wins over every allow rule: take the caller or the method out of "
			"[deny %s], %s:%u",
			verdict->rule, verdict->file, verdict->line);
	else
		snprintf(text, size,
			"if this caller is to call it, add to a rule above what it lacks, or write "
			"an [allow NAME] with callers and methods into %s",
			verdict->file);
	return text;
}

static void print_method(const struct explanation *e)
{
	printf("call: module %s (%d), method ", drpc_policy_module_name(e->policy),
		drpc_policy_module_id(e->policy));
	if (e->method_name == NULL)
		printf("%d\n", e->method_id);
	else if (e->module->module == NULL)
		printf("%s (id not known: the module was not found)\n", e->method_name);
	else
		printf("%s (%d)\n", e->method_name, e->method_id);
	if (e->method_missing)
		puts("note: the module has no such method: where it is allowed, the answer is UNKNOWN_METHOD");
}

static void print_rule(const struct explanation *e)
{
	const struct drpc_verdict *verdict = &e->verdict;
	struct drpc_rule_match match;

	for (size_t i = 0; drpc_policy_rule(e->policy, i, e->peer, e->method_id, &match) == 0;
		i++) {
		if (match.line == verdict->line)
			printf("rule: [%s %s], %s:%u: callers %s; methods %s\n",
				match.kind == DRPC_ALLOW ? "allow" : "deny", match.rule,
				verdict->file, match.line, match.callers, match.methods);
	}
}

static void print_explanation(const struct explanation *e)
{
	char cure[1024];
	bool known;

	if (e->verdict.decision == DRPC_ALLOW)
		puts("ALLOWED");
	else
		printf("DENIED: %s\n", e->verdict.reason);
	print_caller(e);
	print_method(e);
	if (e->verdict.rule != NULL)
		print_rule(e);
	else
		printf("rule: none of %s\n", e->verdict.file);
	if (e->verdict.decision == DRPC_ALLOW)
		return;
	print_all_near(e);
	if (is_stranger(e, &known))
		printf("stranger: %s\n",
			known ? "no rule of any module could allow this caller, so the server "
				"answers PERMISSION_DENIED and closes without reading its calls"
			      : "perhaps: not every module was found");
	printf("cure: %s\n", cure_text(e, cure, sizeof(cure)));
}

static void print_explanation_json(const struct explanation *e)
{
	bool known = true;
	bool stranger = e->verdict.decision == DRPC_DENY && is_stranger(e, &known);
	char cure[1024];

	printf("{\"decision\":\"%s\",", e->verdict.decision == DRPC_ALLOW ? "allow" : "deny");
	print_caller_json(e);
	fputs(",\"module\":", stdout);
	print_json(drpc_policy_module_name(e->policy));
	printf(",\"module_id\":%d,\"method\":", drpc_policy_module_id(e->policy));
	print_json(e->method_name);
	if (e->method_name != NULL && e->module->module == NULL)
		fputs(",\"method_id\":null", stdout);
	else
		printf(",\"method_id\":%d", e->method_id);
	fputs(",\"rule\":", stdout);
	print_json(e->verdict.rule);
	fputs(",\"file\":", stdout);
	print_json(e->verdict.file);
	printf(",\"line\":%u,\"reason\":", e->verdict.line);
	print_json(e->verdict.reason);
	fputs(",\"near\":[", stdout);
	print_all_near(e);
	printf("],\"stranger\":%s,\"cure\":", !known ? "null" : stranger ? "true" : "false");
	print_json(cure_text(e, cure, sizeof(cure)));
	puts("}");
}

static int explain_call(struct explanation *e)
{
	int r;

	if (find_policy(e) < 0)
		return print_refusal(e,
			"no policy file has this module, and a module without one is not served",
			"write a policy for it into the policy directory; policy/README.md teaches how");
	r = e->module->module != NULL ? find_method(e, e->module->module)
				      : find_method_without_module(e);
	if (r != 0)
		return r;
	e->verdict = drpc_policy_judge(e->policy, e->peer, e->method_id);
	if (e->question->json)
		print_explanation_json(e);
	else
		print_explanation(e);
	return e->verdict.decision == DRPC_ALLOW ? EXIT_DONE : EXIT_NO;
}

/* In the server's order: who is refused by name, then what the policy says. */
static int explain(struct explanation *e)
{
	const char *argument = "", *reason = "";
	int r = caller_make(e->question->user, e->question->groups, e->question->group_count,
		&e->peer, &argument, &reason);

	if (r == -EINVAL)
		return usage_error(COMMAND, "%s: %s", argument, reason);
	if (r < 0)
		return trouble(COMMAND, "%s", strerror(-r));
	r = load(e);
	if (r != 0)
		return r;
	r = drpc_peer_check(e->peer, &reason);
	if (r == -EACCES)
		return print_refusal(e, reason,
			"refused before any policy, whatever it says: call from the "
			"initial user namespace, or map the id");
	if (r < 0)
		return trouble(COMMAND, "/proc/sys/kernel/overflowuid: %s", strerror(-r));
	return explain_call(e);
}

static int explain_question(const struct question *question)
{
	struct explanation e = { .question = question, .problems = drpc_problems_new() };
	int code = e.problems == NULL ? trouble(COMMAND, "%s", strerror(ENOMEM)) : explain(&e);

	for (size_t i = 0; e.modules != NULL && i < drpc_policies_count(e.policies); i++)
		module_unload(&e.modules[i]);
	free(e.modules);
	drpc_policies_free(e.policies);
	drpc_peer_free(e.peer);
	drpc_problems_free(e.problems);
	return code;
}

/* Returns EXIT_DONE, or EXIT_USAGE after saying why. */
static int take_option(struct question *question, int option)
{
	switch (option) {
	case 'p':
		question->policy_directory = optarg;
		return EXIT_DONE;
	case 'm':
		question->module_directory = optarg;
		return EXIT_DONE;
	case 'u':
		question->user = optarg;
		return EXIT_DONE;
	case 'j':
		question->json = true;
		return EXIT_DONE;
	case 'g':
		if (question->group_count == CALLER_GROUPS_MAX)
			return usage_error(COMMAND, "more than %d groups", CALLER_GROUPS_MAX);
		question->groups[question->group_count++] = optarg;
		return EXIT_DONE;
	default:
		return usage_error(COMMAND, "wrong option");
	}
}

int command_policy_explain(int argc, char **argv)
{
	static const struct option options[] = {
		{ "policy-dir", required_argument, NULL, 'p' },
		{ "module-dir", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "group", required_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct question question = { .policy_directory = DRPC_POLICY_DIR };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (take_option(&question, option) != EXIT_DONE)
			return EXIT_USAGE;
	}
	if (question.user == NULL)
		return usage_error(COMMAND, "no --user given");
	if (argc - optind != 2)
		return usage_error(COMMAND, "a module and a method are needed");
	question.module = argv[optind];
	question.method = argv[optind + 1];
	return explain_question(&question);
}
