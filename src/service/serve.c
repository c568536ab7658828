/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Serve: see serve.h. */
#include "service/serve.h"

#include <errno.h>
#include <time.h>

#include <drpc/service.h>

#include "util/cleanup.h"

/* Where a thread waits for an answer that comes later. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool is_answered;
};

uint64_t serve_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wake_waiter(struct kept *kept)
{
	struct waiter *waiter = kept->owner;

	pthread_mutex_lock(&waiter->lock);
	waiter->is_answered = true;
	pthread_cond_signal(&waiter->answered);
	pthread_mutex_unlock(&waiter->lock);
}

static void run_and_wait(struct kept *kept)
{
	struct waiter waiter = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

	kept->answered = wake_waiter;
	kept->owner = &waiter;
	if (request_run(&kept->request))
		return;
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.is_answered)
		pthread_cond_wait(&waiter.answered, &waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
}

void serve(struct served *served, struct drpc_service *service, const struct drpc_peer *peer,
	struct quota_user *user, struct arena *arena, int socket, struct message *message,
	uint64_t now_ns)
{
	struct drpc_request *request = &served->request;
	int r;

	served->kept = NULL;
	request_begin(request, service, peer, user, arena, socket);
	if (!request_judge(request, message->data, message->size, now_ns))
		return;
	if (request->method->mode != DRPC_METHOD_LATER) {
		request_run(request);
		return;
	}
	r = request_keep(request, message, &served->kept);
	if (r < 0) {
		request_refuse_busy(
			request, r == -ENOBUFS ? "max-bytes-per-uid" : QUOTA_OUT_OF_MEMORY);
		return;
	}
	run_and_wait(served->kept);
	*request = served->kept->request;
}

void served_end(struct served *served)
{
	request_end(&served->request);
	if (served->kept != NULL)
		kept_free(served->kept);
	served->kept = NULL;
}

int drpc_service_process(struct drpc_service *service, const struct drpc_peer *peer,
	const uint8_t *bytes, size_t size, uint8_t **ret_bytes, size_t *ret_size)
{
	struct message message = { .data = bytes, .size = size };
	uint64_t now_ns = serve_clock_ns();
	struct quota_user *user;
	struct served served;
	struct arena arena;
	int r;

	r = service_begin(service, NULL, 0);
	if (r < 0)
		return r;
	r = quota_error(quota_open_session(&service->quota, drpc_peer_uid(peer), now_ns, &user));
	if (r < 0)
		return r;
	arena_init(&arena);
	serve(&served, service, peer, user, &arena, -1, &message, now_ns);
	r = drpc_response_marshal(&served.request.response, ret_bytes, ret_size);
	served_end(&served);
	arena_deinit(&arena);
	quota_close_session(&service->quota, user, now_ns);
	return r;
}
