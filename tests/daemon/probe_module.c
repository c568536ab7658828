/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Module probe: does what a handler in a stranger's hands would. Receives the number of a system
 * call and up to six arguments, in decimal, between spaces; hands on what the kernel answers, where
 * the sandbox lets it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drpc/module.h>

#define NUMBERS_MAX 7 /* the system call's, and its arguments */

/* Numbers that are not there are 0. */
static void numbers_read(char *text, long numbers[NUMBERS_MAX])
{
	char *rest = text;

	for (size_t i = 0; i < NUMBERS_MAX; i++)
		numbers[i] = strtol(rest, &rest, 10);
}

static int probe_syscall(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);
	char *text = drpc_request_alloc(request, call->body_size + 1);
	long n[NUMBERS_MAX], result;

	(void)input;
	(void)output;
	if (text == NULL)
		return -ENOMEM;
	if (call->body_size > 0)
		memcpy(text, call->body, call->body_size);
	numbers_read(text, n);
	result = syscall(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
	text = drpc_request_printf(request, "%ld", result < 0 ? -errno : result);
	if (text == NULL)
		return -ENOMEM;
	drpc_request_set_body(request, text, strlen(text));
	return 0;
}

static const struct drpc_method methods[] = {
	{ .id = 0, .name = "syscall", .handler = probe_syscall },
};

DRPC_MODULE = {
	.abi = DRPC_MODULE_ABI,
	.id = 900,
	.name = "probe",
	.methods = methods,
	.method_count = sizeof(methods) / sizeof(methods[0]),
};
