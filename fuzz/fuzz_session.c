/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_session: a session at one end of a socketpair, the harness at the other. The input's bytes
 * are operations: send the next chunk of a call, a spoiled or random packet, an empty one, all of
 * them with or without descriptors; have the session process; read answers.
 *
 * Processing answers one whole message, in the order in which they were sent; says -ETIMEDOUT where
 * none is there; ends with -EPROTO at the first packet that the rules refuse, and every answer
 * before it arrives all the same. What comes back is well-formed packets of the Responses that were
 * expected, and nothing else. No descriptor is left open or taken in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <drpc/session.h>

#include "drpc.pb-c.h"
#include "packets.h"

enum { OPERATIONS_MAX = 64, QUEUE_MAX = 64, DESCRIPTORS = 64, ROUNDS_MAX = 256, EXTRA_MAX = 3 };

/* What a Response must be. */
struct answer {
	int64_t sequence;
	int32_t status;
	uint8_t *body;
	size_t body_size;
};

/* A packet on its way, and what it must come to. */
struct sent {
	enum outcome outcome;
	struct answer answer; /* with OUTCOME_WHOLE */
};

struct bytes {
	uint8_t *data;
	size_t size;
};

struct run {
	struct drpc_session *session;
	int fd; /* the harness's end */
	int open_descriptors;
	bool is_over;

	struct receiver rules; /* of what was sent */
	struct bytes message;  /* sent so far, of the message midway */
	struct bytes call;     /* that is being sent by the rules */
	struct sent queue[QUEUE_MAX];
	size_t queued;

	struct answer expected[QUEUE_MAX];
	size_t expected_count;
	struct receiver answers; /* of what came back */
	struct bytes answer;	 /* so far */
};

static int echo(struct drpc_request *request, const void *input, void *output)
{
	const struct drpc_call *call = drpc_request_call(request);

	(void)input;
	(void)output;
	drpc_request_set_body(request, call->body, call->body_size);
	return 0;
}

static int later(struct drpc_request *request, const void *input, void *output)
{
	echo(request, input, output);
	drpc_request_answer(request, 0);
	return DRPC_PENDING;
}

enum { MODULE = 1001, ECHO = 0, LATER = 1, HIDDEN = 2 };

static const struct drpc_method methods[] = {
	{ ECHO, "echo", DRPC_METHOD_NOW, NULL, NULL, echo },
	{ LATER, "later", DRPC_METHOD_LATER, NULL, NULL, later },
	{ HIDDEN, "hidden", DRPC_METHOD_NOW, NULL, NULL, echo },
};

static const struct drpc_module module = { DRPC_MODULE_ABI, MODULE, "fuzz", methods, 3 };

/* Everyone may call everything but hidden. Kept for all runs. */
static struct drpc_service *make_service(void)
{
	const char *text = "[module]\nname = fuzz\nid = 1001\n"
			   "[allow all]\ncallers = *\nmethods = *\n"
			   "[deny some]\ncallers = *\nmethods = hidden\n";
	struct drpc_service *service;
	struct drpc_policy *policy;

