/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* House: see house.h. */
#include "house.h"

#include "groups.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct house house;

static int next_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int house_set_up(void **state)
{
	(void)state;
	house = (struct house){ .dir = "/tmp/drpc-server-XXXXXX" };
	house.free_fd = next_free_fd();
	if (mkdtemp(house.dir) == NULL)
		return -1;
	snprintf(house.path, sizeof(house.path), "%s/socket", house.dir);
	house.options.path = house.path;
	house.options.threads = 2;
	house.options.workers = 2;
	return 0;
}

int house_tear_down(void **state)
{
	(void)state;
	drpc_server_free(house.server);
	lab_close();
	if (rmdir(house.dir) < 0) {
		perror(house.dir);
		return -1;
	}
	return next_free_fd() == house.free_fd ? 0 : -1;
}

void house_open(const char *policy)
{
	lab_open(policy, false);
	assert_int_equal(drpc_server_new(lab.service, &house.options, &house.server), 0);
}

void house_start(void)
{
	house_open(lab_open_policy);
	assert_int_equal(drpc_server_start(house.server), 0);
}

static void *end(void *argument)
{
	struct house_end *e = argument;

	e->result = drpc_server_shutdown(house.server, e->timeout_ms);
	sem_post(&e->done);
	return NULL;
}

void house_end_start(struct house_end *e, int timeout_ms)
{
	e->timeout_ms = timeout_ms;
	sem_init(&e->done, 0, 0);
	assert_int_equal(pthread_create(&e->thread, NULL, end, e), 0);
}

int house_end_wait(struct house_end *e)
{
	pthread_join(e->thread, NULL);
	sem_destroy(&e->done);
	return e->result;
}
