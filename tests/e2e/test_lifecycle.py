# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Beginning and end: what stands at the path, signals, and modules that must not be loaded."""
import os
import signal
import socket
import stat
import time
import unittest

import drpc
from daemon import (COUNT, ECHO, PARK, SLOW_MODULE, UNTIL, WAIT, Case, children_of, open_policy, policy,
                    wait_for_end)


class Path(Case):
    """What may stand at the socket's path."""

    def test_a_dead_socket_is_replaced(self):
        daemon = self.make({'echo': open_policy('echo')})
        for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_UNIX, kind) as dead:
                dead.bind(daemon.path)
            daemon.start()
            self.assertEqual(daemon.call(ECHO, 0).status, drpc.SUCCESS)
            daemon.stop()

    def test_a_live_socket_is_an_error_that_says_so(self):
        daemon = self.make({'echo': open_policy('echo')})
        for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
            with socket.socket(socket.AF_UNIX, kind) as alive:
                alive.bind(daemon.path)
                alive.listen()
                inode = os.lstat(daemon.path).st_ino
                self.assertEqual(daemon.fails(), 1)
                self.assertTrue(daemon.find('another process listens on .*stop it, or choose'), daemon.log())
                self.assertEqual(os.lstat(daemon.path).st_ino, inode, 'the live socket was replaced')
            os.unlink(daemon.path)

    def test_a_live_socket_with_a_full_queue_is_an_error_too(self):
        daemon = self.make({'echo': open_policy('echo')})
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as alive:
            alive.bind(daemon.path)
            alive.listen(0)
            callers = []
            try:
                while True:
                    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    callers.append(caller)
                    caller.setblocking(False)
                    caller.connect(daemon.path)
            except BlockingIOError:
                self.assertEqual(daemon.fails(), 1)
                self.assertTrue(os.path.lexists(daemon.path))
            for caller in callers:
                caller.close()

    def test_a_second_daemon_on_the_same_path(self):
        first = self.start({'echo': open_policy('echo')})
        second = self.make({'echo': open_policy('echo')}, '--socket', first.path)
        self.assertEqual(second.fails(), 1)
        self.assertTrue(second.find('another process listens on the socket'), second.log())
        self.assertEqual(first.call(ECHO, 0).status, drpc.SUCCESS)

    def check_left_alone(self, make):
        daemon = self.make({'echo': open_policy('echo')})
        make(daemon.path)
        before = os.lstat(daemon.path)
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find('not a socket'), daemon.log())
        after = os.lstat(daemon.path)
        self.assertEqual((before.st_ino, before.st_mode, before.st_size), (after.st_ino, after.st_mode, after.st_size))

    def test_a_regular_file_is_never_removed(self):
        def make(path):
            with open(path, 'w', encoding='utf-8') as file:
                file.write('precious')
        self.check_left_alone(make)

    def test_a_directory_is_never_removed(self):
        self.check_left_alone(os.mkdir)

    def test_a_fifo_is_never_removed(self):
        self.check_left_alone(os.mkfifo)

    def test_a_link_is_never_removed_nor_followed(self):
        def make(path):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
                dead.bind(path + '.real')
            os.symlink(path + '.real', path)
        self.check_left_alone(make)

    def test_paths_that_cannot_be(self):
        for path, words in (('/no/such/directory/socket', 'does not exist'), ('/tmp/' + 'x' * 120, '107 bytes')):
            daemon = self.make({'echo': open_policy('echo')}, '--socket', path)
            self.assertEqual(daemon.fails(), 1)
            self.assertTrue(daemon.find(words), daemon.log())

    def test_a_file_that_has_taken_the_sockets_place_is_left_alone(self):
        daemon = self.make({'echo': open_policy('echo')}).start()
        os.unlink(daemon.path)
        with open(daemon.path, 'w', encoding='utf-8') as file:
            file.write('precious')
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertTrue(stat.S_ISREG(os.lstat(daemon.path).st_mode))