	REQUIRE(drpc_service_new(&service) == 0, "no service");
	REQUIRE(drpc_policy_parse("fuzz.policy", text, strlen(text), NULL, &policy) == 0,
		"the harness's policy is refused");
	REQUIRE(drpc_service_register(service, &module, policy, NULL) == 0, "no module");
	return service;
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void check_descriptors(const struct run *run, int more)
{
	int count = count_descriptors();

	REQUIRE(count == run->open_descriptors + more, "%d descriptors are open, not %d", count,
		run->open_descriptors + more);
}

static void append(struct bytes *bytes, const uint8_t *data, size_t size)
{
	bytes->data = realloc(bytes->data, bytes->size + size + 1);
	REQUIRE(bytes->data != NULL, "the harness is out of memory");
	if (size > 0)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static void clear(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

/* What a whole message must be answered with. */
static struct answer answer_to(const struct bytes *message)
{
	Drpc__Call *call = drpc__call__unpack(NULL, message->size, message->data);
	struct answer answer = { -1, DRPC_STATUS_FAILED_UNMARSHAL_CALL, NULL, 0 };

	if (call == NULL)
		return answer;
	answer.sequence = call->sequence;
	if (call->module != MODULE) {
		answer.status = DRPC_STATUS_UNKNOWN_MODULE;
	} else if (call->method == HIDDEN) {
		answer.status = DRPC_STATUS_PERMISSION_DENIED;
	} else if (call->method != ECHO && call->method != LATER) {
		answer.status = DRPC_STATUS_UNKNOWN_METHOD;
	} else {
		answer.status = DRPC_STATUS_SUCCESS;
		answer.body = fuzz_copy(call->body.data, call->body.len);
		answer.body_size = call->body.len;
	}
	drpc__call__free_unpacked(call, NULL);
	return answer;
}

/* Send one packet with @extra descriptors. False: the socket is full, nothing was sent. */
static bool send_bytes(int fd, const struct packet_header *header, const uint8_t *data, size_t size,
	unsigned extra)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(EXTRA_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)header, size < HEADER ? size : HEADER },
		{ (void *)(uintptr_t)data, size < HEADER ? 0 : size - HEADER },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	const int passed[EXTRA_MAX] = { fd, fd, fd };

	if (extra > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(extra * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(extra * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), passed, extra * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	REQUIRE(errno == EAGAIN || errno == EMSGSIZE || errno == ETOOMANYREFS,
		"the session is gone before its end: %s", strerror(errno));
	return false;
}

static void send_packet(struct run *run, const struct packet_header *header, const uint8_t *data,
	size_t size, unsigned extra)
{
	struct sent *sent = &run->queue[run->queued];

	if (run->queued == QUEUE_MAX || run->expected_count + run->queued >= QUEUE_MAX ||
		!send_bytes(run->fd, header, data, size, extra))
		return;
	run->queued++;
	*sent = (struct sent){ .outcome = receiver_take(&run->rules, header, size, false) };
	if (sent->outcome != OUTCOME_REFUSED)
		append(&run->message, data, size - HEADER);
	if (sent->outcome == OUTCOME_WHOLE)
		sent->answer = answer_to(&run->message);
	if (sent->outcome != OUTCOME_MORE) {
		clear(&run->message);
		clear(&run->call);
	}
}

static void make_call(struct run *run, struct input *input)
{
	static const int32_t ids[] = { MODULE, MODULE, MODULE, 7 };
	Drpc__Call call = DRPC__CALL__INIT;
	uint8_t choice = input_u8(input);
	size_t size = choice < 192 ? choice % 64 : (size_t)plan_total(input);

	call.module = ids[choice % 4];
	call.method = input_u8(input) % 4;
	call.sequence = (int64_t)input_u64(input);
	call.body.len = size;
	call.body.data = fuzz_copy(random_bytes(choice, size), size);
	run->call.data = fuzz_alloc(drpc__call__get_packed_size(&call));
	run->call.size = drpc__call__pack(&call, run->call.data);
	free(call.body.data);
}

/* The next chunk of a call, of any legal size. */
static void send_chunk(struct run *run, struct input *input, unsigned extra)
{
	struct planned p;

	if (run->rules.is_midway && run->call.data == NULL)
		return; /* a message of plan_any()'s is midway */
	if (!run->rules.is_midway) {
		clear(&run->call);
		make_call(run, input);
	}
	p = plan_legal(&run->rules, run->call.size, input);
	send_packet(
		run, &p.header, run->call.data + run->message.size, HEADER + p.data_size, extra);
}

static void send_any(struct run *run, struct input *input, unsigned extra)
{
	struct planned p = plan_any(&run->rules, plan_total(input), input);
	const uint8_t *bytes;
	uint8_t *data;

	data = fuzz_copy(random_bytes(0, p.data_size), p.data_size);
	if (p.data_size < 256 && input_take(input, p.data_size, &bytes) == p.data_size)
		memcpy(data, bytes, p.data_size);
	clear(&run->call);
	send_packet(run, &p.header, data, HEADER + p.data_size, extra);
	free(data);
}

/* Less than a header, or nothing at all, which is a packet too. */
static void send_short(struct run *run, struct input *input, unsigned extra)
{
	struct packet_header header = { .total_chunks = 1 };

	send_packet(run, &header, NULL, input_u8(input) % HEADER, extra);
}

static void take_answer(struct run *run)
{
	Drpc__Response *response = drpc__response__unpack(NULL, run->answer.size, run->answer.data);
	struct answer *expected = &run->expected[0];

	REQUIRE(run->expected_count > 0, "an answer to nothing");
	REQUIRE(response != NULL, "an answer that does not decode");
	REQUIRE(response->sequence == expected->sequence, "sequence %lld, not %lld",
		(long long)response->sequence, (long long)expected->sequence);
	REQUIRE((int32_t)response->status == expected->status, "status %d, not %d",
		(int32_t)response->status, expected->status);
	REQUIRE(response->body.len == expected->body_size &&
			(expected->body_size == 0 || memcmp(response->body.data, expected->body,
							     expected->body_size) == 0),
		"another body came back");
	drpc__response__free_unpacked(response, NULL);
	free(expected->body);
	memmove(expected, expected + 1, --run->expected_count * sizeof(*expected));
	clear(&run->answer);
}

/* Read what there is. Returns whether anything was. */
static bool read_answers(struct run *run)
{
	static uint8_t packet[PACKET_MAX + 1];
	struct packet_header header;
	bool was_any = false;
	ssize_t size;

	/* ECONNRESET is said once, by a session that ended with packets unread. */
	while ((size = recv(run->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0 ||
		(size < 0 && errno == ECONNRESET)) {
		if (size < 0)
			continue;
		was_any = true;
		REQUIRE(size >= HEADER, "a packet of %zd bytes", size);
		memcpy(&header, packet, HEADER);
		switch (receiver_take(&run->answers, &header, (size_t)size, false)) {
		case OUTCOME_REFUSED:
			fuzz_violated(__FILE__, __LINE__, "answer", "a packet against the rules");
		case OUTCOME_WHOLE:
			append(&run->answer, packet + HEADER, (size_t)size - HEADER);
			take_answer(run);
			break;
		case OUTCOME_MORE:
			append(&run->answer, packet + HEADER, (size_t)size - HEADER);
			break;
		}
	}
	REQUIRE(size < 0 || run->is_over, "the session closed before its end");
	REQUIRE(size == 0 || errno == EAGAIN, "reading answers: %s", strerror(errno));
	return was_any;
}

static void drop_first(struct run *run)
{
	memmove(run->queue, run->queue + 1, --run->queued * sizeof(run->queue[0]));
}

/* What the session must say when it processes what was sent; takes that off the queue. */
static int expect(struct run *run)
{
	while (run->queued > 0) {
		struct sent first = run->queue[0];

		drop_first(run);
		if (first.outcome == OUTCOME_REFUSED)
			return -EPROTO;
		if (first.outcome == OUTCOME_WHOLE) {
			run->expected[run->expected_count++] = first.answer;
			return 0;
		}
	}
	return -ETIMEDOUT;
}

static void over(struct run *run)
{
	drpc_session_free(run->session);
	run->session = NULL;
	run->is_over = true;
	check_descriptors(run, 1);
	read_answers(run);
	REQUIRE(run->expected_count == 0, "%zu answers did not come", run->expected_count);
}

/* Returns what the session must have said. */
static int process(struct run *run)
{
	int expected = expect(run);
	int r = drpc_session_process(run->session, 0);

	/* An answer that does not fit the socket goes on once there is room. */
	for (int i = 0; expected == 0 && r == -ETIMEDOUT && i < ROUNDS_MAX; i++) {
		REQUIRE(read_answers(run), "no answer goes on, and there is room for it");
		r = drpc_session_process(run->session, 0);
	}
	REQUIRE(r == expected, "processing gives %d, not %d", r, expected);
	check_descriptors(run, 2);
	if (r == -EPROTO)
		over(run);
	return r;
}

static void operate(struct run *run, struct input *input)
{
	uint8_t choice = input_u8(input);
	unsigned extra = choice >= 200 ? choice % (EXTRA_MAX + 1) : 0;

	switch (choice % 8) {
	case 0:
	case 1:
	case 2:
		send_chunk(run, input, extra);
		break;
	case 3:
		send_any(run, input, extra);
		break;
	case 4:
		if (choice % 16 == 4)
			send_short(run, input, extra);
		break;
	case 5:
		read_answers(run);
		break;
	default:
		process(run);
		break;
	}
}

/* False: this process's own identity is one that every session refuses. */
static bool begin(struct run *run, struct drpc_service *service)
{
	const int wanted = 1024 * 1024;
	int pair[2];
	int r;

	*run = (struct run){ .open_descriptors = count_descriptors() };
	run->rules.limit = DRPC_MESSAGE_MAX_BYTES;
	run->answers.limit = DRPC_MESSAGE_MAX_BYTES;
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "no socketpair");
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
	run->fd = pair[0];
	r = drpc_session_new(pair[1], service, &run->session);
	REQUIRE(r == 0 || r == -EACCES, "no session: %d", r);
	if (r < 0) {
		fprintf(stderr, "skipped: the kernel does not say who runs this, or says nobody\n");
		close(pair[0]);
		close(pair[1]);
	}
	return r == 0;
}

/* Everything that was sent is answered; then the peer leaves. */
static void end(struct run *run)
{
	if (!run->is_over) {
		while (process(run) == 0)
			read_answers(run);
	}
	if (!run->is_over) {
		read_answers(run);
		REQUIRE(run->expected_count == 0, "%zu answers did not come", run->expected_count);
	}
	close(run->fd);
	if (!run->is_over) {
		REQUIRE(drpc_session_process(run->session, 0) == -ENOTCONN, "nobody is there");
		drpc_session_free(run->session);
	}
	check_descriptors(run, 0);
	for (size_t i = 0; i < run->queued; i++)
		free(run->queue[i].answer.body);
	clear(&run->message);
	clear(&run->call);
	clear(&run->answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct drpc_service *service;
	static struct run run;
	struct input input = { data, size };

	if (service == NULL)
		service = make_service();
	if (!begin(&run, service))
		return 0;
	for (int i = 0; i < OPERATIONS_MAX && input.left > 0 && !run.is_over; i++)
		operate(&run, &input);
	end(&run);
	return 0;
}
