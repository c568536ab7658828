/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module hello: the wire's own test service. Greets whoever is named. */
#include <errno.h>

#include <drpc/module.h>

#include "hello.pb-c.h"

static int greeting(struct drpc_request *request, const void *input, void *output)
{
	const Hello__Hello *hello = input;
	Hello__HelloResponse *response = output;

	response->greeting = drpc_request_printf(request, "Hello %s", hello->name);
	return response->greeting != NULL ? 0 : -ENOMEM;
}

static const struct drpc_method methods[] = {
	{
		.id = 0,
		.name = "greeting",
		.input = &hello__hello__descriptor,
		.output = &hello__hello_response__descriptor,
		.handler = greeting,
	},
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 0,
	.name = "hello",
	.methods = methods,
	.method_count = sizeof(methods) / sizeof(methods[0]),
};
