# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Who is calling: as the kernel says, whatever the caller says. Nearly all of it needs other uids."""
import array
import contextlib
import os
import shutil
import signal
import socket
import struct
import unittest

import drpc
from daemon import (ECHO, HELLO, Case, children_of, needs_root, open_policy, parse_line, policy)
from drpc import Connection, as_user

ALICE, BOB, CAROL = 1501, 1502, 1503
TEAM = 4242
OVERFLOW = 65534

DENIED = (-1, drpc.PERMISSION_DENIED, b'')


def echo(path, body=b'x'):
    return drpc.call(path, ECHO, 0, body)


def answer_of(path):
    """The status of one echo call."""
    return echo(path).status


def say_wrong_things(path, what):
    """A stranger that does not wait for an answer; what it was told, and that it was closed."""
    with Connection(path) as connection:
        try:
            connection.send_raw(what)
        except drpc.ENDED:
            pass
        return connection.recv(), connection.is_ended()


@needs_root
class Uids(Case):
    def test_each_uid_is_judged_by_itself(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'some', f'{ALICE}, {CAROL}', 'echo'))})
        for uid, status in ((ALICE, 0), (BOB, drpc.PERMISSION_DENIED), (CAROL, 0), (0, drpc.PERMISSION_DENIED)):
            self.assertEqual(as_user(uid, answer_of, daemon.path), status, f'uid {uid}')

    def test_uid_and_gid_are_the_connectors_in_the_log(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'some', str(ALICE), 'echo'))})
        pid = as_user(BOB, lambda: (echo(daemon.path), os.getpid())[1], gid=77, groups=(TEAM,))
        pairs = daemon.wait_for_pairs(f'^deny uid={BOB}')
        self.assertEqual((pairs['uid'], pairs['gid'], pairs['pid']), (str(BOB), '77', str(pid)))

    def test_identity_is_that_of_the_moment_of_connect(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'some', str(ALICE), 'echo'))})

        def connect_then_change():
            os.setresuid(ALICE, ALICE, 0)
            with daemon.connect() as connection:
                before = connection.call(ECHO, 0, b'a').status
                os.setresuid(0, 0, 0)
                os.setresuid(BOB, BOB, BOB)
                return before, connection.call(ECHO, 0, b'b').status

        self.assertEqual(drpc.in_child(connect_then_change), (0, 0))
        self.assertEqual(as_user(BOB, answer_of, daemon.path), drpc.PERMISSION_DENIED)

    def test_effective_uid_counts_not_the_real_one(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'some', str(ALICE), 'echo'))})

        def call_with_effective_uid():
            os.setresuid(BOB, ALICE, BOB)
            return answer_of(daemon.path)

        self.assertEqual(drpc.in_child(call_with_effective_uid), 0)


@needs_root
class Groups(Case):
    def setUp(self):
        self.daemon = self.start({'echo': policy(
            'echo', ('allow', 'team', f'%{TEAM}, %staff, %7000-7009', '*'), ('deny', 'out', '%6000', '*'))})

    def status(self, **who):
        return as_user(ALICE, answer_of, self.daemon.path, **who)

    def test_primary_group(self):
        self.assertEqual(self.status(gid=TEAM), 0)

    def test_supplementary_groups_wherever_they_stand(self):
        for groups in ((TEAM,), (1, 2, TEAM), (TEAM, 1, 2), tuple(range(1000, 1200)) + (TEAM,)):
            self.assertEqual(self.status(groups=groups), 0, groups[-3:])

    def test_very_many_groups(self):
        self.assertEqual(self.status(groups=tuple(range(10000, 12000)) + (7004,)), 0)
        self.assertEqual(self.status(groups=tuple(range(10000, 12000))), drpc.PERMISSION_DENIED)

    def test_group_by_name(self):
        self.assertEqual(self.status(groups=(50,)), 0)

    def test_range_of_groups_has_both_ends(self):
        for gid, status in ((6999, 8), (7000, 0), (7009, 0), (7010, 8)):
            self.assertEqual(self.status(groups=(gid,)), status, gid)

    def test_without_the_group(self):
        self.assertEqual(self.status(), drpc.PERMISSION_DENIED)
        self.assertEqual(self.status(groups=(TEAM + 1, TEAM - 1)), drpc.PERMISSION_DENIED)

    def test_denied_group_wins_over_allowed_group(self):
        self.assertEqual(self.status(groups=(TEAM, 6000)), drpc.PERMISSION_DENIED)
        self.assertEqual(self.status(gid=6000, groups=(TEAM,)), drpc.PERMISSION_DENIED)

    def test_uid_of_the_groups_number_is_not_the_group(self):
        self.assertEqual(as_user(TEAM, answer_of, self.daemon.path, gid=1), drpc.PERMISSION_DENIED)


