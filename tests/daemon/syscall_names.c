/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Receives nothing; hands on a line for each system call that libseccomp can name: its number, its
 * name, and whether the sandbox has it on its list: "listed", "pinned" (with certain arguments) or
 * "forbidden".
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drpc/sandbox.h>

#define NUMBERS 1024

static const char *place_of(const char *name)
{
	const struct drpc_sandbox_call *call;

	for (size_t i = 0; (call = drpc_sandbox_call(i)) != NULL; i++) {
		if (strcmp(call->name, name) == 0)
			return call->pinned ? "pinned" : "listed";
	}
	return "forbidden";
}

int main(void)
{
	for (int number = 0; number < NUMBERS; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

		if (name != NULL)
			printf("%d %s %s\n", number, name, place_of(name));
		free(name);
	}
	return 0;
}
