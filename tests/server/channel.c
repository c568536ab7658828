/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Channels: packets from a socketpair to messages, what ends them, and what memory they hold. */
#include "server/channel.h"

#include "groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw.h"

static struct channel channel;
static struct channel_scratch *scratch;
static struct message message;
static const char *why;
static int peer_fd;

static int set_up(void **state)
{
	int pair[2], on = 1;

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	channel = (struct channel){
		.fd = pair[0],
		.peer = { .uid = geteuid(), .gid = getegid(), .pid = getpid() },
	};
	peer_fd = pair[1];
	raw_be_patient(peer_fd);
	assembler_init(&channel.assembler, DRPC_MESSAGE_MAX_BYTES);
	scratch = calloc(1, sizeof(*scratch));
	message = (struct message){ 0 };
	return scratch == NULL ? -1 : setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

static int tear_down(void **state)
{
	(void)state;
	close(channel.fd);
	if (peer_fd >= 0)
		close(peer_fd);
	assembler_deinit(&channel.assembler);
	channel_scratch_trim(scratch);
	free(scratch);
	return 0;
}

static int receive(void)
{
	return channel_receive(&channel, scratch, &message, &why);
}

static void test_channel_receive_gives_small_messages_as_views(void **state)
{
	(void)state;
	assert_int_equal(receive(), -EAGAIN);
	assert_true(raw_call(peer_fd, 1, 2, 3, "body", 4));
	assert_int_equal(receive(), CHANNEL_WHOLE);
	assert_ptr_equal(message.data, scratch->data);
	assert_null(message.buffer);
	assert_int_equal(receive(), -EAGAIN);
}

static void test_channel_receive_puts_chunks_together(void **state)
{
	const size_t size = 2 * DRPC_CHUNK_MAX_BYTES + 5;

	(void)state;
	assert_true(raw_send_chunk(peer_fd, size, 0));
	assert_int_equal(receive(), CHANNEL_MORE);
	assert_int_equal(receive(), -EAGAIN);
	assert_true(raw_send_chunk(peer_fd, size, 1));
	assert_int_equal(receive(), CHANNEL_MORE);
	assert_true(raw_send_chunk(peer_fd, size, 2));
	assert_int_equal(receive(), CHANNEL_WHOLE);
	assert_int_equal(message.size, size);
	assert_non_null(message.buffer);
	free(message.buffer);
}

static void test_channel_receive_tells_the_end(void **state)
{
	(void)state;
	close(peer_fd);
	peer_fd = -1;
	assert_int_equal(receive(), -ENOTCONN);
}

static void test_channel_receive_refuses_malformed_packets(void **state)
{
	static const struct packet_header lie = {
		.total_size = 4, .chunk_size = 4, .total_chunks = 1
	};

	(void)state;
	assert_true(raw_send(peer_fd, "short", 5));
	assert_int_equal(receive(), -EPROTO);
	assert_string_equal(why, packet_fault_text(PACKET_SHORT));
	tear_down(NULL);
	set_up(NULL);
	assert_true(raw_send(peer_fd, "", 0));
	assert_int_equal(receive(), -EPROTO);
	tear_down(NULL);
	set_up(NULL);
	assert_true(raw_send(peer_fd, &lie, sizeof(lie)));
	assert_int_equal(receive(), -EPROTO);
	assert_string_equal(why, packet_fault_text(PACKET_CHUNK_SIZE));
	tear_down(NULL);
	set_up(NULL);
	assert_true(raw_send_chunk(peer_fd, DRPC_MESSAGE_MAX_BYTES + 1, 0));
	assert_int_equal(receive(), -EPROTO);
	assert_string_equal(why, packet_fault_text(PACKET_TOO_LARGE));
	assert_true(raw_send_chunk(peer_fd, 0, 0));
	assert_int_equal(receive(), -EPROTO);
}

static void test_channel_receive_refuses_another_sender(void **state)
{
	(void)state;
	channel.peer.uid++;
	assert_true(raw_call(peer_fd, 1, 2, 3, "body", 4));
	assert_int_equal(receive(), CHANNEL_WHOLE); /* the pid is the connector's */
	channel.peer.pid++;
	assert_true(raw_call(peer_fd, 1, 2, 3, "body", 4));
	assert_int_equal(receive(), -EPROTO);
	assert_string_equal(why, "the sender is not the connector");
	channel.peer.uid--;
	assert_true(raw_call(peer_fd, 1, 2, 3, "body", 4));
	assert_int_equal(receive(), CHANNEL_WHOLE); /* the uid is */
}

static void test_channel_receive_refuses_an_unmarked_packet(void **state)
{
	int off = 0;

	(void)state;
	assert_int_equal(setsockopt(channel.fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
	assert_true(raw_call(peer_fd, 1, 2, 3, "body", 4));
	assert_int_equal(receive(), -EPROTO);
}

static void test_channel_scratch_keep_holds_the_larger_buffer(void **state)
{
	uint8_t *small = malloc(100), *large = malloc(300);

	(void)state;
	channel_scratch_keep(scratch, NULL, 0);
	assert_null(scratch->spare);
	channel_scratch_keep(scratch, small, 100);
	assert_ptr_equal(scratch->spare, small);
	channel_scratch_keep(scratch, large, 300);
	assert_ptr_equal(scratch->spare, large);
	channel_scratch_keep(scratch, malloc(200), 200);
	assert_ptr_equal(scratch->spare, large);
	channel_scratch_keep(scratch, NULL, 0);
	channel_scratch_trim(scratch);
	assert_null(scratch->spare);
	assert_int_equal(scratch->spare_capacity, 0);
}

/*
 * A session may not be given more than its message has earned: one chunk of two must not sit on the
 * buffer of the largest message, for which its uid is charged one chunk.
 */
static void test_channel_receive_holds_memory_for_what_arrived(void **state)
{
	const size_t large = 16 * 1024 * 1024;
	uint8_t *buffer = malloc(large);

	(void)state;
	assert_non_null(buffer);
	channel_scratch_keep(scratch, buffer, large);
	assert_true(raw_send_chunk(peer_fd, DRPC_CHUNK_MAX_BYTES + 1, 0));
	assert_int_equal(receive(), CHANNEL_MORE);
	assert_true(
		channel.assembler.capacity <= 2 * channel.assembler.filled + DRPC_CHUNK_MAX_BYTES);
}

static void test_channel_send_goes_on_where_the_socket_was_full(void **state)
{
	static uint8_t body[4 * 1024 * 1024];
	uint8_t head[8] = { 0x1a, 0x80, 0x80, 0x80, 0x02 }; /* Response.body of 4 MiB */
	struct splitter splitter;
	uint8_t *chunk = malloc(DRPC_PACKET_MAX_BYTES);
	unsigned packets = 0;
	int r;

	(void)state;
	assert_non_null(chunk);
	splitter_init(&splitter, head, 5, body, sizeof(body));
	assert_int_equal(channel_send(&channel, &splitter, 0), -EAGAIN);
	assert_int_equal(splitter.next_chunk, 0);
	do {
		r = channel_send(&channel, &splitter, 3);
		while (recv(peer_fd, chunk, DRPC_PACKET_MAX_BYTES, MSG_DONTWAIT) > 0) {
			struct packet_header header;

			memcpy(&header, chunk, sizeof(header));
			assert_int_equal(header.chunk_index, packets++);
		}
	} while (r == -EAGAIN);
	assert_int_equal(r, 0);
	assert_int_equal(packets, packet_chunks_for(sizeof(body) + 5));
	free(chunk);
}

static void test_channel_drain_leaves_nothing_and_ends(void **state)
{
	(void)state;
	assert_false(channel_drain(channel.fd));
	for (int i = 0; i < 5; i++)
		assert_true(raw_send(peer_fd, "x", 1));
	assert_true(channel_drain(channel.fd));
	assert_int_equal(receive(), -EAGAIN);
	close(peer_fd);
	peer_fd = -1;
	assert_true(channel_drain(channel.fd)); /* gone: nothing more to wait for */
}

static void test_channel_say_answers_nobody_in_particular(void **state)
{
	(void)state;
	channel_say(channel.fd, DRPC_STATUS_BUSY);
	assert_int_equal(raw_receive_status(peer_fd, DRPC_SEQUENCE_NONE), DRPC_STATUS_BUSY);
}

int channel_tests(void)
{
#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_channel_receive_gives_small_messages_as_views),
		TEST(test_channel_receive_puts_chunks_together),
		TEST(test_channel_receive_tells_the_end),
		TEST(test_channel_receive_refuses_malformed_packets),
		TEST(test_channel_receive_refuses_another_sender),
		TEST(test_channel_receive_refuses_an_unmarked_packet),
		TEST(test_channel_scratch_keep_holds_the_larger_buffer),
		TEST(test_channel_receive_holds_memory_for_what_arrived),
		TEST(test_channel_send_goes_on_where_the_socket_was_full),
		TEST(test_channel_drain_leaves_nothing_and_ends),
		TEST(test_channel_say_answers_nobody_in_particular),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