@needs_root
class Named(Case):
    """Refused by name, before any policy, whatever the policy says."""

    def setUp(self):
        self.daemon = self.open_daemon(modules=('echo',))

    def check_refused(self, pattern, uid, **who):
        answer, is_closed = as_user(uid, drpc.knock, self.daemon.path, **who)
        self.assertEqual(answer, DENIED)
        self.assertTrue(is_closed)
        self.daemon.wait_for_log(f'^refuse uid={uid} .*reason=.*{pattern}')
        self.daemon.stop()
        self.assertEqual(self.daemon.find('^close'), [])

    def test_overflow_uid(self):
        self.check_refused('overflow uid', OVERFLOW)

    def test_overflow_gid(self):
        self.check_refused('overflow gid', ALICE, gid=OVERFLOW)

    def test_overflow_gid_among_the_supplementary_groups(self):
        self.check_refused('overflow gid', ALICE, groups=(7, OVERFLOW, 8))

    def test_overflow_uid_is_refused_before_its_packet_is_looked_at(self):
        answer, is_closed = as_user(OVERFLOW, say_wrong_things, self.daemon.path, b'no packet at all')
        self.assertEqual((answer, is_closed), (DENIED, True))
        self.daemon.stop()
        self.assertEqual(self.daemon.find('^(close|deny|fail)'), [])

    def test_neighbours_of_the_overflow_uid_are_callers(self):
        self.assertEqual(as_user(OVERFLOW - 1, answer_of, self.daemon.path), 0)


@needs_root
class ForeignNamespace(Case):
    @staticmethod
    def kill(pidfd):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)

    @unittest.skipUnless(shutil.which('unshare'), 'SKIPPED: needs unshare(1)')
    def test_a_caller_from_a_foreign_pid_namespace_is_refused_by_name(self):
        daemon = self.make({'echo': open_policy('echo')}, command=(
            'unshare', '--pid', '--fork', '--mount-proc', '--kill-child'))
        daemon.start()
        inner = children_of(daemon.pid)[0]
        self.addCleanup(self.kill, os.pidfd_open(inner))  # --kill-child does not reach who changed its uid
        answer, is_closed = drpc.knock(daemon.path)
        self.assertEqual((answer, is_closed), (DENIED, True))
        daemon.wait_for_log('^refuse uid=0 gid=0 pid=0 .*foreign PID namespace')
        os.kill(inner, signal.SIGTERM)
        daemon.wait_for_log('^stopped')
        self.assertEqual(daemon.wait(), 0)


class Strangers(Case):
    """Whom no rule of any module could allow: answered, closed, and not one byte of theirs parsed."""

    def start_for_others(self):
        """Nobody of the tests is called 3999; a denial of all wins over the rule beside it."""
        me = os.getuid()
        return self.start({
            'echo': policy('echo', ('allow', 'others', '3999', '*')),
            'hello': policy('hello', ('allow', 'me', str(me), '*'), ('deny', 'out', f'{me}, %{os.getgid()}', '*'))})

    def check(self, what):
        daemon = self.start_for_others()
        answer, is_closed = say_wrong_things(daemon.path, what)
        self.assertEqual((answer, is_closed), (DENIED, True))
        pairs = daemon.wait_for_pairs('^deny .*stranger')
        self.assertEqual(pairs['uid'], str(os.getuid()))
        daemon.stop()
        self.assertEqual(daemon.find('^(close|fail|refuse|limit|call)'), [], 'something was parsed')

    def test_a_silent_stranger_is_told_and_closed(self):
        daemon = self.start_for_others()
        self.assertEqual(drpc.knock(daemon.path), (DENIED, True))

    def test_a_stranger_that_says_nothing_and_stays_is_closed(self):
        daemon = self.start_for_others()
        connection = self.connection(daemon)
        self.assertEqual(connection.recv(), DENIED)
        self.assert_ended(connection)

    def test_a_strangers_good_call_is_not_parsed(self):
        self.check(drpc.packet(0, 0, 0, 1))

    def test_a_strangers_malformed_packet_gives_no_complaint(self):
        self.check(b'x')

    def test_a_strangers_malformed_call_gives_no_complaint(self):
        self.check(drpc.packet(3, 3, 0, 1, b'\xff\xff\xff'))

    def test_a_strangers_half_message_gives_no_complaint(self):
        self.check(drpc.packet(1 << 20, 1, 0, drpc.chunks_of(1 << 20), b'x'))

    def test_a_stranger_that_sends_much_gets_the_answer_all_the_same(self):
        daemon = self.start_for_others()
        for _ in range(20):
            with daemon.connect() as connection:
                response = connection.call(ECHO, 0, bytes(4 << 20))
                self.assertEqual(response, DENIED)

    @needs_root
    def test_who_is_no_stranger_to_one_module_is_judged_by_each(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'a', str(ALICE), '*')),
                             'hello': policy('hello', ('allow', 'b', str(BOB), '*'))})

        def both(path):
            with Connection(path) as connection:
                return connection.call(ECHO, 0).status, connection.call(HELLO, 0).status

        self.assertEqual(as_user(ALICE, both, daemon.path), (0, drpc.PERMISSION_DENIED))
        self.assertEqual(as_user(BOB, both, daemon.path), (drpc.PERMISSION_DENIED, 0))
        self.assertEqual(as_user(CAROL, drpc.knock, daemon.path), (DENIED, True))


