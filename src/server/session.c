/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Session: see session.h. From the first packet to the last, in the order in which things happen.
 */
#include "server/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/server.h"
#include "util/cleanup.h"
#include "wire/envelope.h"
#include "wire/socket.h"

/* Packets that one session may have received or sent before others get their turn. */
#define BURST_PACKETS 16

/* Sessions of one uid whose send buffer is enlarged, to 2 MiB each as the kernel counts. */
#define LARGE_BUFFERS_MAX 64

/* Strangers that one loop lets linger. */
#define STRANGERS_MAX 16

/* LATER calls that one session may have under way; beyond them it is not read. */
#define KEPT_MAX 64

static void report(struct server_session *session, enum drpc_event_kind kind, int32_t status,
	const char *reason)
{
	service_report(session->loop->server->service, &(struct drpc_event){
							       .kind = kind,
							       .peer = &session->channel.peer,
							       .status = status,
							       .reason = reason,
						       });
}

static struct quota *quota_of(const struct server_session *session)
{
	return &session->loop->server->service->quota;
}

/* What the session waits for, from what it is doing. */
static uint32_t events_wanted(const struct server_session *session)
{
	if (session->is_leaving)
		return EPOLLIN;
	if (session->outgoing != NULL)
		return EPOLLOUT;
	if (session->blocking_count > 0 || session->kept_count >= KEPT_MAX ||
		atomic_load(&session->loop->is_stopping))
		return EPOLLRDHUP;
	return EPOLLIN;
}

void session_update_events(struct server_session *session)
{
	uint32_t events = events_wanted(session);

	if (session->is_closed || events == session->events)
		return;
	session->events = events;
	if (loop_rewatch(session->loop, session->channel.fd, &session->source, events) < 0)
		session_close(session);
}

/* Opening: who is it, is there room, may they come in. */

static void session_ready(struct source *source, uint32_t events);

static void link_session(struct loop *loop, struct server_session *session)
{
	session->next = loop->sessions;
	if (loop->sessions != NULL)
		loop->sessions->previous = session;
	loop->sessions = session;
}

static void unlink_session(struct loop *loop, struct server_session *session)
{
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		loop->sessions = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
}

/* Refused, and told so: it has a moment to read it, and what it sends is thrown away unread. */
static void leave(struct server_session *session, enum drpc_status status)
{
	channel_say(session->channel.fd, status);
	assembler_deinit(&session->channel.assembler);
	quota_give_bytes(session->user, session->charged);
	session->charged = 0;
	session->is_leaving = true;
	loop_expect(session->loop, &session->loop->leaving, session);
	session_update_events(session);
}

/* Refused before there is a session. */
static void turn_away(struct server_session *session, enum drpc_status status)
{
	channel_say(session->channel.fd, status);
	channel_drain(session->channel.fd);
}

static int identify(struct server_session *session, int fd)
{
	struct drpc_service *service = session->loop->server->service;
	enum peer_fault fault;
	int r;

	r = peer_identify(&session->channel.peer, fd, &service->system, &fault);
	if (r == -EACCES) {
		report(session, DRPC_EVENT_REFUSE, DRPC_STATUS_PERMISSION_DENIED,
			peer_fault_text(fault));
		turn_away(session, DRPC_STATUS_PERMISSION_DENIED);
	}
	return r;
}

static int take_place(struct server_session *session)
{
	quota_refusal refusal = quota_open_session(quota_of(session), session->channel.peer.uid,
		session->loop->now_ns, &session->user);

	if (refusal == NULL)
		return 0;
	report(session, DRPC_EVENT_LIMIT, DRPC_STATUS_BUSY, refusal);
	turn_away(session, DRPC_STATUS_BUSY);
	return -EUSERS;
}

/*
 * A stranger gets a moment to read that it is one, so that a client which sends before it reads
 * finds the answer and no broken pipe; but only as many at a time as cannot take the places of
 * others.
 */
static int meet_stranger(struct server_session *session)
{
	struct loop *loop = session->loop;

	if (service_admits(loop->server->service, &session->channel.peer))
		return 0;
	if (loop->strangers >= STRANGERS_MAX) {
		turn_away(session, DRPC_STATUS_PERMISSION_DENIED);
		return -EACCES;
	}
	session->is_stranger = true;
	return 0;
}

static int set_up(struct server_session *session)
{
	int r = identify(session, session->channel.fd);

	if (r == 0)
		r = meet_stranger(session);
	if (r < 0)
		return r;
	r = take_place(session);
	if (r < 0)
		return r;
	session->events = EPOLLIN;
	r = loop_watch(session->loop, session->channel.fd, &session->source, EPOLLIN);
	if (r < 0)
		quota_close_session(quota_of(session), session->user, session->loop->now_ns);
	return r;
}

