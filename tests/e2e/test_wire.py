# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The wire: packets and envelopes in both directions, and what becomes of those that are wrong."""
import os
import struct
import time
import unittest

import drpc
from daemon import (BADOUT, COUNT, ECHO, FAIL, FAILWITH, HELLO, HUGEOUT, LATER, PARK, RELEASE,
                    SLOW_MODULE, UNTIL, WAIT, Case, memory_kb, milliseconds)
from drpc import CHUNK_MAX, HEADER, MESSAGE_MAX, encode_call

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1

def largest_body(module, method, message=MESSAGE_MAX):
    """A body with which a call is exactly that large."""
    room = message - 1024
    return bytes(message - len(encode_call(module, method, 1, bytes(room))) + room)



class Exchange(Case):
    """Section 4: what is sent, byte for byte."""

    def test_bytes_as_the_protocol_page_shows_them(self):
        daemon = self.open_daemon()
        connection = self.connection(daemon)
        connection.send_raw(bytes.fromhex(
            '0b00000000000000 0b00000000000000 00000000 01000000 1801 2207 0a05 776f726c64'))
        self.assertEqual(connection.socket.recv(1 << 17).hex(), bytes.fromhex(
            '1100000000000000 1100000000000000 00000000 01000000'
            '0801 1a0d 0a0b 48656c6c6f20776f726c64').hex())
        connection.send_raw(bytes.fromhex(
            '0900000000000000 0900000000000000 00000000 01000000 08e907 1802 22026869'))
        self.assertEqual(connection.socket.recv(1 << 17).hex(), bytes.fromhex(
            '0600000000000000 0600000000000000 00000000 01000000 0802 1a026869').hex())

    def test_empty_message_is_valid_in_both_directions(self):
        connection = self.connection(self.open_daemon())
        connection.send_raw(HEADER.pack(0, 0, 0, 1))
        self.assertEqual(connection.recv(), (0, drpc.SUCCESS, drpc.string_message('Hello ')))
        connection.send_message(encode_call(ECHO))
        self.assertEqual(connection.socket.recv(1 << 17), HEADER.pack(0, 0, 0, 1))
        self.assert_works(connection)

    def test_sequences_come_back_unchanged(self):
        connection = self.connection(self.open_daemon())
        for sequence in (0, 1, -1, -2, 127, 128, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX):
            with self.subTest(sequence=sequence):
                response = connection.call(ECHO, 0, b'x', sequence=sequence)
                self.assertEqual(response, (sequence, drpc.SUCCESS, b'x'))

    def test_calls_sent_at_once_are_answered_in_order(self):
        connection = self.connection(self.open_daemon())
        for sequence in range(1, 101):
            connection.send_call(ECHO, 0, b'%d' % sequence)
        for sequence in range(1, 101):
            self.assertEqual(connection.recv(), (sequence, drpc.SUCCESS, b'%d' % sequence))

    def test_fields_in_any_order_unknown_ones_and_repeats(self):
        connection = self.connection(self.open_daemon())
        call = (drpc.bytes_field(4, b'first') + drpc.integer_field(99, 7) + drpc.bytes_field(98, b'?')
                + drpc.varint(97 << 3 | 1) + bytes(8) + drpc.varint(96 << 3 | 5) + bytes(4)
                + drpc.integer_field(3, 5) + drpc.integer_field(1, 5) + drpc.integer_field(1, ECHO)
                + drpc.bytes_field(4, b'last'))
        connection.send_message(call)
        self.assertEqual(connection.recv(), (5, drpc.SUCCESS, b'last'))