class HandedOn(Case):
    """A descriptor can be handed on; the right to call with it cannot."""

    @needs_root
    def test_another_uid_cannot_use_a_session(self):
        daemon = self.open_daemon(modules=('echo',))

        def parent():
            os.setresuid(0, ALICE, 0)  # so that the child can become somebody else
            connection = Connection(daemon.path)
            mine = connection.call(ECHO, 0, b'mine').status
            os.setresuid(0, 0, 0)
            return mine, drpc.in_child(use_as_bob, connection)

        def use_as_bob(connection):
            drpc.become(BOB)
            connection.send_call(ECHO, 0, b'stolen')
            return connection.is_ended()

        self.assertEqual(drpc.in_child(parent), (0, True))
        pairs = daemon.wait_for_pairs('^close .*sender')
        self.assertEqual(pairs['uid'], str(ALICE))
        self.assertIn('sender is not the connector', pairs['reason'])

    @needs_root
    def test_root_cannot_use_anothers_session_either(self):
        daemon = self.open_daemon(modules=('echo',))
        left, right = socket.socketpair()
        with left, right:
            def give():
                connection = Connection(daemon.path)
                socket.send_fds(right, [b'x'], [connection.fileno()])
            as_user(ALICE, give)
            _, fds, _, _ = socket.recv_fds(left, 1, 1)
        stolen = socket.socket(fileno=fds[0])
        with stolen:
            stolen.settimeout(drpc.TIMEOUT)
            stolen.send(drpc.packet(3, 3, 0, 1, drpc.encode_call(ECHO)))
            self.assertIn(self.end_of(stolen), (b'', None))
        daemon.wait_for_log(f'^close uid={ALICE} .*sender is not the connector')

    @staticmethod
    def end_of(descriptor):
        try:
            return descriptor.recv(1 << 17)
        except ConnectionResetError:
            return None

    def test_another_process_of_the_same_uid_may(self):
        daemon = self.open_daemon(modules=('echo',))
        connection = self.connection(daemon)
        self.assert_works(connection)
        self.assertEqual(drpc.in_child(lambda: connection.call(ECHO, 0, b'child')[1:]), (0, b'child'))
        self.assert_works(connection)

    @needs_root
    def test_the_connector_itself_may_change_its_uid(self):
        daemon = self.open_daemon(modules=('echo',))

        def change():
            with Connection(daemon.path) as connection:
                os.setresuid(BOB, BOB, BOB)
                return connection.call(ECHO, 0, b'x').status

        self.assertEqual(drpc.in_child(change), 0)

    @needs_root
    def test_credentials_that_root_forges_end_the_session(self):
        daemon = self.open_daemon(modules=('echo',))
        other, connection = self.connection(daemon), self.connection(daemon)
        self.assert_works(connection)
        forged = struct.pack('=iII', 1, BOB, BOB)
        connection.send_raw(drpc.packet(3, 3, 0, 1, drpc.encode_call(ECHO)),
                            [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, forged)])
        self.assert_ended(connection)
        daemon.wait_for_log('^close uid=0 .*sender is not the connector')
        self.assert_works(other)

    @needs_root
    def test_forged_credentials_never_change_who_is_judged(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'bob', str(BOB), '*')),
                             'hello': policy('hello', ('allow', 'zero', '0', '*'))})
        connection = self.connection(daemon)
        forged = struct.pack('=iII', os.getpid(), BOB, BOB)
        connection.send_raw(drpc.packet(3, 3, 0, 1, drpc.encode_call(ECHO)),
                            [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, forged)])
        self.assertEqual(connection.recv().status, drpc.PERMISSION_DENIED)
        self.assertEqual(parse_line(daemon.wait_for_log('^deny'))[1]['uid'], '0')


class Descriptors(Case):
    """Descriptors that nobody asked for never accumulate."""

    @needs_root
    def test_unasked_for_descriptors_are_closed(self):
        daemon = self.open_daemon(modules=('echo',))
        connection = self.connection(daemon)
        self.assert_works(connection)
        before = daemon.descriptors()
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        call = drpc.encode_call(ECHO, 0, 5)
        for count in (1, 1, 2, 100, 253):
            fds = array.array('i', [writer] * count)
            connection.send_raw(drpc.packet(len(call), len(call), 0, 1, call),
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            self.assertEqual(connection.recv(), (5, drpc.SUCCESS, b''))
        self.assertEqual(daemon.descriptors(), before)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b'', 'somebody still holds the other end')

    @needs_root
    def test_a_strangers_descriptors_are_closed(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'others', '3999', '*'))})
        before = daemon.descriptors()
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        for _ in range(20):
            with daemon.connect() as connection:
                try:
                    connection.send_raw(b'x', [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                array.array('i', [writer] * 10))])
                except drpc.ENDED:
                    pass
                self.assertEqual(connection.recv(), DENIED)
                self.assert_ended(connection)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b'')
        self.assertEqual(daemon.descriptors(), before)


if __name__ == '__main__':
    unittest.main()
