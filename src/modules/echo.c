/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Module echo: gives the body back, whatever it is and whatever its size. */
#include <drpc/module.h>

static int echo(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);

	(void)input;
	(void)output;
	drpc_request_set_body(request, call->body, call->body_size);
	return 0;
}

static const struct drpc_method methods[] = {
	{ .id = 0, .name = "echo", .handler = echo },
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 1001,
	.name = "echo",
	.methods = methods,
	.method_count = sizeof(methods) / sizeof(methods[0]),
};
