# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Limits, each at its edge: the last that is allowed, the first that is refused, and that it recovers."""
import contextlib
import time
import unittest

import drpc
from daemon import (COUNT, ECHO, HELLO, PARK, RELEASE, SLOW_MODULE, UNTIL, WAIT, Case, milliseconds,
                    needs_root, open_policy)
from drpc import CHUNK_MAX, Connection, as_user, encode_call

ALICE, BOB = 1501, 1502
BUSY_AT_THE_DOOR = (-1, drpc.BUSY, b'')


# What a helper does as its uid; `state` is its own.

def open_sessions(state, path, count):
    """Open and keep sessions; the status of a call on each."""
    answers = []
    for _ in range(count):
        connection = Connection(path)
        state.setdefault('sessions', []).append(connection)
        answers.append(connection.call(ECHO, 0, b'x').status)
    return answers


def close_session(state):
    state['sessions'].pop(0).close()


def send_first_chunks(state, path, count):
    """Begin messages of two chunks that are never completed."""
    for _ in range(count):
        connection = Connection(path)
        state.setdefault('sessions', []).append(connection)
        connection.send_packet(2 * CHUNK_MAX, CHUNK_MAX, 0, 2, bytes(CHUNK_MAX))


def answer_or_nothing(state, index):
    connection = state['sessions'][index]
    return connection.recv() if connection.is_readable(0) else None


def one_call(state, path, module, method, body=b''):
    return drpc.call(path, module, method, body).status


def knock(state, path):
    return drpc.knock(path)


def recovers(path):
    """A new session is let in again, if not now then soon."""
    def is_let_in():
        try:
            return drpc.call(path, ECHO, 0, b'x').status == drpc.SUCCESS
        except drpc.ENDED:
            return False
    return drpc.eventually(is_let_in, 'a session is let in')


def is_let_in(state, path):
    return recovers(path)


