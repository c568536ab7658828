/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Client: receives calls; sends each to the server, and hands on its response or why there is none.
 */
#include <drpc/client.h>
#include <drpc/status.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "client/turn.h"
#include "util/cleanup.h"
#include "wire/assembler.h"
#include "wire/envelope.h"
#include "wire/socket.h"
#include "wire/splitter.h"

#define NEVER INT64_MAX

struct drpc_client {
	struct turn turn; /* who holds it may use all below; others only the atomics */
	struct sockaddr_un address;
	atomic_int fd; /* -1: not connected; changed only by who holds the turn */
	int64_t sequence;
	atomic_bool cancelled;
	int wake; /* an eventfd that ends a wait; readable once cancelled */
	uint8_t scratch[DRPC_CHUNK_MAX_BYTES];
};

/* What a caller gets is the first member; the body lies behind it or, if it was large, in buffer.
 */
struct owned_response {
	struct drpc_response response;
	uint8_t *buffer;
	uint8_t body[];
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t deadline_after(int timeout_ms)
{
	return timeout_ms < 0 ? NEVER : now_us() + (int64_t)timeout_ms * 1000;
}

/* Milliseconds, rounded up; -1: for ever. */
static int deadline_left(int64_t deadline)
{
	int64_t left;

	if (deadline == NEVER)
		return -1;
	left = deadline - now_us();
	return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

int drpc_client_new(const char *path, struct drpc_client **ret_client)
{
	AUTO_CLOSE int wake = -1;
	AUTO_FREE struct drpc_client *client = NULL;
	int r;

	if (path[0] == '\0')
		return -EINVAL;
	if (strlen(path) >= sizeof(client->address.sun_path))
		return -ENAMETOOLONG;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return -errno;
	r = turn_init(&client->turn);
	if (r < 0)
		return r;
	client->address.sun_family = AF_UNIX;
	strcpy(client->address.sun_path, path);
	atomic_init(&client->fd, -1);
	atomic_init(&client->cancelled, false);
	client->wake = take_fd(&wake);
	*ret_client = take_ptr(client);
	return 0;
}

/* The turn must be held. */
static void disconnect(struct drpc_client *client)
{
	int fd = atomic_exchange(&client->fd, -1);

	if (fd >= 0)
		close(fd);
}

void drpc_client_free(struct drpc_client *client)
{
	if (!client)
		return;
	disconnect(client);
	close(client->wake);
	turn_deinit(&client->turn);
	free(client);
}

void drpc_client_lock(struct drpc_client *client)
{
	(void)turn_take(&client->turn, NULL); /* without a deadline it cannot fail */
}

void drpc_client_unlock(struct drpc_client *client)
{
	turn_give(&client->turn);
}

/* Wait for a turn until the deadline. 0 or -ETIMEDOUT. */
static int lock_until(struct drpc_client *client, int64_t deadline)
{
	struct timespec until = { .tv_sec = (time_t)(deadline / 1000000),
		.tv_nsec = (long)(deadline % 1000000 * 1000) };

	return turn_take(&client->turn, deadline == NEVER ? NULL : &until);
}

bool drpc_client_is_connected(struct drpc_client *client)
{
	return atomic_load(&client->fd) >= 0;
}

const char *drpc_client_socket_path(const struct drpc_client *client)
{
	return client->address.sun_path;
}

void drpc_client_close(struct drpc_client *client)
{
	drpc_client_lock(client);
	disconnect(client);
	drpc_client_unlock(client);
}

/* Only what a signal handler may do; the interrupted code must find its errno again. */
void drpc_client_cancel(struct drpc_client *client)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	ssize_t written;

	atomic_store(&client->cancelled, true);
	written = write(client->wake, &one, sizeof(one));
	(void)written; /* it fails only when the counter is full, and then it is readable */
	errno = saved_errno;
}

static void forget_cancel(struct drpc_client *client)
{
	uint64_t count;
	ssize_t n;

	if (!atomic_exchange(&client->cancelled, false))
		return;
	n = read(client->wake, &count, sizeof(count));
	(void)n; /* it fails only when there is nothing to forget */
}

static int connect_once(int fd, const struct sockaddr_un *address)
{
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
}

/* How long a connect(2) that blocks may wait; for ever where nothing is set. */
static int set_connect_timeout(int fd, int ms)
{
	struct timeval timeout = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (ms < 0)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ? -errno : 0;
}

/*
 * Wait for a place in a full queue. poll(2) cannot do that: an unconnected Unix socket is always
 * writable. A connect(2) that blocks can, and SO_SNDTIMEO bounds it. That leaves the descriptor
 * blocking, which is no matter: each send and receive says that it does not wait.
 */
static int connect_waiting(int fd, const struct sockaddr_un *address, int64_t deadline)
{
	int r;

	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	do {
		int left = deadline_left(deadline);

		if (left == 0)
			return -ETIMEDOUT;
		r = set_connect_timeout(fd, left);
		if (r == 0)
			r = connect_once(fd, address);
	} while (r == -EINTR);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int open_connection(const struct sockaddr_un *address, int64_t deadline, int *ret_fd)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect_once(fd, address);
	if (r == -EAGAIN)
		r = connect_waiting(fd, address, deadline);
	if (r < 0)
		return r;
	socket_raise_send_buffer(fd);
	*ret_fd = take_fd(&fd);
	return 0;
}

int drpc_client_connect(struct drpc_client *client, int timeout_ms)
{
	int64_t deadline = deadline_after(timeout_ms);
	int fd = -1;
	int r;

	r = lock_until(client, deadline);
	if (r < 0)
		return r;
	forget_cancel(client);
	if (!drpc_client_is_connected(client)) {
		r = open_connection(&client->address, deadline, &fd);
		if (r == 0) {
			client->sequence = 0;
			atomic_store(&client->fd, fd);
		}
	}
	drpc_client_unlock(client);
	return r;
}

/* Wait for @events of the connection. 0, -ETIMEDOUT, -ECANCELED, or what poll(2) says. */
static int wait_for(struct drpc_client *client, short events, int64_t deadline, short *ret_events)
{
	struct pollfd fds[] = {
		{ .fd = atomic_load(&client->fd), .events = events },
		{ .fd = client->wake, .events = POLLIN },
	};
	int n;

	do {
		n = poll(fds, ARRAY_SIZE(fds), deadline_left(deadline));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	if (fds[1].revents) {
		atomic_store(&client->cancelled, true);
		return -ECANCELED;
	}
	*ret_events = fds[0].revents;
	return 0;
}

/*
 * Send until all is sent or the server has something to say: an answer that came early, or that it
 * left. It may have answered before it left, so that is no error yet: receiving will tell.
 */
static int send_call(struct drpc_client *client, struct splitter *call, int64_t deadline)
{
	struct packet_header header;
	struct iovec iov[SPLITTER_IOV_MAX];
	int fd = atomic_load(&client->fd);

	while (!splitter_is_done(call)) {
		int count = splitter_packet(call, &header, iov);
		int r = socket_send(fd, iov, (size_t)count);
		short events = 0;

		if (r == 0) {
			splitter_advance(call);
			continue;
		}
		if (r == -EPIPE || r == -ECONNRESET)
			return 0;
		if (r != -EAGAIN)
			return r;
		r = wait_for(client, POLLIN | POLLOUT, deadline, &events);
		if (r < 0)
			return r;
		if (events & (POLLIN | POLLHUP | POLLERR))
			return 0;
	}
	return 0;
}

/*
 * Receive one packet. When the server left without reading all, ECONNRESET comes before what it had
 * sent, once; so that is asked again.
 */
static int receive_packet(
	int fd, struct assembler *a, uint8_t *scratch, struct message *ret_message)
{
	struct packet_header header = { 0 };
	struct iovec iov[2] = { { .iov_base = &header, .iov_len = sizeof(header) } };
	struct received received;
	uint8_t *place;
	int r;

	r = assembler_place(a, scratch, &place, &iov[1].iov_len);
	if (r < 0)
		return r;
	iov[1].iov_base = place;
	r = socket_receive_unmarked(fd, iov, ARRAY_SIZE(iov), &received);
	if (r == -ECONNRESET)
		r = socket_receive_unmarked(fd, iov, ARRAY_SIZE(iov), &received);
	if (r < 0)
		return r == -ENOTCONN ? -ECONNRESET : r;
	r = assembler_push(a, &header, received.size, received.truncated, place, ret_message);
	return r == ASSEMBLER_REFUSED ? -EPROTO : r;
}

static int receive_message(
	struct drpc_client *client, int64_t deadline, struct message *ret_message)
{
	struct assembler a;
	short events;
	int r = -EAGAIN; /* the response to a call just sent is not there yet */

	assembler_init(&a, DRPC_MESSAGE_MAX_BYTES);
	do {
		if (r == -EAGAIN)
			r = wait_for(client, POLLIN, deadline, &events);
		if (r >= 0)
			r = receive_packet(
				atomic_load(&client->fd), &a, client->scratch, ret_message);
	} while (r == ASSEMBLER_MORE || r == -EAGAIN);
	assembler_deinit(&a);
	return r;
}

/* Decode and judge a response: it answers our call, or refuses what the server could not read. */
static int read_response(
	const struct message *message, int64_t sequence, struct drpc_response *ret_response)
{
	struct drpc_response response;

	if (envelope_decode_response(message->data, message->size, &response) < 0)
		return -EPROTO;
	if (response.sequence != sequence &&
		(response.sequence != DRPC_SEQUENCE_NONE || response.status == DRPC_STATUS_SUCCESS))
		return -EPROTO;
	if (response.status != DRPC_STATUS_SUCCESS) {
		response.body = NULL;
		response.body_size = 0;
	}
	*ret_response = response;
	return 0;
}

/* Give a response memory of its own: the message's buffer if it has one, else a copy. */
static int own_response(const struct drpc_response *response, struct message *message,
	struct drpc_response **ret_response)
{
	size_t copied = message->buffer ? 0 : response->body_size;
	struct owned_response *owned = malloc(sizeof(*owned) + copied);

	if (!owned)
		return -ENOMEM;
	owned->response = *response;
	owned->buffer = take_ptr(message->buffer);
	if (copied > 0) {
		memcpy(owned->body, response->body, copied);
		owned->response.body = owned->body;
	}
	*ret_response = &owned->response;
	return 0;
}

void drpc_response_free(struct drpc_response *response)
{
	struct owned_response *owned = (struct owned_response *)response;

	if (!owned)
		return;
	free(owned->buffer);
	free(owned);
}

static int exchange(struct drpc_client *client, struct splitter *call, int64_t deadline,
	struct drpc_response **ret_response)
{
	struct message message = { 0 };
	struct drpc_response response;
	int r;

	if (atomic_load(&client->cancelled))
		return -ECANCELED;
	r = send_call(client, call, deadline);
	if (r == 0)
		r = receive_message(client, deadline, &message);
	if (r == 0)
		r = read_response(&message, client->sequence, &response);
	if (r == 0)
		r = own_response(&response, &message, ret_response);
	free(message.buffer);
	return r;
}

/* The turn is held. */
static int send_locked(struct drpc_client *client, struct drpc_call *call, int64_t deadline,
	struct drpc_response **ret_response)
{
	struct drpc_call numbered = *call;
	uint8_t head[ENVELOPE_HEAD_MAX];
	struct splitter splitter;
	size_t head_size;
	int r;

	if (!drpc_client_is_connected(client))
		return -ENOTCONN;
	if (!call->body && call->body_size > 0)
		return -EINVAL;
	numbered.sequence = client->sequence + 1;
	head_size = envelope_encode_call(&numbered, head);
	if (numbered.body_size > DRPC_MESSAGE_MAX_BYTES - head_size)
		return -EMSGSIZE;
	client->sequence = numbered.sequence;
	call->sequence = numbered.sequence;
	splitter_init(&splitter, head, head_size, numbered.body, numbered.body_size);
	r = exchange(client, &splitter, deadline, ret_response);
	if (r < 0 || !splitter_is_done(&splitter))
		disconnect(client);
	return r;
}

int drpc_client_send(struct drpc_client *client, struct drpc_call *call, int timeout_ms,
	struct drpc_response **ret_response)
{
	int64_t deadline = deadline_after(timeout_ms);
	int r;

	r = lock_until(client, deadline);
	if (r < 0)
		return r;
	r = send_locked(client, call, deadline, ret_response);
	drpc_client_unlock(client);
	return r;
}

int drpc_client_call(struct drpc_client *client, int32_t module, int32_t method, const void *body,
	size_t body_size, int timeout_ms, struct drpc_response **ret_response)
{
	struct drpc_call call = {
		.module = module, .method = method, .body = body, .body_size = body_size
	};

	return drpc_client_send(client, &call, timeout_ms, ret_response);
}
