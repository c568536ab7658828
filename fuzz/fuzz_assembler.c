/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * fuzz_assembler: packets to messages. The first byte of an input chooses what it is:
 *
 *   packets  legal, spoiled and random ones, as packets.h makes them. The assembler says of each
 * what the rules say; a message comes back as it was sent; once refused it refuses for ever and
 * holds no memory; what it holds follows what has arrived. split    a message and a legal way to
 * cut it, chunks of any size. It comes back whole and equal. splitter the splitter's own cut of a
 * message in two parts. It comes back whole and equal, in the fewest packets.
 */
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "wire/assembler.h"
#include "wire/splitter.h"

enum { PACKETS_MAX = 48, SPLIT_PACKETS_MAX = 64 };

/* The assembler under test, beside the rules, and the message as it was sent so far. */
struct bench {
	struct assembler assembler;
	struct receiver rules;
	uint8_t *sent;
	size_t sent_size;
	uint8_t scratch[CHUNK_MAX];
};

static void check_held(const struct bench *bench)
{
	size_t held = bench->assembler.capacity;

	REQUIRE(held <= 2 * bench->sent_size + CHUNK_MAX, "%zu bytes held, %zu arrived", held,
		bench->sent_size);
	REQUIRE(bench->rules.is_midway || held == 0, "%zu bytes held between messages", held);
	REQUIRE(assembler_is_midway(&bench->assembler) == bench->rules.is_midway,
		"the assembler is at another place than the rules");
}

static void check_message(struct bench *bench, const struct message *message)
{
	REQUIRE(message->size == bench->sent_size, "%zu bytes came back, %zu were sent",
		message->size, bench->sent_size);
	REQUIRE(message->size == 0 || memcmp(message->data, bench->sent, message->size) == 0,
		"another message came back");
	free(message->buffer);
}

static void remember(struct bench *bench, const uint8_t *data, size_t size)
{
	bench->sent = realloc(bench->sent, bench->sent_size + size + 1);
	REQUIRE(bench->sent != NULL, "the harness is out of memory");
	if (size > 0)
		memcpy(bench->sent + bench->sent_size, data, size);
	bench->sent_size += size;
}

static void forget(struct bench *bench)
{
	free(bench->sent);
	bench->sent = NULL;
	bench->sent_size = 0;
}

/* Push one packet, and hold what comes of it against the rules. */
static void push(struct bench *bench, const struct packet_header *header, size_t size,
	bool truncated, const uint8_t *data)
{
	struct message message = { .size = SIZE_MAX };
	enum outcome expected = receiver_take(&bench->rules, header, size, truncated);
	int r;

	if (expected != OUTCOME_REFUSED)
		remember(bench, data, size - HEADER);
	r = assembler_push(&bench->assembler, header, size, truncated, data, &message);
	REQUIRE(r == (int)expected, "the answer is %d, the rules say %d", r, (int)expected);
	REQUIRE(r == ASSEMBLER_WHOLE || message.size == SIZE_MAX, "a message beside answer %d", r);
	if (r == ASSEMBLER_WHOLE)
		check_message(bench, &message);
	if (r != ASSEMBLER_MORE)
		forget(bench);
	check_held(bench);
}

/* Received from anywhere: the data is a copy of exactly its size. */
static void push_copy(struct bench *bench, const struct planned *p, size_t shorter_by)
{
	size_t size = HEADER + p->data_size;
	uint8_t *data =
		fuzz_copy(random_bytes((size_t)p->header.chunk_index, p->data_size), p->data_size);

	push(bench, &p->header, shorter_by < size ? size - shorter_by : 0, false, data);
	free(data);
}

/* Received where assembler_place() says, as recvmsg(2) would: what has no room there is cut off. */
static void push_placed(struct bench *bench, const struct planned *p)
{
	uint8_t *place;
	size_t size;
	size_t room;
	int r = assembler_place(&bench->assembler, bench->scratch, &place, &room);

	REQUIRE(r == 0, "no place for a packet: %d", r);
	check_held(bench);
	REQUIRE(room <= CHUNK_MAX, "room for %zu bytes, more than a chunk", room);
	size = p->data_size < room ? p->data_size : room;
	memcpy(place, random_bytes((size_t)p->header.chunk_index + 7, size), size);
	push(bench, &p->header, HEADER + size, size < p->data_size, place);
}

static void begin(struct bench *bench, size_t limit)
{
	assembler_init(&bench->assembler, limit);
	bench->rules = (struct receiver){ .limit = limit };
	bench->sent = NULL;
	bench->sent_size = 0;
}