class Sizes(Case):
    """Any size to the limit, both ways."""

    def check(self, connection, size):
        body = os.urandom(min(size, 4096)) * (size // 4096 + 1)
        body = body[:size]
        response = connection.call(ECHO, 0, body)
        self.assertEqual(response.status, drpc.SUCCESS, f'a body of {size} bytes')
        self.assertTrue(response.body == body, f'a body of {size} bytes came back changed')

    def test_edges_of_chunks(self):
        connection = self.connection(self.open_daemon())
        edges = [0, 1, 127, 128, 16383, 16384, 65536]
        for chunks in (1, 2, 3, 8):
            edges += range(chunks * CHUNK_MAX - 14, chunks * CHUNK_MAX + 3)
        for size in edges:
            self.check(connection, size)

    def test_edges_of_varying_socket_buffers(self):
        daemon = self.open_daemon()
        for buffer in (4608, 65536, 4 << 20):
            connection = self.connection(daemon)
            connection.socket.setsockopt(drpc.socket.SOL_SOCKET, drpc.socket.SO_SNDBUF,
                                         max(buffer, 2 * drpc.PACKET_MAX))
            connection.socket.setsockopt(drpc.socket.SOL_SOCKET, drpc.socket.SO_RCVBUF, buffer)
            self.check(connection, 1 << 20)

    def test_large_bodies(self):
        connection = self.connection(self.open_daemon())
        for size in (1 << 20, 16 << 20, 60 << 20):
            self.check(connection, size)

    def test_largest_message_is_answered_and_one_byte_more_is_not(self):
        daemon = self.open_daemon('--log-calls', 'yes', modules=('echo', 'slow'))
        connection = self.connection(daemon)
        body = largest_body(SLOW_MODULE, COUNT)
        self.assertEqual(len(encode_call(SLOW_MODULE, COUNT, 1, body)), MESSAGE_MAX)
        self.assertEqual(connection.call(SLOW_MODULE, COUNT, body, sequence=1).status, drpc.SUCCESS)
        self.assert_works(connection)
        other = self.connection(daemon)
        with self.assertRaises(drpc.ENDED):
            other.send_message(encode_call(SLOW_MODULE, COUNT, 1, body + b'x'))
            other.recv()
        daemon.wait_for_log('^close .*above the limit')
        self.assert_works(connection)

    def test_largest_message_is_echoed_whole(self):
        connection = self.connection(self.open_daemon())
        self.check(connection, len(largest_body(ECHO, 0)))

    def test_chunks_smaller_than_they_need_be(self):
        connection = self.connection(self.open_daemon())
        call = encode_call(ECHO, 0, 1, bytes(CHUNK_MAX * 2))
        sizes = (CHUNK_MAX - 1, 20, len(call) - CHUNK_MAX - 19)
        at = 0
        for index, size in enumerate(sizes):
            connection.send_packet(len(call), size, index, 3, call[at:at + size])
            at += size
        self.assertEqual(connection.recv(), (1, drpc.SUCCESS, bytes(CHUNK_MAX * 2)))


def first_of(total, size=1, **changes):
    """The first packet of a message of @total bytes, with something changed."""
    header = {'total': total, 'chunk': size, 'index': 0, 'count': drpc.chunks_of(total), 'data': bytes(size)}
    header.update(changes)
    return drpc.packet(*header.values())


TWO = 2 * CHUNK_MAX  # a message of two chunks
GOOD = first_of(TWO, CHUNK_MAX)

# Every packet that section 2 of the protocol refuses: the packets before it, and what the log says.
MALFORMED = {
    'one byte': ([b'x'], 'header'),
    'shorter than a header': ([bytes(23)], 'header'),
    'an empty packet': ([b''], 'header'),
    'chunk_data_size too small': ([first_of(10, 10, chunk=9)], ''),
    'chunk_data_size too large': ([first_of(10, 10, chunk=11)], ''),
    'chunk_data_size enormous': ([first_of(10, 10, chunk=(1 << 64) - 1)], ''),
    'larger than any packet': ([drpc.packet(CHUNK_MAX + 1, CHUNK_MAX + 1, 0, 1, bytes(CHUNK_MAX + 1))], ''),
    'larger, with a header that fits': ([first_of(TWO, CHUNK_MAX) + b'x'], ''),
    'total_chunks 0': ([first_of(10, 10, count=0)], ''),
    'total_chunks 0 of nothing': ([drpc.packet(0, 0, 0, 0)], ''),
    'total_chunks 2 of nothing': ([drpc.packet(0, 0, 0, 2)], ''),
    'total_chunks too small': ([first_of(TWO + 1, CHUNK_MAX, count=2)], ''),
    'total_chunks too large': ([first_of(10, 10, count=2)], ''),
    'total_chunks enormous': ([first_of(TWO, CHUNK_MAX, count=(1 << 32) - 1)], ''),
    'begins with chunk 1': ([first_of(TWO, CHUNK_MAX, index=1)], ''),
    'one chunk, with index 1': ([first_of(10, 10, index=1)], ''),
    'the same chunk again': ([GOOD, GOOD], ''),
    'a chunk left out': ([first_of(3 * CHUNK_MAX, CHUNK_MAX), first_of(3 * CHUNK_MAX, CHUNK_MAX, index=2)], ''),
    'another total': ([GOOD, first_of(TWO - 1, CHUNK_MAX - 1, index=1)], ''),
    'another count': ([GOOD, first_of(TWO, CHUNK_MAX, index=1, count=3)], ''),
    'one byte above the limit': ([first_of(MESSAGE_MAX + 1)], 'above the limit'),
    'a total near 2^64': ([first_of((1 << 64) - 1, count=1)], ''),
    'a total whose chunks overflow': ([first_of(CHUNK_MAX << 32, count=0)], ''),
    'an empty first chunk': ([first_of(TWO, 0)], ''),
    'an empty chunk midway': ([GOOD, first_of(TWO, 0, index=1)], ''),
    'an only chunk, too small': ([first_of(10, 9)], ''),
    'a last chunk, too small': ([GOOD, first_of(TWO, CHUNK_MAX - 1, index=1)], ''),
    'a first chunk with all of it': ([drpc.packet(CHUNK_MAX + 1, CHUNK_MAX, 0, 2, bytes(CHUNK_MAX)),
                                      drpc.packet(CHUNK_MAX + 1, 2, 1, 2, bytes(2))], ''),
}


class Malformed(Case):
    """Each ends its own session, and touches no other."""

    def test_each_ends_its_own_session_and_no_other(self):
        daemon = self.open_daemon('--threads', '1')
        other = self.connection(daemon)
        midway = self.connection(daemon)
        call = encode_call(ECHO, 0, 7, bytes(CHUNK_MAX))
        midway.send_packet(len(call), CHUNK_MAX, 0, 2, call[:CHUNK_MAX])
        for name, (packets, _) in MALFORMED.items():
            with self.subTest(name), daemon.connect() as connection:
                connection.socket.setsockopt(drpc.socket.SOL_SOCKET, drpc.socket.SO_SNDBUF, 1 << 20)
                self.assert_works(connection)
                for packet in packets:
                    connection.send_raw(packet)
                self.assert_ended(connection)
                self.assert_works(other)
        midway.send_packet(len(call), len(call) - CHUNK_MAX, 1, 2, call[CHUNK_MAX:])
        self.assertEqual(midway.recv(), (7, drpc.SUCCESS, bytes(CHUNK_MAX)))

    def test_each_is_logged_with_its_reason(self):
        for name, (packets, word) in MALFORMED.items():
            with self.subTest(name):
                daemon = self.open_daemon('--threads', '1')
                with daemon.connect() as connection:
                    for packet in packets:
                        connection.send_raw(packet)
                    self.assert_ended(connection)
                pairs = daemon.wait_for_pairs(f'^close .*{word}')
                self.assertGreater(len(pairs['reason']), 10)
                self.assertEqual(pairs['uid'], str(os.getuid()))
                self.assertEqual(pairs['pid'], str(os.getpid()))
                daemon.stop()

    def test_rest_of_a_truncated_packet_is_not_a_packet(self):
        daemon = self.open_daemon('--threads', '1')
        call = drpc.packet(*(len(encode_call(ECHO)), len(encode_call(ECHO)), 0, 1), encode_call(ECHO))
        with daemon.connect() as connection:
            connection.send_raw(bytes(drpc.PACKET_MAX) + call)
            self.assert_ended(connection)


class Memory(Case):
    """Memory follows what has arrived, never what a header announced."""

    def test_a_thousand_announcements_of_64_mib_cost_next_to_nothing(self):
        daemon = self.open_daemon('--message-timeout', '600s')
        self.assert_works(self.connection(daemon))
        sessions = [self.connection(daemon) for _ in range(1000)]
        for session in sessions:
            self.assert_works(session)
        before = memory_kb(daemon.pid), memory_kb(daemon.pid, 'VmSize')
        for session in sessions:
            session.send_raw(first_of(MESSAGE_MAX))
        # A call on each loop thread, after all of the above are read: the last session of each is midway.
        for session in sessions[:100]:
            session.close()
        last = self.connection(daemon)
        self.assert_works(last)
        self.settle(daemon)
        after = memory_kb(daemon.pid), memory_kb(daemon.pid, 'VmSize')
        self.assertLess(after[0] - before[0], 24 * 1024 * drpc.SLOW, 'resident memory, in KiB')
        self.assertLess(after[1] - before[1], 512 * 1024 * drpc.SLOW, 'address space, in KiB')
        self.assert_works(last)

    def settle(self, daemon):
        """Calls on so many sessions that each loop thread has answered one after all that came before."""
        for _ in range(32):
            with daemon.connect() as connection:
                self.assert_works(connection)

    def test_memory_of_large_messages_is_given_back(self):
        daemon = self.open_daemon()
        connection = self.connection(daemon)
        before = memory_kb(daemon.pid)
        for _ in range(4):
            self.assertEqual(connection.call(ECHO, 0, bytes(32 << 20)).status, drpc.SUCCESS)
        self.assert_works(connection)
        self.assertLess(memory_kb(daemon.pid) - before, 40 * 1024 * drpc.SLOW ** 2)


class HalfSent(Case):
    def test_half_a_message_holds_up_nobody_and_ends(self):
        daemon = self.open_daemon('--threads', '1', '--message-timeout', milliseconds(300))
        half = self.connection(daemon)
        half.send_raw(GOOD)
        other = self.connection(daemon)
        calls = 0
        deadline = time.monotonic() + drpc.TIMEOUT
        while not half.is_readable(0):
            self.assertLess(time.monotonic(), deadline, 'half a message is kept for ever')
            self.assert_works(other)
            calls += 1
        self.assert_ended(half)
        self.assertGreater(calls, 10)
        daemon.wait_for_log('^limit .*message-timeout')
        self.assert_works(other)

    def test_a_message_in_drips_ends_all_the_same(self):
        daemon = self.open_daemon('--message-timeout', milliseconds(300))
        drip = self.connection(daemon)
        count = 512
        total = count * CHUNK_MAX
        index = 0
        with self.assertRaises(drpc.ENDED):
            while index < count - 1:
                drip.send_packet(total, 1, index, count, b'x')
                index += 1
                if drip.is_readable(0.05 * drpc.SLOW):
                    drip.recv()
        daemon.wait_for_log('^limit .*message-timeout')
        self.assertLess(index, 100)

    def test_an_idle_session_does_not_end(self):
        daemon = self.open_daemon('--message-timeout', milliseconds(50))
        idle, half = self.connection(daemon), self.connection(daemon)
        self.assert_works(idle)
        for _ in range(3):
            half.send_raw(GOOD)
            self.assert_ended(half)
            half = self.connection(daemon)
        self.assert_works(idle)


def nested(levels):
    """A group of unknown fields, one in the other: not deep for hello, whose fields are not messages."""
    data = b''
    for _ in range(levels):
        data = drpc.bytes_field(2, data)
    return data


class Statuses(Case):
    """As the Go package gives them; a body with SUCCESS only."""

    def connect_to_all(self):
        daemon = self.open_daemon(modules=('hello', 'echo', 'slow'))
        return daemon, self.connection(daemon)

    def test_unknown_module(self):
        _, connection = self.connect_to_all()
        for module in (1, 77, -1, INT32_MIN, INT32_MAX):
            response = connection.call(module, 0, b'body')
            self.assertEqual(response, (connection.sequence, drpc.UNKNOWN_MODULE, b''))

    def test_unknown_method(self):
        _, connection = self.connect_to_all()
        for method in (1, -1, INT32_MIN, INT32_MAX):
            for module in (HELLO, ECHO):
                response = connection.call(module, method, b'body')
                self.assertEqual(response, (connection.sequence, drpc.UNKNOWN_METHOD, b''))

    def test_failed_unmarshal_call_has_sequence_minus_one_and_the_session_goes_on(self):
        daemon, connection = self.connect_to_all()
        malformed = {
            'cut short': encode_call(ECHO, 0, 5, b'body')[:-1],
            'a lone tag': b'\x08',
            'a varint of 11 bytes': b'\x18' + b'\xff' * 10 + b'\x01',
            'module as bytes': drpc.bytes_field(1, b'x'),
            'body as a varint': drpc.varint(4 << 3) + b'\x01',
            'sequence as fixed64': drpc.varint(3 << 3 | 1) + bytes(8),
            'field number 0': b'\x00\x01',
            'a start group': b'\x2b',
            'an end group': b'\x2c',
            'type 6': b'\x2e', 'type 7': b'\x2f',
            'a length beyond the end': b'\x22\x7f',
            'a length beyond 2^31': b'\x22\xff\xff\xff\xff\x0f',
            'an unknown fixed32 cut short': drpc.varint(9 << 3 | 5) + bytes(3),
            'an unknown fixed64 cut short': drpc.varint(9 << 3 | 1) + bytes(7),
        }
        for name, message in malformed.items():
            with self.subTest(name):
                connection.send_message(message)
                self.assertEqual(connection.recv(), (-1, drpc.FAILED_UNMARSHAL_CALL, b''))
                self.assert_works(connection)
        daemon.wait_for_log('^fail uid=.* status=FAILED_UNMARSHAL_CALL reason=')

    def test_failed_unmarshal_call_of_a_large_message(self):
        _, connection = self.connect_to_all()
        connection.send_message(b'\xff' * (3 * CHUNK_MAX))
        self.assertEqual(connection.recv(), (-1, drpc.FAILED_UNMARSHAL_CALL, b''))
        self.assert_works(connection)

    def test_failed_unmarshal_payload(self):
        daemon, connection = self.connect_to_all()
        for body in (b'\x0a\x05wor', b'\x0a', b'\xff' * 20, b'\x00', b'\x0b'):
            with self.subTest(body=body):
                response = connection.call(HELLO, 0, body)
                self.assertEqual(response, (connection.sequence, drpc.FAILED_UNMARSHAL_PAYLOAD, b''))
        daemon.wait_for_log('^fail .*module=hello method=greeting status=FAILED_UNMARSHAL_PAYLOAD')
        self.assert_works(connection)

    def test_unknown_fields_of_a_payload_cost_no_more_than_their_budget(self):
        daemon, connection = self.connect_to_all()
        before = memory_kb(daemon.pid)
        body = drpc.string_message('x') + b'\x10\x01' * (4 << 20)
        response = connection.call(HELLO, 0, body)
        self.assertIn(response.status, (drpc.SUCCESS, drpc.BUSY))
        self.assertLess(memory_kb(daemon.pid) - before, 160 * 1024 * drpc.SLOW)
        self.assertEqual(connection.call(HELLO, 0, nested(1000)).status, drpc.SUCCESS)

    def test_failed_marshal(self):
        daemon, connection = self.connect_to_all()
        for method in (BADOUT, HUGEOUT):
            response = connection.call(SLOW_MODULE, method)
            self.assertEqual(response, (connection.sequence, drpc.FAILED_MARSHAL, b''))
        daemon.wait_for_log('^fail .*method=badout status=FAILED_MARSHAL .*requires')
        daemon.wait_for_log('^fail .*method=hugeout status=FAILED_MARSHAL .*larger')
        self.assert_works(connection)

    def test_failure_has_no_body(self):
        daemon, connection = self.connect_to_all()
        response = connection.call(SLOW_MODULE, FAIL)
        self.assertEqual(response, (connection.sequence, drpc.FAILURE, b''))
        daemon.wait_for_log('^fail .*method=fail status=FAILURE .*"Input/output error"')

    def test_a_handler_chooses_its_status_and_words_for_the_log(self):
        daemon, connection = self.connect_to_all()
        for status in (drpc.SUBMITTED, drpc.FAILURE, drpc.UNKNOWN_METHOD, drpc.FAILED_UNMARSHAL_PAYLOAD,
                       drpc.PERMISSION_DENIED, drpc.BUSY):
            response = connection.call(SLOW_MODULE, FAILWITH, b'%d' % status)
            self.assertEqual(response, (connection.sequence, status, b''))
            daemon.wait_for_log(f'^fail .*"told to: {status}"')
        response = connection.call(SLOW_MODULE, FAILWITH, b'0')
        self.assertEqual(response.status, drpc.FAILURE, 'a failure is never SUCCESS')


class UnderWay(Case):
    """What a session may have under way, and what becomes of it when the client leaves."""

    def setUp(self):
        self.daemon = self.open_daemon('--threads', '1', modules=('echo', 'slow'))
        self.control = self.connection(self.daemon)

    def until(self, counter, number):
        response = self.control.call(SLOW_MODULE, UNTIL, b'%s %d' % (counter.encode(), number))
        self.assertEqual(response.status, drpc.SUCCESS,
                         f'{counter} never was {number}: {self.count()}')

    def count(self):
        text = self.control.call(SLOW_MODULE, COUNT).body.decode()
        return {key: int(value) for key, value in (pair.split('=') for pair in text.split())}

    def test_answers_come_later_from_another_thread(self):
        connection = self.connection(self.daemon)
        for size in (0, 1, CHUNK_MAX, 1 << 20):
            response = connection.call(SLOW_MODULE, LATER, bytes(size))
            self.assertEqual(response[1:], (drpc.SUCCESS, bytes(size)))

    def test_later_calls_share_a_session_and_are_matched_by_sequence(self):
        connection = self.connection(self.daemon)
        for sequence in (10, 20, 30):
            connection.send_call(SLOW_MODULE, PARK, b'%d' % sequence, sequence=sequence)
        self.until('parked', 3)
        self.assertEqual(connection.call(ECHO, 0, b'between', sequence=40), (40, 0, b'between'))
        self.assertEqual(self.control.call(SLOW_MODULE, RELEASE).status, drpc.SUCCESS)
        answers = [connection.recv() for _ in range(3)]
        self.assertEqual(answers, [(s, drpc.SUCCESS, b'%d' % s) for s in (30, 20, 10)])

    def test_blocking_calls_of_a_session_run_one_at_a_time(self):
        connection = self.connection(self.daemon)
        connection.send_call(SLOW_MODULE, WAIT, b'60000', sequence=1)
        connection.send_call(SLOW_MODULE, WAIT, b'0', sequence=2)
        self.until('begun', 1)
        with self.daemon.connect() as other:
            self.assertEqual(other.call(SLOW_MODULE, WAIT, b'1').status, drpc.SUCCESS)
        self.assertEqual(self.count()['begun'], 2, 'the second call of the session has begun')
        self.control.call(SLOW_MODULE, RELEASE)
        self.assertEqual([connection.recv().sequence for _ in range(2)], [1, 2])
        self.assertEqual(self.count()['begun'], 3)

    def test_blocking_calls_hold_up_no_loop(self):
        connection = self.connection(self.daemon)
        connection.send_call(SLOW_MODULE, WAIT, b'60000')
        self.until('begun', 1)
        other = self.connection(self.daemon)
        for _ in range(100):
            self.assert_works(other)
        self.control.call(SLOW_MODULE, RELEASE)
        self.assertEqual(connection.recv().status, drpc.SUCCESS)

    def test_a_client_that_closes_cancels_its_later_calls(self):
        with self.daemon.connect() as connection:
            for sequence in (1, 2):
                connection.send_call(SLOW_MODULE, PARK, b'', sequence=sequence)
            self.until('parked', 2)
        self.until('cancelled', 2)
        self.assertEqual(self.count()['parked'], 0)

    def test_a_client_that_closes_cancels_its_blocking_call(self):
        with self.daemon.connect() as connection:
            connection.send_call(SLOW_MODULE, WAIT, b'60000')
            self.until('begun', 1)
        self.until('cancelled', 1)

    def test_a_client_that_shuts_down_its_sending_side_leaves(self):
        connection = self.connection(self.daemon)
        connection.send_call(SLOW_MODULE, PARK)
        self.until('parked', 1)
        connection.socket.shutdown(drpc.socket.SHUT_WR)
        self.until('cancelled', 1)
        self.assert_ended(connection)

    def test_a_client_that_shuts_down_its_sending_side_cancels_its_blocking_call(self):
        connection = self.connection(self.daemon)
        connection.send_call(SLOW_MODULE, WAIT, b'%d' % (5000 * drpc.SLOW))
        self.until('begun', 1)
        connection.socket.shutdown(drpc.socket.SHUT_WR)
        self.assert_ended(connection)
        self.until('cancelled', 1)

    def test_a_malformed_packet_cancels_the_calls_of_its_session(self):
        connection, other = self.connection(self.daemon), self.connection(self.daemon)
        connection.send_call(SLOW_MODULE, PARK)
        other.send_call(SLOW_MODULE, PARK)
        self.until('parked', 2)
        connection.send_raw(b'x')
        self.assert_ended(connection)
        self.until('cancelled', 1)
        self.control.call(SLOW_MODULE, RELEASE)
        self.assertEqual(other.recv().status, drpc.SUCCESS)

    def test_more_blocking_calls_than_workers_all_get_done(self):
        sessions = [self.connection(self.daemon) for _ in range(40)]
        for session in sessions:
            session.send_call(SLOW_MODULE, WAIT, b'1')
        for session in sessions:
            self.assertEqual(session.recv()[1:], (drpc.SUCCESS, b'waited'))

    def test_many_later_calls_at_once(self):
        connection = self.connection(self.daemon)
        sent = list(range(1, 201))
        for sequence in sent:
            connection.send_call(SLOW_MODULE, LATER, struct.pack('=Q', sequence), sequence=sequence)
        answers = [connection.recv() for _ in sent]
        self.assertEqual(sorted(answer.sequence for answer in answers), sent)
        for answer in answers:
            self.assertEqual(answer.body, struct.pack('=Q', answer.sequence))


if __name__ == '__main__':
    unittest.main()