void session_open(struct loop *loop, int fd)
{
	struct server_session *session = calloc(1, sizeof(*session));

	if (session == NULL) {
		close(fd);
		return;
	}
	session->source.ready = session_ready;
	session->loop = loop;
	session->channel.fd = fd;
	assembler_init(&session->channel.assembler, loop->server->options.max_message_size);
	if (set_up(session) < 0) {
		close(fd);
		peer_deinit(&session->channel.peer);
		free(session);
		return;
	}
	link_session(loop, session);
	if (session->is_stranger) {
		loop->strangers++;
		leave(session, DRPC_STATUS_PERMISSION_DENIED);
	}
}

/* Sending: at once if the socket takes it, else as the peer reads. */

static void free_outgoing(struct server_session *session, struct outgoing *outgoing)
{
	quota_give_bytes(session->user, outgoing->charged);
	arena_deinit(&outgoing->arena);
	loop_keep_buffer(session->loop, outgoing->buffer, outgoing->capacity);
	if (outgoing->kept != NULL)
		kept_free(outgoing->kept);
	free(outgoing);
}

static void queue_outgoing(struct server_session *session, struct outgoing *outgoing)
{
	if (session->outgoing == NULL) {
		session->outgoing = outgoing;
		loop_expect(session->loop, &session->loop->sending, session);
	} else {
		session->outgoing_last->next = outgoing;
	}
	session->outgoing_last = outgoing;
	session_update_events(session);
}

/* The part of a call that a response may point into, besides the arena: where it lay as it came in.
 */
struct call_memory {
	uint8_t *buffer; /* the message's own, or NULL */
	size_t capacity;
	size_t charged;
	const uint8_t *scratch; /* the loop's, when buffer is NULL */
};

static bool is_in_scratch(const struct call_memory *memory, const uint8_t *body)
{
	return body >= memory->scratch && body < memory->scratch + DRPC_CHUNK_MAX_BYTES;
}

/* Move everything that the rest of the response lies in out of the loop's memory. */
static int keep_memory(
	struct server_session *session, struct outgoing *outgoing, struct call_memory *memory)
{
	struct splitter *splitter = &outgoing->splitter;

	if (memory->buffer != NULL) {
		outgoing->buffer = take_ptr(memory->buffer);
		outgoing->capacity = memory->capacity;
	} else if (is_in_scratch(memory, splitter->body)) {
		outgoing->buffer = malloc(splitter->body_size);
		if (outgoing->buffer == NULL)
			return -ENOMEM;
		outgoing->capacity = splitter->body_size;
		memcpy(outgoing->buffer, splitter->body, splitter->body_size);
		splitter->body = outgoing->buffer;
	}
	arena_move(&session->loop->arena, &outgoing->arena);
	outgoing->charged = memory->charged;
	memory->charged = 0;
	return 0;
}

/* The bytes that a peer makes the server hold by not reading count like those that it sends. */
static bool charge_outgoing(struct server_session *session, struct outgoing *outgoing)
{
	size_t bytes = sizeof(*outgoing) + outgoing->capacity + arena_held(&outgoing->arena);

	if (bytes <= outgoing->charged)
		return true;
	if (!quota_take_bytes(quota_of(session), session->user, bytes - outgoing->charged))
		return false;
	outgoing->charged = bytes;
	return true;
}

/* The socket did not take all of it. @memory: of a call that was answered at once; @kept: of
 * another. */
static int hold_back(struct server_session *session, const struct splitter *splitter,
	struct call_memory *memory, struct kept *kept)
{
	struct outgoing *outgoing = calloc(1, sizeof(*outgoing));

	if (outgoing == NULL)
		return -ENOMEM;
	outgoing->splitter = *splitter;
	memcpy(outgoing->head, splitter->head, splitter->head_size);
	outgoing->splitter.head = outgoing->head;
	if (memory != NULL && keep_memory(session, outgoing, memory) < 0) {
		free_outgoing(session, outgoing);
		return -ENOMEM;
	}
	if (!charge_outgoing(session, outgoing)) {
		report(session, DRPC_EVENT_LIMIT, DRPC_STATUS_BUSY, "max-bytes-per-uid");
		free_outgoing(session, outgoing);
		return -ENOBUFS;
	}
	outgoing->kept = kept;
	queue_outgoing(session, outgoing);
	return 0;
}

/* Unread answers in the kernel are memory too, so only so many sessions of a uid get room for large
 * ones. */
static void enlarge_buffer(struct server_session *session)
{
	if (session->has_large_buffer ||
		!quota_take_one(&session->user->large_buffers, LARGE_BUFFERS_MAX))
		return;
	session->has_large_buffer = true;
	socket_raise_send_buffer(session->channel.fd);
}