class OfModules(Case):
    """The [limits] of a policy."""

    def test_max_call_size(self):
        daemon = self.start({'echo': open_policy('echo', limits={'max-call-size': '1000'}),
                             'hello': open_policy('hello')})
        connection = self.connection(daemon)
        self.assertEqual(connection.call(ECHO, 0, bytes(1000))[1:], (drpc.SUCCESS, bytes(1000)))
        for size in (1001, CHUNK_MAX, 1 << 20):
            self.assertEqual(connection.call(ECHO, 0, bytes(size))[1:], (drpc.BUSY, b''), size)
        daemon.wait_for_log('^limit .*module=echo method=echo status=BUSY reason=max-call-size')
        self.assertEqual(connection.call(ECHO, 0, bytes(1000)).status, drpc.SUCCESS)
        self.assertEqual(connection.call(HELLO, 0, drpc.string_message('x' * 2000)).status, drpc.SUCCESS)

    def rate(self, connection, seconds):
        """Call without a pause; how many were answered SUCCESS, and in what time."""
        begin = time.monotonic()
        good = 0
        while time.monotonic() - begin < seconds:
            good += connection.call(ECHO, 0).status == drpc.SUCCESS
        return good, time.monotonic() - begin

    def test_calls_per_second(self):
        rate = 40
        daemon = self.start({'echo': open_policy('echo', limits={'calls-per-second': str(rate)})})
        connection = self.connection(daemon)
        first = [connection.call(ECHO, 0).status for _ in range(rate)]
        self.assertEqual(first, [drpc.SUCCESS] * rate, 'a burst of a second passes')
        good, seconds = self.rate(connection, 0.5)
        self.assertLessEqual(good, rate * (seconds + 1) + 1)
        daemon.wait_for_log('^limit .*reason=calls-per-second')
        recovered = [connection.call(ECHO, 0).status for _ in range(2 * rate)]
        self.assertIn(drpc.BUSY, recovered, 'the burst is used up')
        drpc.eventually(lambda: connection.call(ECHO, 0).status == drpc.SUCCESS, 'a call passes again')

    def test_calls_per_second_are_of_the_uid_not_of_the_session(self):
        daemon = self.start({'echo': open_policy('echo', limits={'calls-per-second': '5'})})
        begin = time.monotonic()
        statuses = [drpc.call(daemon.path, ECHO, 0).status for _ in range(50)]
        passed = statuses.count(drpc.SUCCESS)
        self.assertGreaterEqual(passed, 5)
        self.assertLessEqual(passed, 5 * (time.monotonic() - begin + 1) + 1)

    @needs_root
    def test_calls_per_second_of_one_uid_are_not_anothers(self):
        daemon = self.start({'echo': open_policy('echo', limits={'calls-per-second': '5'})})
        for _ in range(30):
            drpc.call(daemon.path, ECHO, 0)
        self.assertEqual(as_user(ALICE, one_call, None, daemon.path, ECHO, 0), drpc.SUCCESS)

    def start_slow(self, limit):
        self.daemon = self.start({'slow': open_policy('slow', limits={'concurrent-calls': str(limit)}),
                                  'echo': open_policy('echo')}, '--threads', '1')
        return self.connection(self.daemon)

    def test_concurrent_calls_of_one_session(self):
        connection = self.start_slow(3)
        for sequence in (1, 2, 3):
            connection.send_call(SLOW_MODULE, PARK, b'', sequence=sequence)
        self.assertEqual(connection.call(SLOW_MODULE, COUNT, sequence=4), (4, drpc.BUSY, b''))
        self.daemon.wait_for_log('^limit .*method=count status=BUSY reason=concurrent-calls')
        self.assertEqual(connection.call(ECHO, 0, b'', sequence=5).status, drpc.SUCCESS)
        # Nobody may call release now: the limit is the uid's. Leaving gives all of it back.
        connection.close()
        with self.daemon.connect() as other:
            drpc.eventually(lambda: other.call(SLOW_MODULE, COUNT).status == drpc.SUCCESS, 'it recovers')
            self.assertIn(b'parked=0', other.call(SLOW_MODULE, COUNT).body)

    def test_concurrent_calls_over_sessions_of_one_uid(self):
        first, second = self.start_slow(2), self.connection(self.daemon)
        first.send_call(SLOW_MODULE, WAIT, b'60000')
        with self.daemon.connect() as other:
            drpc.eventually(lambda: b'begun=1' in other.call(SLOW_MODULE, COUNT).body, 'the wait has begun')
        second.send_call(SLOW_MODULE, PARK)
        drpc.eventually(lambda: self.daemon.call(SLOW_MODULE, COUNT).status == drpc.BUSY, 'the third is refused')
        second.close()
        drpc.eventually(lambda: self.daemon.call(SLOW_MODULE, RELEASE).status == drpc.SUCCESS, 'it recovers')
        self.assertEqual(first.recv().status, drpc.SUCCESS)

    @needs_root
    def test_concurrent_calls_of_one_uid_are_not_anothers(self):
        connection = self.start_slow(1)
        connection.send_call(SLOW_MODULE, PARK)
        drpc.eventually(lambda: self.daemon.call(SLOW_MODULE, COUNT).status == drpc.BUSY, 'the second is refused')
        self.assertEqual(as_user(ALICE, one_call, None, self.daemon.path, SLOW_MODULE, RELEASE), drpc.SUCCESS)
        self.assertEqual(connection.recv().status, drpc.SUCCESS)
        self.assertEqual(connection.call(SLOW_MODULE, COUNT).status, drpc.SUCCESS)


class Sessions(Case):
    @needs_root
    def test_max_sessions_and_roots_reserve(self):
        alice = self.helper(ALICE)
        daemon = self.open_daemon('--max-sessions', '200')
        self.assertEqual(alice.run(open_sessions, daemon.path, 136), [0] * 136)
        self.assertEqual(alice.run(knock, daemon.path), (BUSY_AT_THE_DOOR, True))
        self.assertEqual(as_user(BOB, drpc.knock, daemon.path), (BUSY_AT_THE_DOOR, True))
        daemon.wait_for_log(f'^limit uid={ALICE} .*reason=max-sessions$')
        root = [self.connection(daemon) for _ in range(64)]
        for connection in root:
            self.assert_works(connection)
        self.assertEqual(drpc.knock(daemon.path), (BUSY_AT_THE_DOOR, True))
        root[0].close()
        self.assertTrue(recovers(daemon.path))
        alice.run(close_session)
        self.assertEqual(as_user(BOB, drpc.knock, daemon.path), (BUSY_AT_THE_DOOR, True))  # root has 63 still
        for connection in root:
            connection.close()
        self.assertTrue(alice.run(is_let_in, daemon.path))

    @needs_root
    def test_max_sessions_of_a_small_server(self):
        alice = self.helper(ALICE)
        daemon = self.open_daemon('--max-sessions', '10')
        self.assertEqual(alice.run(open_sessions, daemon.path, 5), [0] * 5)
        self.assertEqual(alice.run(knock, daemon.path), (BUSY_AT_THE_DOOR, True))
        for _ in range(5):
            self.assert_works(self.connection(daemon))
        self.assertEqual(drpc.knock(daemon.path), (BUSY_AT_THE_DOOR, True))

    def test_max_sessions_per_uid(self):
        daemon = self.open_daemon('--max-sessions-per-uid', '3')
        sessions = [self.connection(daemon) for _ in range(3)]
        for session in sessions:
            self.assert_works(session)
        self.assertEqual(drpc.knock(daemon.path), (BUSY_AT_THE_DOOR, True))
        daemon.wait_for_log('^limit .*reason=max-sessions-per-uid')
        for session in sessions:
            self.assert_works(session)
        sessions[1].close()
        self.assertTrue(recovers(daemon.path))

    @needs_root
    def test_max_sessions_per_uid_is_of_each(self):
        alice = self.helper(ALICE)
        daemon = self.open_daemon('--max-sessions-per-uid', '3')
        self.assertEqual(alice.run(open_sessions, daemon.path, 3), [0] * 3)
        self.assertEqual(alice.run(knock, daemon.path), (BUSY_AT_THE_DOOR, True))
        self.assertEqual(as_user(BOB, one_call, None, daemon.path, ECHO, 0), drpc.SUCCESS)

    def test_a_call_sent_to_a_busy_server_is_answered_busy(self):
        daemon = self.open_daemon('--max-sessions-per-uid', '1')
        self.assert_works(self.connection(daemon))
        for size in (0, 100, 1 << 20):
            self.assertEqual(daemon.call(ECHO, 0, bytes(size)), BUSY_AT_THE_DOOR)


