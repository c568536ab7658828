# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What a caller might do at the cost of others, and what whoever starts the daemon might hand it."""
import contextlib
import os
import time
import unittest

import drpc
from daemon import Case, needs_root, policy
from drpc import Connection, as_user

STRANGER = 1501


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def half_close(path):
    """Say nothing, end the sending side, and wait for the server's end."""
    with Connection(path) as connection:
        connection.socket.shutdown(drpc.socket.SHUT_WR)
        return connection.recv().status, connection.is_ended()


def statuses_of_many(path, count):
    """Connect as often as that, and stay until each was answered."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(path)) for _ in range(count)]
        return sorted({connection.recv().status for connection in connections})


def denied(path):
    with Connection(path) as connection:
        return connection.recv().status


class Strangers(Case):
    def for_root_only(self, *options):
        return self.start({'echo': policy('echo', ('allow', 'root', 'root', '*'))}, *options)

    @needs_root
    def test_one_that_ends_its_sending_side_is_closed_at_once(self):
        daemon = self.for_root_only()
        before, begin = cpu_seconds(daemon.pid), time.monotonic()
        for _ in range(20):
            self.assertEqual(as_user(STRANGER, half_close, daemon.path), (drpc.PERMISSION_DENIED, True))
        self.assertLess(time.monotonic() - begin, 10 * drpc.SLOW, 'each lingers for its second')
        self.assertLess(cpu_seconds(daemon.pid) - before, drpc.SLOW, 'it spins')

    @needs_root
    def test_many_do_not_take_the_places_of_others(self):
        daemon = self.for_root_only('--max-sessions', '40', '--threads', '1')
        self.assertEqual(as_user(STRANGER, statuses_of_many, daemon.path, 150), [drpc.PERMISSION_DENIED])
        self.assert_works(self.connection(daemon))

    @needs_root
    def test_two_uids_cannot_buy_lines_from_each_other(self):
        daemon = self.for_root_only()
        for _ in range(20):
            for uid in (7000, 7256, 7512):
                self.assertEqual(as_user(uid, denied, daemon.path), drpc.PERMISSION_DENIED)
        daemon.stop()
        for uid in (7000, 7256, 7512):
            self.assertEqual(len([line for line in daemon.lines if line.startswith(f'deny uid={uid} ')]), 1)
            self.assertTrue(daemon.find(f'^repeat uid={uid} count=19 '), daemon.log())


class Inherited(Case):
    def shell(self, redirection):
        return self.open_daemon(command=('sh', '-c', f'exec "$@" {redirection}', 'sh'))

    @needs_root
    def test_descriptors_of_the_starter_are_closed(self):
        daemon = self.shell('7</etc/passwd')
        self.assertNotIn('/etc/passwd', daemon.descriptors().values())

    @needs_root
    def test_closed_standard_descriptors_are_not_given_to_anything_else(self):
        daemon = self.shell('0<&- 1>&-')
        names = daemon.descriptors()
        self.assertEqual([names[fd] for fd in sorted(names, key=int)[:2]], ['/dev/null'] * 2)
        self.assert_works(self.connection(daemon))


if __name__ == '__main__':
    unittest.main()
