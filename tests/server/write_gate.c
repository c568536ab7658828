/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Write gate: see write_gate.h. */
#include "write_gate.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/lab.h"

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static _Thread_local bool is_closed;
static struct {
	sem_t entered;
	sem_t opened;
	bool drop;
} gate;

void write_gate_close(void)
{
	is_closed = true;
}

__attribute__((constructor)) static void init(void)
{
	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.opened, 0, 0);
}

void write_gate_wait(void)
{
	if (!lab_wait(&gate.entered))
		abort();
}

void write_gate_open(bool drop)
{
	gate.drop = drop;
	sem_post(&gate.opened);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (!is_closed)
		return __real_write(fd, data, size);
	is_closed = false;
	sem_post(&gate.entered);
	if (!lab_wait(&gate.opened))
		abort();
	return gate.drop ? (ssize_t)size : __real_write(fd, data, size);
}