class End(Case):
    def start_slow(self, *options):
        daemon = self.make({'slow': open_policy('slow'), 'echo': open_policy('echo')}, *options).start()
        return daemon, self.connection(daemon)

    def begin(self, daemon, connection, method, body, counter):
        connection.send_call(SLOW_MODULE, method, body)
        self.assertEqual(daemon.call(SLOW_MODULE, UNTIL, counter).status, drpc.SUCCESS)

    def check_gone(self, daemon, status=0):
        self.assertEqual(daemon.wait(drpc.TIMEOUT + 10), status, daemon.log())
        self.assertFalse(os.path.lexists(daemon.path), 'the socket file is still there')
        daemon.check_log()

    def test_sigterm_and_sigint_of_an_idle_daemon(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon, connection = self.start_slow()
            self.assert_works(connection)
            begin = time.monotonic()
            daemon.signal(number)
            self.assert_ended(connection)
            self.check_gone(daemon)
            self.assertLess(time.monotonic() - begin, 3 * drpc.SLOW, 'it waited for an idle session')
            self.assertTrue(daemon.find('^stopped reason=done'))

    def test_sigterm_finishes_a_blocking_call_under_way(self):
        daemon, connection = self.start_slow()
        self.begin(daemon, connection, WAIT, b'%d' % (500 * drpc.SLOW), b'begun 1')
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log('^stopping')
        self.assertFalse(connection.is_readable(0), 'it was answered before the end began')
        self.assertEqual(connection.recv()[1:], (drpc.SUCCESS, b'waited'))
        self.assert_ended(connection)
        self.check_gone(daemon)
        self.assertTrue(daemon.find('^stopped reason=done'))

    def test_sigterm_finishes_an_answer_under_way(self):
        daemon, connection = self.start_slow('--threads', '1')
        size = 8 << 20
        connection.send_call(ECHO, 0, bytes(size))
        self.assertTrue(connection.is_readable())
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log('^stopping')
        response = connection.recv()
        self.assertEqual((response.status, len(response.body)), (drpc.SUCCESS, size))
        self.check_gone(daemon)

    def test_sigterm_takes_no_new_calls(self):
        daemon, connection = self.start_slow('--threads', '1')
        idle = self.connection(daemon)
        self.assert_works(idle)
        self.begin(daemon, connection, WAIT, b'%d' % (500 * drpc.SLOW), b'begun 1')
        daemon.signal(signal.SIGTERM)
        self.assert_ended(idle)  # from here on the only loop accepts nobody
        with self.assertRaises((*drpc.ENDED, OSError)):
            daemon.call(SLOW_MODULE, COUNT)
        self.assertEqual(connection.recv().status, drpc.SUCCESS)
        self.check_gone(daemon)

    def test_calls_that_take_longer_than_the_grace_are_cut_short(self):
        daemon, connection = self.start_slow()
        parked = self.connection(daemon)
        self.begin(daemon, connection, WAIT, b'600000', b'begun 1')
        self.begin(daemon, parked, PARK, b'', b'parked 1')
        begin = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assert_ended(connection)
        self.assert_ended(parked)
        self.check_gone(daemon)
        self.assertGreater(time.monotonic() - begin, 4)
        self.assertLess(time.monotonic() - begin, 7 + 3 * drpc.SLOW)
        self.assertTrue(daemon.find('^stopped .*cut short'))

    def test_sigkill_leaves_no_socket_file(self):
        daemon, connection = self.start_slow()
        keeper = daemon.keeper()
        self.assert_works(connection)
        daemon.signal(signal.SIGKILL)
        self.assertTrue(wait_for_end(keeper), 'the keeper goes on')
        self.check_gone(daemon, -signal.SIGKILL)
        self.assert_ended(connection)

    def test_keeper_survives_signals_to_the_group(self):
        daemon, _ = self.start_slow()
        keeper = daemon.keeper()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            os.kill(keeper, number)
        daemon.signal(signal.SIGKILL)
        self.assertTrue(wait_for_end(keeper))
        self.check_gone(daemon, -signal.SIGKILL)

    def test_a_daemon_whose_keeper_was_killed_still_serves_and_ends(self):
        daemon, connection = self.start_slow()
        keeper = daemon.keeper()
        os.kill(keeper, signal.SIGKILL)
        self.assertTrue(wait_for_end(keeper))
        self.assert_works(connection)
        self.assertEqual(children_of(daemon.pid), [], 'a zombie')
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertTrue(daemon.find('^warn socket='), daemon.log())

    def test_sighup_is_survived(self):
        daemon, connection = self.start_slow()
        for count in (1, 2):
            daemon.signal(signal.SIGHUP)
            daemon.wait_for_log('^warn .*SIGHUP', count)
        self.assert_works(connection)
        daemon.signal(signal.SIGTERM)
        self.check_gone(daemon)

    def test_a_log_that_nobody_reads_any_more_does_not_end_it(self):
        reader, writer = os.pipe()
        daemon = self.make({'echo': policy('echo', ('allow', 'a', '*', '*'))}, '--log-calls', 'yes')
        daemon.preexec = lambda: os.dup2(writer, 2)
        daemon.spawn()
        os.close(writer)
        line = os.read(reader, 4096)
        self.assertTrue(line.startswith(b'ready'), line)
        os.close(reader)
        for _ in range(10):
            self.assertEqual(daemon.call(ECHO, 0).status, drpc.SUCCESS)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)