static void end(struct bench *bench)
{
	assembler_deinit(&bench->assembler);
	REQUIRE(bench->assembler.capacity == 0, "memory held after the end");
	forget(bench);
}

static void try_packets(struct bench *bench, struct input *input)
{
	begin(bench, (size_t)input_between(input, 0, 1 << 20));
	for (int i = 0; i < PACKETS_MAX && input->left > 0; i++) {
		uint8_t how = input_u8(input);
		struct planned p = plan_any(&bench->rules, plan_total(input), input);

		if (how % 2 == 0)
			push_placed(bench, &p);
		else
			push_copy(bench, &p, how / 2 % 8 == 0 ? how / 16 * 4u : 0);
	}
	end(bench);
}

/* The next chunk of @message, cut as the input says, from a place of the input's choice. */
static void push_part(
	struct bench *bench, const uint8_t *message, size_t total, struct input *input)
{
	struct planned p = plan_legal(&bench->rules, total, input);
	size_t from = bench->sent_size;
	uint8_t *place;
	size_t room;

	if (input_u8(input) % 2 == 0) {
		uint8_t *data = fuzz_copy(message + from, p.data_size);

		push(bench, &p.header, HEADER + p.data_size, false, data);
		free(data);
		return;
	}
	REQUIRE(assembler_place(&bench->assembler, bench->scratch, &place, &room) == 0,
		"no place for a chunk");
	REQUIRE(room >= p.data_size, "room for %zu bytes, a legal chunk has %zu", room,
		p.data_size);
	memcpy(place, message + from, p.data_size);
	push(bench, &p.header, HEADER + p.data_size, false, place);
}

static void try_split(struct bench *bench, struct input *input)
{
	size_t total = (size_t)plan_total(input);
	const uint8_t *message = random_bytes(input_u8(input), total);

	begin(bench, total);
	do {
		push_part(bench, message, total, input);
		REQUIRE(!bench->rules.is_refused, "a legal chunk was refused");
	} while (bench->rules.is_midway);
	end(bench);
}

/* One packet of the splitter's, its slices put together. Returns the bytes of its data. */
static size_t gather(const struct splitter *splitter, struct packet_header *header, uint8_t *data)
{
	struct iovec iov[SPLITTER_IOV_MAX];
	int count = splitter_packet(splitter, header, iov);
	size_t size = 0;

	REQUIRE(count >= 1 && count <= SPLITTER_IOV_MAX, "%d slices", count);
	REQUIRE(iov[0].iov_base == header && iov[0].iov_len == HEADER, "the header is not first");
	for (int i = 1; i < count; i++) {
		REQUIRE(size + iov[i].iov_len <= CHUNK_MAX, "more than a chunk in a packet");
		memcpy(data + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return size;
}

static void try_splitter(struct bench *bench, struct input *input)
{
	size_t total = (size_t)plan_total(input);
	size_t head_size = (size_t)input_between(input, 0, total < 48 ? total : 48);
	const uint8_t *message = random_bytes(input_u8(input), total);
	uint8_t *head = fuzz_copy(message, head_size);
	uint8_t *body = fuzz_copy(message + head_size, total - head_size);
	size_t packets = 0;
	struct splitter splitter;

	splitter_init(&splitter, head, head_size, body, total - head_size);
	begin(bench, total);
	do {
		struct packet_header header;
		size_t size = gather(&splitter, &header, bench->scratch);
		size_t from = bench->sent_size;

		REQUIRE(memcmp(bench->scratch, message + from, size) == 0, "other bytes are sent");
		push(bench, &header, HEADER + size, false, bench->scratch);
		splitter_advance(&splitter);
		REQUIRE(++packets <= SPLIT_PACKETS_MAX, "the splitter does not end");
	} while (!splitter_is_done(&splitter));
	REQUIRE(!bench->rules.is_midway && !bench->rules.is_refused, "the message is not whole");
	REQUIRE(packets == total / CHUNK_MAX + (total % CHUNK_MAX != 0 || total == 0),
		"%zu packets for %zu bytes", packets, total);
	end(bench);
	free(head);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bench bench;
	struct input input = { data, size };

	switch (input_u8(&input) % 4) {
	case 0:
		try_split(&bench, &input);
		break;
	case 1:
		try_splitter(&bench, &input);
		break;
	default:
		try_packets(&bench, &input);
		break;
	}
	return 0;
}