/* 0: sent. 1: held back, and what it lies in is the session's. Negative: the session ends. */
static int send_response(struct server_session *session, const struct drpc_response *response,
	struct call_memory *memory, struct kept *kept)
{
	uint8_t head[ENVELOPE_HEAD_MAX];
	struct splitter splitter;
	int r = -EAGAIN;

	splitter_init(&splitter, head, envelope_encode_response(response, head), response->body,
		response->body_size);
	if (response->body_size > DRPC_CHUNK_MAX_BYTES / 2)
		enlarge_buffer(session);
	if (session->outgoing == NULL)
		r = channel_send(&session->channel, &splitter, BURST_PACKETS);
	if (r != -EAGAIN)
		return r;
	r = hold_back(session, &splitter, memory, kept);
	return r < 0 ? r : 1;
}

/* A message midway had to wait for answers to go out; one that is overdue by now waits no longer.
 */
static void expect_rest(struct server_session *session)
{
	struct loop *loop = session->loop;

	loop_expect(loop, &loop->receiving, session);
	if (loop->now_ns - session->begun_ns >= loop->receiving.wait_ns)
		session_expire(session);
}

static void write_on(struct server_session *session)
{
	while (session->outgoing != NULL) {
		struct outgoing *outgoing = session->outgoing;
		uint32_t before = outgoing->splitter.next_chunk;
		int r = channel_send(&session->channel, &outgoing->splitter, BURST_PACKETS);

		if (r < 0 && r != -EAGAIN) {
			session_close(session);
			return;
		}
		if (r == 0 || outgoing->splitter.next_chunk != before)
			loop_expect(session->loop, &session->loop->sending, session);
		if (r == -EAGAIN)
			return;
		session->outgoing = outgoing->next;
		free_outgoing(session, outgoing);
	}
	loop_expect_no_more(session);
	if (assembler_is_midway(&session->channel.assembler))
		expect_rest(session);
	session_update_events(session);
}

/* A whole message: judge it, run it now or keep it for later, respond. */

static void link_kept(struct server_session *session, struct kept *kept)
{
	kept->owner = session;
	kept->sibling_next = session->kept;
	if (session->kept != NULL)
		session->kept->sibling_previous = kept;
	session->kept = kept;
	session->kept_count++;
	if (kept->request.method->mode == DRPC_METHOD_BLOCKING)
		session->blocking_count++;
}

static void unlink_kept(struct server_session *session, struct kept *kept)
{
	if (kept->sibling_previous != NULL)
		kept->sibling_previous->sibling_next = kept->sibling_next;
	else
		session->kept = kept->sibling_next;
	if (kept->sibling_next != NULL)
		kept->sibling_next->sibling_previous = kept->sibling_previous;
	session->kept_count--;
	if (kept->request.method->mode == DRPC_METHOD_BLOCKING)
		session->blocking_count--;
}

static void answered(struct kept *kept)
{
	struct server_session *session = kept->owner;

	loop_take_answer(session->loop, kept);
}

void session_take_answer(struct server_session *session, struct kept *kept)
{
	int r = -ENOTCONN;

	unlink_kept(session, kept);
	request_end(&kept->request);
	if (!session->is_closed && !session->is_leaving)
		r = send_response(session, &kept->request.response, NULL, kept);
	if (r <= 0)
		kept_free(kept);
	if (r < 0)
		session_close(session);
	else
		session_update_events(session);
}

/* Give a kept request to whoever runs it. */
static void begin_kept(struct server_session *session, struct kept *kept)
{
	kept->answered = answered;
	link_kept(session, kept);
	if (kept->request.method->mode == DRPC_METHOD_LATER) {
		if (request_run(&kept->request))
			session_take_answer(session, kept);
	} else if (!workers_submit(&session->loop->server->workers, kept)) {
		request_refuse_busy(&kept->request, "the queue for blocking methods");
		session_take_answer(session, kept);
	}
}

static void respond_now(
	struct server_session *session, struct drpc_request *request, struct call_memory *memory)
{
	int r;

	request_end(request);
	r = send_response(session, &request->response, memory, NULL);
	if (r < 0)
		session_close(session);
}

/* Returns whether the request was kept; if not, it has a response. */
static bool keep(struct server_session *session, struct drpc_request *request,
	struct message *message, struct call_memory *memory)
{
	struct kept *kept;
	int r;

	quota_give_bytes(session->user, memory->charged);
	memory->charged = 0;
	r = request_keep(request, message, &kept);
	memory->buffer = message->buffer;
	if (r < 0) {
		request_refuse_busy(
			request, r == -ENOBUFS ? "max-bytes-per-uid" : QUOTA_OUT_OF_MEMORY);
		return false;
	}
	begin_kept(session, kept);
	return true;
}