class Modules(Case):
    """A module that is not what its policy says, or not a module: a clear error, and no start."""

    def check_refused(self, policies, *patterns):
        daemon = self.make(policies)
        for options in ([], ['--check']):
            daemon.command += options
            self.assertEqual(daemon.fails(), 1, daemon.log())
            for pattern in patterns:
                self.assertTrue(daemon.find(pattern), f'no {pattern!r} in\n{daemon.log()}')
            self.assertFalse(os.path.lexists(daemon.path), 'there is a socket')

    def test_wrong_abi_version(self):
        self.check_refused({'bad_abi': open_policy('bad_abi', id=902)}, r'bad_abi\.so: its ABI version is 2, .* is 1')

    def test_missing_symbol(self):
        self.check_refused({'bad_symbol': open_policy('bad_symbol', id=905)},
                           r'bad_symbol\.so: it has no symbol drpc_module')

    def test_wrong_name(self):
        self.check_refused({'echo': open_policy('echo', name='echoes')},
                           r"echo\.policy:2: the module's name is not echoes but echo")

    def test_wrong_id(self):
        self.check_refused({'echo': open_policy('echo', id=1002)},
                           r"echo\.policy:3: the module's id is not 1002 but 1001")

    def test_two_methods_with_one_id(self):
        self.check_refused({'bad_twins': open_policy('bad_twins', id=904)}, 'bad_twins: methods one and other')

    def test_no_shared_object(self):
        daemon = self.make({'echo': open_policy('echo')})
        with open(os.path.join(daemon.module_dir, 'echo.so'), 'w', encoding='utf-8') as file:
            file.write('not a shared object')
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find(r'echo\.so: it cannot be loaded: '), daemon.log())

    def test_library_that_others_may_write(self):
        daemon = self.make({'echo': open_policy('echo')})
        os.chmod(os.path.join(daemon.module_dir, 'echo.so'), 0o777)
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find(r'echo\.so'), daemon.log())

    def test_library_that_is_a_link(self):
        daemon = self.make({'echo': open_policy('echo')})
        library = os.path.join(daemon.module_dir, 'echo.so')
        os.rename(library, library + '.real')
        os.symlink(library + '.real', library)
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find(r'echo\.so'), daemon.log())

    def test_start_function_that_fails(self):
        daemon = self.make({'bad_start': open_policy('bad_start', id=903)})
        self.assertEqual(daemon.fails(), 1)
        self.assertTrue(daemon.find('could not be started: Input/output error'), daemon.log())
        self.assertFalse(os.path.lexists(daemon.path), 'the socket file is still there')

    def test_all_modules_are_looked_at(self):
        self.check_refused({'bad_abi': open_policy('bad_abi', id=902),
                            'bad_symbol': open_policy('bad_symbol', id=905)},
                           r'bad_abi\.so', r'bad_symbol\.so')


if __name__ == '__main__':
    unittest.main()
