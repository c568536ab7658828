/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A server in a program of your own: receives a socket and a policy file, serves one method that
 * takes and gives plain bytes (no @input, no @output), until SIGTERM.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <drpc/drpc.h>

static int shout(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);
	char *loud = drpc_request_alloc(request, call->body_size);

	if (loud == NULL || input != NULL || output != NULL)
		return drpc_request_fail(request, DRPC_STATUS_FAILURE, "out of memory");
	for (size_t i = 0; i < call->body_size; i++)
		loud[i] = (char)toupper(call->body[i]);
	drpc_request_set_body(request, loud, call->body_size);
	return 0;
}

static const struct drpc_method method = { .id = 0, .name = "shout", .handler = shout };
static const struct drpc_module module = { DRPC_MODULE_ABI, 2001, "shout", &method, 1, NULL, NULL };

static void expect(int result, const char *what, struct drpc_problems *problems)
{
	if (result == 0)
		return;
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(stderr, "%s\n", drpc_problems_text(problems, i));
	fprintf(stderr, "%s: %s\n", what, drpc_error_text(result));
	exit(1);
}

int main(int argc, char **argv)
{
	struct drpc_server_options options = { .path = argc == 3 ? argv[1] : "", .mode = 0666 };
	static struct drpc_problems *problems; /* static: the process ends with them */
	static struct drpc_service *service;
	static struct drpc_policy *policy;
	static struct drpc_server *server;
	sigset_t end;

	problems = drpc_problems_new();
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL); /* before the server's threads, for all of them */
	expect(drpc_service_new(&service), "service", NULL);
	expect(drpc_server_new(service, &options, &server), "SOCKET POLICY", NULL);
	expect(drpc_policy_load(argv[2], problems, &policy), argv[2], problems);
	expect(drpc_service_register(service, &module, policy, problems), argv[2], problems);
	expect(drpc_server_start(server), argv[1], NULL);
	sigwait(&end, &(int){ 0 });
	return drpc_server_shutdown(server, 5000) < 0;
}