static void handle(struct server_session *session, struct message *message)
{
	struct loop *loop = session->loop;
	struct call_memory memory = { message->buffer, message->capacity, session->charged,
		loop->scratch->data };
	struct drpc_request request;
	bool is_kept = false;

	session->charged = 0;
	arena_reset(&loop->arena, 0);
	request_begin(&request, loop->server->service, &session->channel.peer, session->user,
		&loop->arena, session->channel.fd);
	if (request_judge(&request, message->data, message->size, loop->now_ns)) {
		if (request.method->mode == DRPC_METHOD_NOW)
			request_run(&request);
		else
			is_kept = keep(session, &request, message, &memory);
	}
	if (!is_kept)
		respond_now(session, &request, &memory);
	quota_give_bytes(session->user, memory.charged);
	loop_keep_buffer(loop, memory.buffer, memory.capacity);
	session_update_events(session);
}

/* Reading: packets until a message is whole, or the others' turn has come. */

/* The memory of a message midway is the uid's. */
static bool charge_midway(struct server_session *session)
{
	size_t held = assembler_held(&session->channel.assembler);

	if (held > session->charged &&
		!quota_take_bytes(quota_of(session), session->user, held - session->charged)) {
		report(session, DRPC_EVENT_LIMIT, DRPC_STATUS_BUSY, "max-bytes-per-uid");
		return false;
	}
	session->charged = held;
	return true;
}

static void take_chunk(struct server_session *session)
{
	if (session->expected_in == NULL) {
		session->begun_ns = session->loop->now_ns;
		loop_expect(session->loop, &session->loop->receiving, session);
	}
	if (!charge_midway(session))
		leave(session, DRPC_STATUS_BUSY);
}

static void receive_failed(struct server_session *session, int error, const char *why)
{
	if (error == -EPROTO)
		report(session, DRPC_EVENT_PROTOCOL, 0, why);
	else if (error != -ENOTCONN && error != -ECONNRESET)
		report(session, DRPC_EVENT_PROTOCOL, 0, strerror(-error));
	session_close(session);
}

static void read_on(struct server_session *session)
{
	for (int i = 0; i < BURST_PACKETS && !session->is_leaving; i++) {
		struct message message;
		const char *why;
		int r = channel_receive(&session->channel, session->loop->scratch, &message, &why);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			receive_failed(session, r, why);
			return;
		}
		if (r == CHANNEL_WHOLE) {
			loop_expect_no_more(session);
			handle(session, &message);
			return;
		}
		take_chunk(session);
	}
}

static void leave_on(struct server_session *session, uint32_t events)
{
	if (channel_drain(session->channel.fd) || (events & (EPOLLHUP | EPOLLERR)) != 0)
		session_close(session);
}

static void session_ready(struct source *source, uint32_t events)
{
	struct server_session *session = (struct server_session *)source;

	if (session->is_closed)
		return;
	if (session->is_leaving)
		leave_on(session, events);
	else if (session->outgoing != NULL)
		write_on(session);
	else if ((session->events & EPOLLIN) != 0)
		read_on(session);
	else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		session_close(session); /* while it waited for answers */
}

/* Ends. */

void session_expire(struct server_session *session)
{
	const struct loop *loop = session->loop;

	if (session->expected_in == &loop->receiving)
		report(session, DRPC_EVENT_LIMIT, 0,
			"message-timeout: a message was begun and not completed");
	else if (session->expected_in == &loop->sending)
		report(session, DRPC_EVENT_LIMIT, 0,
			"send-timeout: the peer does not read its answers");
	session_close(session);
}

static void free_all_outgoing(struct server_session *session)
{
	while (session->outgoing != NULL) {
		struct outgoing *outgoing = session->outgoing;

		session->outgoing = outgoing->next;
		free_outgoing(session, outgoing);
	}
}

void session_close(struct server_session *session)
{
	struct loop *loop = session->loop;

	if (session->is_closed)
		return;
	session->is_closed = true;
	if (session->is_stranger)
		loop->strangers--;
	loop_expect_no_more(session);
	close(session->channel.fd);
	session->channel.fd = -1;
	assembler_deinit(&session->channel.assembler);
	free_all_outgoing(session);
	quota_give_bytes(session->user, session->charged);
	session->charged = 0;
	if (session->has_large_buffer)
		quota_give_one(&session->user->large_buffers);
	unlink_session(loop, session);
	session->next = loop->closed;
	loop->closed = session;
	for (struct kept *kept = session->kept; kept != NULL; kept = kept->sibling_next)
		kept_cancel(kept);
}

bool session_is_busy(const struct server_session *session)
{
	return session->outgoing != NULL || session->kept_count > 0;
}

bool session_is_free(const struct server_session *session)
{
	return session->kept_count == 0;
}

void session_free(struct server_session *session)
{
	quota_close_session(quota_of(session), session->user, session->loop->now_ns);
	peer_deinit(&session->channel.peer);
	free(session);
}