class Sizes(Case):
    def test_max_message_size(self):
        limit = 300 * 1024
        daemon = self.open_daemon('--max-message-size', '300K', modules=('slow', 'echo'))
        connection, other = self.connection(daemon), self.connection(daemon)
        room = limit - len(encode_call(SLOW_MODULE, COUNT, 1, bytes(limit // 2))) + limit // 2
        self.assertEqual(len(encode_call(SLOW_MODULE, COUNT, 1, bytes(room))), limit)
        self.assertEqual(connection.call(SLOW_MODULE, COUNT, bytes(room)).status, drpc.SUCCESS)
        with self.assertRaises(drpc.ENDED):
            other.send_call(SLOW_MODULE, COUNT, bytes(room + 1), sequence=1)
            other.recv()
        daemon.wait_for_log('^close .*above the limit')
        self.assert_works(connection)

    @needs_root
    def test_max_bytes_per_uid_of_messages_midway(self):
        """Each holds a chunk, and perhaps room for the second: 1 MiB is good for four to eight of them."""
        alice = self.helper(ALICE)
        daemon = self.open_daemon('--max-bytes-per-uid', '1M', '--threads', '1', '--message-timeout', '600s')
        answers = []
        while (not answers or answers[-1] is None) and len(answers) < 10:
            alice.run(send_first_chunks, daemon.path, 1)
            self.assertEqual(alice.run(one_call, daemon.path, ECHO, 0), drpc.SUCCESS)
            answers.append(alice.run(answer_or_nothing, len(answers)))
        self.assertEqual(answers[-1], BUSY_AT_THE_DOOR)
        self.assertIn(len(answers), range(5, 10))
        daemon.wait_for_log(f'^limit uid={ALICE} .*reason=max-bytes-per-uid')
        self.assertEqual(alice.run(one_call, daemon.path, ECHO, 0, b'small'), drpc.SUCCESS)
        self.assertEqual(as_user(BOB, one_call, None, daemon.path, ECHO, 0, bytes(500000)), drpc.SUCCESS)
        alice.run(close_session)
        drpc.eventually(lambda: alice.run(large_call_passes, daemon.path), 'it recovers')

    def test_max_bytes_per_uid_of_answers_that_nobody_reads(self):
        daemon = self.open_daemon('--max-bytes-per-uid', '8M', '--send-timeout', '600s', '--threads', '1')
        sessions = []
        while not daemon.find('reason=max-bytes-per-uid') and len(sessions) < 64:
            connection = self.connection(daemon)
            sessions.append(connection)
            with contextlib.suppress(*drpc.ENDED):  # a message midway may be what is refused
                connection.send_call(ECHO, 0, bytes(3 << 20))
            with daemon.connect() as other:
                self.assert_works(other)
        self.assertTrue(daemon.find('reason=max-bytes-per-uid'), 'unread answers are held without a limit')
        self.assertLess(len(sessions), 32)
        for session in sessions:
            session.close()
        drpc.eventually(lambda: large_call_passes(None, daemon.path, 3 << 20), 'it recovers')

    def test_max_bytes_per_uid_of_calls_that_wait(self):
        daemon = self.open_daemon('--max-bytes-per-uid', '1M', '--threads', '1', modules=('slow', 'echo'))
        connection = self.connection(daemon)
        for sequence in range(1, 12):
            connection.send_call(SLOW_MODULE, PARK, bytes(100000), sequence=sequence)
        answer = connection.recv()
        self.assertEqual(answer[1:], (drpc.BUSY, b''))
        self.assertGreaterEqual(answer.sequence, 9)
        daemon.wait_for_log('^limit .*method=park status=BUSY reason=max-bytes-per-uid')
        self.assertEqual(daemon.call(SLOW_MODULE, RELEASE).status, drpc.SUCCESS)
        statuses = [connection.recv().status for _ in range(10)]
        self.assertIn(drpc.SUCCESS, statuses)
        drpc.eventually(lambda: large_call_passes(None, daemon.path, 400000), 'it recovers')


def large_call_passes(state, path, size=200000):
    try:
        return drpc.call(path, ECHO, 0, bytes(size)).status == drpc.SUCCESS
    except drpc.ENDED:
        return False


class Timeouts(Case):
    """message-timeout is tried in test_wire.py as well."""

    def test_message_timeout_runs_from_the_first_packet(self):
        daemon = self.open_daemon('--message-timeout', milliseconds(400), '--threads', '1')
        connection = self.connection(daemon)
        self.assert_works(connection)
        begin = time.monotonic()
        connection.send_packet(2 * CHUNK_MAX, CHUNK_MAX, 0, 2, bytes(CHUNK_MAX))
        self.assert_ended(connection)
        self.assertGreaterEqual(time.monotonic() - begin, 0.39 * drpc.SLOW)
        self.assertLess(time.monotonic() - begin, 5 * drpc.SLOW)
        daemon.wait_for_log('^limit .*reason="message-timeout')

    def test_message_in_time_is_not_ended(self):
        daemon = self.open_daemon('--message-timeout', milliseconds(400), '--threads', '1')
        connection, marker = self.connection(daemon), self.connection(daemon)
        for _ in range(2):
            call = encode_call(ECHO, 0, 1, bytes(CHUNK_MAX))
            connection.send_packet(len(call), CHUNK_MAX, 0, 2, call[:CHUNK_MAX])
            connection.send_packet(len(call), len(call) - CHUNK_MAX, 1, 2, call[CHUNK_MAX:])
            self.assertEqual(connection.recv().status, drpc.SUCCESS)
            marker.send_packet(2 * CHUNK_MAX, CHUNK_MAX, 0, 2, bytes(CHUNK_MAX))
            self.assert_ended(marker)  # so much time has passed since
            marker = self.connection(daemon)
        self.assert_works(connection)

    def test_waiting_for_an_answer_is_not_a_message_that_takes_too_long(self):
        daemon = self.open_daemon('--message-timeout', milliseconds(100), '--send-timeout', milliseconds(100),
                                  modules=('slow', 'echo'))
        connection, marker = self.connection(daemon), self.connection(daemon)
        connection.send_call(SLOW_MODULE, PARK)
        marker.send_packet(2 * CHUNK_MAX, CHUNK_MAX, 0, 2, bytes(CHUNK_MAX))
        self.assert_ended(marker)
        self.assertEqual(daemon.call(SLOW_MODULE, UNTIL, b'parked 1').status, drpc.SUCCESS)
        daemon.call(SLOW_MODULE, RELEASE)
        self.assertEqual(connection.recv().status, drpc.SUCCESS)

    def test_send_timeout(self):
        daemon = self.open_daemon('--send-timeout', milliseconds(300), '--threads', '1')
        never, other = self.connection(daemon), self.connection(daemon)
        begin = time.monotonic()
        never.send_call(ECHO, 0, bytes(16 << 20))
        while not daemon.find('^limit .*send-timeout'):
            self.assert_works(other)
            self.assertLess(time.monotonic() - begin, drpc.TIMEOUT)
        self.assertGreaterEqual(time.monotonic() - begin, 0.29 * drpc.SLOW)
        with self.assertRaises(drpc.ENDED):
            never.recv()

    def test_a_slow_reader_that_goes_on_reading_is_not_ended(self):
        daemon = self.open_daemon('--send-timeout', milliseconds(400), '--threads', '1')
        slow = self.connection(daemon)
        size = 12 << 20
        slow.send_call(ECHO, 0, bytes(size))
        begin = time.monotonic()
        got = 0
        while got < size:
            got += len(slow.recv_packet()[2])
            # Nothing is to be awaited: this only lets 20 ms pass, as a slow reader does.
            drpc.select.select([], [], [], 0.02 * drpc.SLOW)
        self.assertGreater(time.monotonic() - begin, 0.8 * drpc.SLOW)
        self.assert_works(slow)


if __name__ == '__main__':
    unittest.main()
