# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Under load: everything that can go wrong at once, and nobody else's calls lost or held up.

DRPC_TEST_SESSIONS sets the number of idle sessions (10000). A low `ulimit -n` or a slow build lowers it, and
the test says so.
"""
import array
import os
import select
import signal
import socket
import sys
import time
import unittest

import drpc
from daemon import ECHO, Case, cpu_seconds, memory_kb, raise_descriptor_limit
from drpc import CHUNK_MAX, SLOW, Connection, encode_call

BUSY_SESSIONS = 64
OTHERS = 300  # descriptors of ours and of the daemon that are not idle sessions
STALL = 2.0 * SLOW  # nobody waits longer for an answer
SIZES = (0, 64, 64, 64, 4000, 64, 64, CHUNK_MAX, 300000)


def idle_count():
    wanted = int(os.environ.get('DRPC_TEST_SESSIONS', '10000'))
    possible = min(int(wanted / SLOW), raise_descriptor_limit() - 2 * OTHERS)
    if possible < wanted:
        print(f'test_load: {possible} idle sessions instead of {wanted}: ulimit -n, or a slow build',
              file=sys.stderr)
    return possible


def drop_for_ever(path):
    """Connect, and drop: sometimes with a packet sent, sometimes with one that is malformed."""
    packets = (None, drpc.packet(0, 0, 0, 1), b'x', drpc.packet(2 * CHUNK_MAX, 1, 0, 2, b'x'))
    count = 0
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(path)
            packet = packets[count % len(packets)]
            count += 1
            if packet:
                try:
                    connection.send(packet)
                except drpc.ENDED:
                    continue


def fork_dropper(path):
    pid = os.fork()
    if pid == 0:
        try:
            drop_for_ever(path)
        finally:
            os._exit(0)
    return pid


class Busy:
    """Sessions that call as fast as they are answered, and check each answer."""

    def __init__(self, path):
        self.epoll = select.epoll()
        self.sessions = {}
        self.calls = 0
        self.longest = 0.0
        for index in range(BUSY_SESSIONS):
            connection = Connection(path)
            self.sessions[connection.fileno()] = [connection, index, b'', 0.0]
            self.epoll.register(connection.fileno(), select.EPOLLIN)

    def _send(self, session):
        session[1] += 1
        session[2] = array.array('Q', [session[1]]).tobytes() * (SIZES[session[1] % len(SIZES)] // 8)
        session[3] = time.monotonic()
        session[0].send_call(ECHO, 0, session[2])

    def _receive(self, session):
        connection, _, body, sent = session
        response = connection.recv()
        if response != (connection.sequence, drpc.SUCCESS, body):
            raise AssertionError(f'answer {response[:2]} to call {connection.sequence}')
        self.calls += 1
        self.longest = max(self.longest, time.monotonic() - sent)

    def run(self, done, seconds):
        """All call until @done() and at least @seconds have passed; then the last answers are taken."""
        begin = time.monotonic()
        for session in self.sessions.values():
            self._send(session)
        waiting = len(self.sessions)
        while waiting:
            events = self.epoll.poll(STALL)
            if not events:
                raise AssertionError(f'{waiting} busy sessions are not answered')
            is_over = time.monotonic() - begin >= seconds and done()
            for fd, _ in events:
                session = self.sessions[fd]
                self._receive(session)
                if is_over:
                    waiting -= 1
                else:
                    self._send(session)

    def close(self):
        self.epoll.close()
        for connection, *_ in self.sessions.values():
            connection.close()


def call_each(sessions, body):
    """One call on each: all are sent before the first answer is taken, a few thousand at a time."""
    for start in range(0, len(sessions), 2000):
        part = sessions[start:start + 2000]
        for session in part:
            session.send_call(ECHO, 0, body)
        for session in part:
            response = session.recv()
            if response != (session.sequence, drpc.SUCCESS, body):
                raise AssertionError(f'an idle session was answered {response}')


class Together(Case):
    def setUp(self):
        self.count = idle_count()
        self.daemon = self.open_daemon(
            '--max-sessions', '100000', '--max-sessions-per-uid', '100000', '--message-timeout', '600s',
            '--send-timeout', '600s', modules=('echo',), nofile=self.count + OTHERS)
        self.idle = []
        self.extra = []
        self.addCleanup(self.close_all)

    def close_all(self):
        for connection in self.idle + self.extra:
            connection.close()

    def open_idle(self):
        before = memory_kb(self.daemon.pid)
        self.idle = [Connection(self.daemon.path) for _ in range(self.count)]
        call_each(self.idle, b'first')
        grown = (memory_kb(self.daemon.pid) - before) * 1024 / self.count
        print(f'test_load: {self.count} idle sessions, {grown:.0f} bytes of memory each', file=sys.stderr)
        if SLOW == 1 and self.count >= 5000:
            self.assertLess(grown, 600, 'bytes for an idle session, with what the allocator adds')

    def open_never_reading(self):
        """One whose answers fill its socket, and who goes on sending until nothing more is taken."""
        never = self.connection(self.daemon)
        never.socket.settimeout(0.2)
        sent = 0
        try:
            while sent < 400:
                never.send_call(ECHO, 0, bytes(100000))
                sent += 1
        except TimeoutError:
            pass
        self.assertLess(sent, 400, 'all was taken')
        return never, sent

    def exhaust(self, dropper):
        """Connect until there are no descriptors left to accept with; then 20 more, who wait in the queue."""
        os.kill(dropper, signal.SIGSTOP)  # or it fills the queue first
        while not self.daemon.find('^pause') and len(self.extra) < 2 * OTHERS:
            self.extra.append(Connection(self.daemon.path))
            self.daemon_turn()
        self.daemon.wait_for_log('^pause')  # the loop that accepts may be behind the one that answered
        self.waiting = [Connection(self.daemon.path) for _ in range(20)]
        self.extra += self.waiting
        os.kill(dropper, signal.SIGCONT)

    def daemon_turn(self):
        self.assertEqual(self.idle[0].call(ECHO, 0, b'x').status, drpc.SUCCESS)

    def test_everything_at_once(self):
        self.open_idle()
        busy = Busy(self.daemon.path)
        self.addCleanup(busy.close)
        never, sent = self.open_never_reading()
        half = self.connection(self.daemon)
        message = encode_call(ECHO, 0, 1, bytes(CHUNK_MAX))
        half.send_packet(len(message), CHUNK_MAX, 0, 2, message[:CHUNK_MAX])
        dropper = fork_dropper(self.daemon.path)
        try:
            busy.run(lambda: True, 1.5)
            self.exhaust(dropper)
            busy.run(lambda: True, 1.5)
            self.assertEqual([c for c in self.waiting if c.is_readable(0)], [], 'somebody was turned away')
            for connection in self.extra[:-20]:
                connection.close()
            busy.run(lambda: bool(self.daemon.find('^resume')), 1.5)
            for connection in self.waiting:
                self.assert_works(connection)
        finally:
            os.kill(dropper, signal.SIGKILL)
            os.waitpid(dropper, 0)
        busy.run(lambda: True, 0.5)
        call_each(self.idle, b'last')
        half.send_packet(len(message), len(message) - CHUNK_MAX, 1, 2, message[CHUNK_MAX:])
        self.assertEqual(half.recv(), (1, drpc.SUCCESS, bytes(CHUNK_MAX)))
        never.socket.settimeout(drpc.TIMEOUT)
        for sequence in range(1, sent + 1):
            response = never.recv()
            self.assertEqual((response.sequence, response.status, len(response.body)), (sequence, 0, 100000))
        print(f'test_load: {busy.calls} calls of {BUSY_SESSIONS} busy sessions, the longest took '
              f'{busy.longest * 1000:.0f} ms', file=sys.stderr)
        self.assertLess(busy.longest, STALL)
        self.assertGreater(busy.calls, 1000)


class Exhausted(Case):
    """Descriptors exhausted: accepting pauses, does not spin, and resumes."""

    def test_accepting_pauses_without_spinning_and_resumes(self):
        daemon = self.open_daemon('--threads', '2', modules=('echo',), nofile=64)
        sessions = []
        while not daemon.find('^pause'):
            self.assertLess(len(sessions), 2000, 'accepting does not pause')
            sessions.append(self.connection(daemon))
            self.assert_works(sessions[0])
        waiting = [self.connection(daemon) for _ in range(10)]
        for connection in waiting:
            connection.send_call(ECHO, 0, b'patient')
        begin, before = time.monotonic(), cpu_seconds(daemon.pid)
        # Nothing is to come: all that is wanted is that time passes while nobody calls.
        self.assertEqual(select.select(waiting, [], [], 2.0)[0], [])
        seconds, used = time.monotonic() - begin, cpu_seconds(daemon.pid) - before
        self.assertLess(used, 0.1 * seconds, f'{used:.2f} s of CPU in {seconds:.2f} s of pause')
        self.assert_works(sessions[0])
        for connection in sessions[1:]:  # the last of them may be waiting too
            connection.close()
        daemon.wait_for_log('^resume')
        for connection in waiting:
            self.assertEqual(connection.recv(), (1, drpc.SUCCESS, b'patient'))
        self.assertLess(len(daemon.find('^pause')), 20, 'the pauses fill the log')

    def test_an_idle_daemon_uses_no_cpu(self):
        daemon = self.open_daemon(modules=('echo',))
        with daemon.connect() as connection:
            self.assert_works(connection)
            before = cpu_seconds(daemon.pid)
            self.assertFalse(connection.is_readable(1.0))
            self.assertLess(cpu_seconds(daemon.pid) - before, 0.05 * SLOW)


if __name__ == '__main__':
    unittest.main()
