/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Single: drpc_session, one connection served by the caller's own thread. The same channel and the
 * same service as a server's sessions, with a poll(2) in place of a loop.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <drpc/session.h>

#include "server/channel.h"
#include "service/serve.h"
#include "util/cleanup.h"
#include "wire/envelope.h"

#define NS_PER_MS UINT64_C(1000000)

struct drpc_session {
	struct drpc_service *service;
	struct channel channel;
	struct quota_user *user;
	size_t charged; /* bytes of the user's quota */
	struct arena arena;
	struct channel_scratch *scratch;

	/* A response that the peer did not read in time. */
	struct served served;
	struct message message;
	struct splitter splitter;
	uint8_t head[ENVELOPE_HEAD_MAX];
	bool is_sending;
};

static void report(
	struct drpc_session *session, enum drpc_event_kind kind, int32_t status, const char *reason)
{
	service_report(session->service, &(struct drpc_event){
						 .kind = kind,
						 .peer = &session->channel.peer,
						 .status = status,
						 .reason = reason,
					 });
}

static int identify(struct drpc_session *session, int fd)
{
	enum peer_fault fault;
	int r = peer_identify(&session->channel.peer, fd, &session->service->system, &fault);

	if (r == -EACCES)
		report(session, DRPC_EVENT_REFUSE, DRPC_STATUS_PERMISSION_DENIED,
			peer_fault_text(fault));
	return r;
}

static int set_up(struct drpc_session *session, int fd)
{
	int on = 1;
	int r;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	session->scratch = calloc(1, sizeof(*session->scratch));
	if (session->scratch == NULL)
		return -ENOMEM;
	r = identify(session, fd);
	if (r < 0)
		return r;
	return quota_error(quota_open_session(&session->service->quota, session->channel.peer.uid,
		serve_clock_ns(), &session->user));
}

int drpc_session_new(int fd, struct drpc_service *service, struct drpc_session **ret_session)
{
	struct drpc_session *session = calloc(1, sizeof(*session));
	int r;

	if (session == NULL)
		return -ENOMEM;
	session->service = service;
	session->channel.fd = -1;
	arena_init(&session->arena);
	r = service_begin(service, NULL, 0);
	assembler_init(&session->channel.assembler, service->max_message_size);
	if (r == 0)
		r = set_up(session, fd);
	if (r == 0 && !service_admits(service, &session->channel.peer)) {
		channel_say(fd, DRPC_STATUS_PERMISSION_DENIED);
		r = -EACCES;
	}
	if (r < 0) {
		drpc_session_free(session);
		return r;
	}
	session->channel.fd = fd;
	*ret_session = session;
	return 0;
}

static void give_back(struct drpc_session *session)
{
	if (session->user != NULL)
		quota_give_bytes(session->user, session->charged);
	session->charged = 0;
}

static void end_response(struct drpc_session *session)
{
	if (!session->is_sending)
		return;
	session->is_sending = false;
	served_end(&session->served);
	free(session->message.buffer);
	session->message.buffer = NULL;
	give_back(session);
}

void drpc_session_free(struct drpc_session *session)
{
	if (session == NULL)
		return;
	end_response(session);
	give_back(session);
	cleanup_close(&session->channel.fd);
	assembler_deinit(&session->channel.assembler);
	arena_deinit(&session->arena);
	if (session->user != NULL)
		quota_close_session(&session->service->quota, session->user, serve_clock_ns());
	peer_deinit(&session->channel.peer);
	free(session->scratch);
	free(session);
}

int drpc_session_fd(const struct drpc_session *session)
{
	return session->channel.fd;
}

const struct drpc_peer *drpc_session_peer(const struct drpc_session *session)
{
	return &session->channel.peer;
}

/* Wait until the descriptor is ready or the deadline (0: none) has passed. */
static int wait_for(const struct drpc_session *session, short events, uint64_t deadline_ns)
{
	struct pollfd ready = { .fd = session->channel.fd, .events = events };
	uint64_t now_ns = serve_clock_ns();
	int wait_ms = -1;
	int r;

	if (deadline_ns != 0)
		wait_ms = deadline_ns <= now_ns
				  ? 0
				  : (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
	r = poll(&ready, 1, wait_ms);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

/* The memory of a message midway is the uid's, until its response is sent. */
static int charge_midway(struct drpc_session *session)
{
	size_t held = assembler_held(&session->channel.assembler);

	if (held <= session->charged)
		return 0;
	if (!quota_take_bytes(&session->service->quota, session->user, held - session->charged)) {
		report(session, DRPC_EVENT_LIMIT, DRPC_STATUS_BUSY, "max-bytes-per-uid");
		return -ENOBUFS;
	}
	session->charged = held;
	return 0;
}

static int receive_message(struct drpc_session *session, uint64_t deadline_ns)
{
	for (;;) {
		const char *why;
		int r = channel_receive(
			&session->channel, session->scratch, &session->message, &why);

		if (r == -EAGAIN) {
			r = wait_for(session, POLLIN, deadline_ns);
			if (r < 0)
				return r;
		} else if (r == CHANNEL_MORE) {
			r = charge_midway(session);
			if (r < 0)
				return r;
		} else {
			if (r == -EPROTO)
				report(session, DRPC_EVENT_PROTOCOL, 0, why);
			return r;
		}
	}
}

static void answer_message(struct drpc_session *session)
{
	struct served *served = &session->served;

	arena_reset(&session->arena, 0);
	serve(served, session->service, &session->channel.peer, session->user, &session->arena,
		session->channel.fd, &session->message, serve_clock_ns());
	splitter_init(&session->splitter, session->head,
		envelope_encode_response(&served->request.response, session->head),
		served->request.response.body, served->request.response.body_size);
	session->is_sending = true;
}

static int send_response(struct drpc_session *session, uint64_t deadline_ns)
{
	int r;

	while ((r = channel_send(&session->channel, &session->splitter, UINT32_MAX)) == -EAGAIN) {
		r = wait_for(session, POLLOUT, deadline_ns);
		if (r < 0)
			return r;
	}
	end_response(session);
	return r;
}

int drpc_session_process(struct drpc_session *session, int timeout_ms)
{
	uint64_t deadline_ns = 0;
	int r;

	if (timeout_ms >= 0)
		deadline_ns = serve_clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	if (!session->is_sending) {
		r = receive_message(session, deadline_ns);
		if (r < 0)
			return r;
		answer_message(session);
	}
	return send_response(session, deadline_ns);
}
