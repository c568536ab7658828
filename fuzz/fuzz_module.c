/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_module: a module of anybody's. The environment variable DRPC_FUZZ_MODULE names its shared
 * object; the first byte of an input chooses one of its methods, the rest is the body. Every caller
 * is allowed. The module must not crash, must answer, and what it answers must be well-formed: a
 * handler that runs into a sanitizer, waits for ever or gives an output that is not of its type is
 * found.
 *
 * Without the variable there is nothing to try, and every input passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/service.h>

#include "drpc.pb-c.h"
#include "fuzz.h"
#include "service/service.h"

static struct drpc_service *service;
static const struct drpc_module *module;
static struct drpc_peer *caller;

static void give_up(const char *what, const struct drpc_problems *problems)
{
	fprintf(stderr, "DRPC_FUZZ_MODULE: %s\n", what);
	for (size_t i = 0; i < drpc_problems_count(problems); i++)
		fprintf(stderr, "  %s\n", drpc_problems_text(problems, i));
	exit(EXIT_FAILURE);
}

static void load(const char *path, struct drpc_problems *problems)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	void *handle;

	if (drpc_module_load(
		    directory, slash != NULL ? slash + 1 : path, problems, &handle, &module) < 0)
		give_up("cannot be loaded", problems);
	if (module->method_count == 0)
		give_up("has no methods", problems);
	free(directory);
}

static struct drpc_policy *allow_all(struct drpc_problems *problems)
{
	struct drpc_policy *policy;
	char *text;

	if (asprintf(&text, "[module]\nname = %s\nid = %d\n[allow all]\ncallers = *\nmethods = *\n",
		    module->name, module->id) < 0)
		give_up("out of memory", problems);
	if (drpc_policy_parse("fuzz.policy", text, strlen(text), problems, &policy) < 0)
		give_up("has a name that no policy can have", problems);
	free(text);
	return policy;
}

/* Once: the module lives as long as the process. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *path = getenv("DRPC_FUZZ_MODULE");
	struct drpc_problems *problems = drpc_problems_new();

	(void)argc;
	(void)argv;
	if (path == NULL) {
		fprintf(stderr, "DRPC_FUZZ_MODULE names no module: nothing is tried\n");
		drpc_problems_free(problems);
		return 0;
	}
	load(path, problems);
	if (drpc_service_new(&service) < 0 || drpc_peer_new(0, 0, NULL, 0, &caller) < 0)
		give_up("no service", problems);
	if (drpc_service_register(service, module, allow_all(problems), problems) < 0)
		give_up("is refused", problems);
	if (service_begin(service, &service_default_limits, DRPC_MESSAGE_MAX_BYTES) < 0)
		give_up("does not start", problems);
	drpc_problems_free(problems);
	return 0;
}

static void check(const struct drpc_method *method, const uint8_t *bytes, size_t size)
{
	Drpc__Response *response = drpc__response__unpack(NULL, size, bytes);

	REQUIRE(response != NULL, "the Response does not decode");
	REQUIRE(response->sequence == 1, "sequence %lld", (long long)response->sequence);
	REQUIRE(response->body.len == 0 || response->status == DRPC__STATUS__SUCCESS,
		"status %d with a body", (int)response->status);
	if (response->status == DRPC__STATUS__SUCCESS && method->output != NULL) {
		ProtobufCMessage *output = protobuf_c_message_unpack(
			method->output, NULL, response->body.len, response->body.data);

		REQUIRE(output != NULL, "the output of %s is no %s", method->name,
			method->output->name);
		protobuf_c_message_free_unpacked(output, NULL);
	}
	drpc__response__free_unpacked(response, NULL);
}

static void call_method(const struct drpc_method *method, const uint8_t *body, size_t size)
{
	struct drpc_call call = {
		.module = module->id,
		.method = method->id,
		.sequence = 1,
		.body = body,
		.body_size = size,
	};
	uint8_t *response;
	uint8_t *bytes;

	REQUIRE(drpc_call_marshal(&call, &bytes, &size) == 0, "the Call does not encode");
	REQUIRE(drpc_service_process(service, caller, bytes, size, &response, &size) == 0,
		"no Response");
	check(method, response, size);
	free(response);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t choice;

	if (service == NULL)
		return 0;
	choice = (size_t)input_between(&input, 0, module->method_count - 1);
	call_method(&module->methods[choice], input.at, input.left);
	return 0;
}
