/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Loop: see loop.h. */
#include "server/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/listener.h"
#include "server/server.h"
#include "server/session.h"
#include "service/serve.h"
#include "util/cleanup.h"

#define NS_PER_MS	UINT64_C(1000000)
#define LEAVING_WAIT_NS (1000 * NS_PER_MS)
#define SPARE_WAIT_NS	(1000 * NS_PER_MS)

int loop_watch(struct loop *loop, int fd, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int loop_rewatch(struct loop *loop, int fd, struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

void loop_expect_no_more(struct server_session *session)
{
	struct deadline_list *list = session->expected_in;

	if (list == NULL)
		return;
	if (session->earlier != NULL)
		session->earlier->later = session->later;
	else
		list->first = session->later;
	if (session->later != NULL)
		session->later->earlier = session->earlier;
	else
		list->last = session->earlier;
	session->expected_in = NULL;
}

void loop_expect(struct loop *loop, struct deadline_list *list, struct server_session *session)
{
	loop_expect_no_more(session);
	session->expected_in = list;
	session->deadline_ns = loop->now_ns + list->wait_ns;
	session->later = NULL;
	session->earlier = list->last;
	if (list->last != NULL)
		list->last->later = session;
	else
		list->first = session;
	list->last = session;
}

static void expire_list(struct loop *loop, struct deadline_list *list)
{
	while (list->first != NULL && list->first->deadline_ns <= loop->now_ns)
		session_expire(list->first);
}

void loop_keep_buffer(struct loop *loop, uint8_t *buffer, size_t capacity)
{
	if (buffer == NULL)
		return;
	channel_scratch_keep(loop->scratch, buffer, capacity);
	loop->trim_ns = loop->now_ns + SPARE_WAIT_NS;
}

static void expire(struct loop *loop)
{
	if (loop->trim_ns != 0 && loop->trim_ns <= loop->now_ns) {
		loop->trim_ns = 0;
		channel_scratch_trim(loop->scratch);
	}
	expire_list(loop, &loop->receiving);
	expire_list(loop, &loop->sending);
	expire_list(loop, &loop->leaving);
	if (loop->accept_again_ns != 0 && loop->accept_again_ns <= loop->now_ns)
		listener_resume(loop);
}

/* 0 stands for never. */
static void earliest(uint64_t *soonest_ns, uint64_t time_ns)
{
	if (time_ns != 0 && time_ns < *soonest_ns)
		*soonest_ns = time_ns;
}

static uint64_t first_deadline(const struct deadline_list *list)
{
	return list->first != NULL ? list->first->deadline_ns : 0;
}

/* Milliseconds until something expires or @until_ns comes, rounded up; -1: for ever. */
static int time_to_wait(const struct loop *loop, uint64_t until_ns)
{
	uint64_t soonest_ns = until_ns;
	uint64_t wait_ms;

	earliest(&soonest_ns, first_deadline(&loop->receiving));
	earliest(&soonest_ns, first_deadline(&loop->sending));
	earliest(&soonest_ns, first_deadline(&loop->leaving));
	earliest(&soonest_ns, loop->accept_again_ns);
	earliest(&soonest_ns, loop->trim_ns);
	if (soonest_ns == UINT64_MAX)
		return -1;
	if (soonest_ns <= loop->now_ns)
		return 0;
	wait_ms = (soonest_ns - loop->now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* It can only fail when the counter is full, and then the loop is awake. */
	if (write(loop->wake, &one, sizeof(one)) < 0)
		return;
}

/* Wakes under the lock: once the loop has the answer it may end, and be gone when the lock is free.
 */
void loop_take_answer(struct loop *loop, struct kept *kept)
{
	pthread_mutex_lock(&loop->lock);
	if (loop->answered == NULL)
		loop_wake(loop);
	kept->next = loop->answered;
	loop->answered = kept;
	pthread_mutex_unlock(&loop->lock);
}

/* The answers in the order in which they came. */
static struct kept *take_answered(struct loop *loop)
{
	struct kept *newest_first;
	struct kept *in_order = NULL;

	pthread_mutex_lock(&loop->lock);
	newest_first = take_ptr(loop->answered);
	pthread_mutex_unlock(&loop->lock);
	while (newest_first != NULL) {
		struct kept *kept = newest_first;

		newest_first = kept->next;
		kept->next = in_order;
		in_order = kept;
	}
	return in_order;
}

static void woken(struct source *source, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)source - offsetof(struct loop, wake_source));
	struct kept *answered;
	uint64_t ignored;

	(void)events;
	if (read(loop->wake, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return;
	answered = take_answered(loop);
	while (answered != NULL) {
		struct kept *kept = answered;

		answered = kept->next;
		session_take_answer(kept->owner, kept);
	}
	if (atomic_load(&loop->may_accept) && !atomic_load(&loop->is_stopping) &&
		loop->accept_again_ns == 0)
		listener_resume(loop);
}

static void free_closed(struct loop *loop)
{
	struct server_session **link = &loop->closed;

	while (*link != NULL) {
		struct server_session *session = *link;

		if (session_is_free(session)) {
			*link = session->next;
			session_free(session);
		} else {
			link = &session->next;
		}
	}
}

/* Close what has nothing under way, or everything if it may wait no longer; the rest is not read.
 */
static void wind_down(struct loop *loop)
{
	bool is_cut = atomic_load(&loop->is_cut);
	struct server_session *session = loop->sessions;

	listener_pause(loop);
	loop->accept_again_ns = 0;
	while (session != NULL) {
		struct server_session *next = session->next;

		if (is_cut && session_is_busy(session))
			atomic_store(&loop->server->has_cut, true);
		if (is_cut || !session_is_busy(session))
			session_close(session);
		else
			session_update_events(session);
		session = next;
	}
}

static void dispatch(const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;

		source->ready(source, events[i].events);
	}
}

bool loop_turn(struct loop *loop, uint64_t until_ns)
{
	int count;

	if (atomic_load(&loop->is_stopping)) {
		wind_down(loop);
		free_closed(loop);
		if (loop->sessions == NULL && loop->closed == NULL)
			return false;
	}
	count = epoll_pwait(
		loop->epoll, loop->events, LOOP_BATCH_EVENTS, time_to_wait(loop, until_ns), NULL);
	loop->now_ns = serve_clock_ns();
	dispatch(loop->events, count);
	expire(loop);
	free_closed(loop);
	return true;
}

void *loop_run(void *data)
{
	struct loop *loop = data;

	while (loop_turn(loop, UINT64_MAX))
		;
	server_loop_ended(loop->server);
	return NULL;
}

int loop_init(struct loop *loop, struct drpc_server *server)
{
	const struct drpc_server_options *options = &server->options;

	*loop = (struct loop){
		.server = server,
		.wake_source = { woken },
		.accept_source = { listener_ready },
		.interrupt_source = { server_interrupted },
		.receiving.wait_ns = options->message_timeout_ms * NS_PER_MS,
		.sending.wait_ns = options->send_timeout_ms * NS_PER_MS,
		.leaving.wait_ns = LEAVING_WAIT_NS,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.now_ns = serve_clock_ns(),
		.epoll = -1,
		.wake = -1,
	};
	arena_init(&loop->arena);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake < 0)
		return -errno;
	loop->scratch = calloc(1, sizeof(*loop->scratch));
	if (loop->scratch == NULL)
		return -ENOMEM;
	return loop_watch(loop, loop->wake, &loop->wake_source, EPOLLIN);
}

void loop_deinit(struct loop *loop)
{
	cleanup_close(&loop->wake);
	loop->wake = -1;
	cleanup_close(&loop->epoll);
	if (loop->scratch != NULL)
		channel_scratch_trim(loop->scratch);
	free(loop->scratch);
	arena_deinit(&loop->arena);
	pthread_mutex_destroy(&loop->lock);
}
