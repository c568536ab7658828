# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Locked in: what /proc shows of the running daemon, and what it dies of."""
import collections
import os
import signal
import threading
import unittest

import drpc
from daemon import (ECHO, SERVICE_UID, SLOW_MODULE, TRESPASS, Case, line_of, mode_of, needs_root, open_policy,
                    policy, proc_status, threads_of, wait_for_end)

CAPABILITIES = ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')
KEEPER_CAPABILITIES = 1 << 1 | 1 << 3  # CAP_DAC_OVERRIDE, CAP_FOWNER
KERNEL = tuple(int(part) for part in os.uname().release.split('-')[0].split('.')[:2])


class Status(Case):
    def statuses(self, daemon):
        tasks = threads_of(daemon.pid)
        return [proc_status(daemon.pid, task) for task in tasks]

    def check_threads(self, daemon, uid, gid, groups, seccomp='2'):
        statuses = self.statuses(daemon)
        for status in statuses:
            with self.subTest(thread=status['Pid']):
                self.assertEqual(status['Uid'].split(), [str(uid)] * 4)
                self.assertEqual(status['Gid'].split(), [str(gid)] * 4)
                self.assertEqual(status['Groups'].split(), [str(group) for group in groups])
                for key in CAPABILITIES + (('CapBnd',) if drpc.is_root() else ()):
                    self.assertEqual(int(status[key], 16), 0, key)
                self.assertEqual(status['NoNewPrivs'].strip(), '1')
                self.assertEqual(status['Seccomp'].strip(), seccomp)
        return statuses

    def me(self):
        if drpc.is_root():
            return SERVICE_UID, SERVICE_UID, []
        return os.geteuid(), os.getegid(), sorted(os.getgroups())

    def test_every_thread_has_given_up_everything(self):
        daemon = self.open_daemon('--threads', '3', '--workers', '5', modules=('echo', 'slow'))
        statuses = self.check_threads(daemon, *self.me())
        # 3 loops, 5 workers and the thread of the module slow; the main thread may be a loop
        self.assertGreaterEqual(len(statuses), 3 + 5 + 1)
        self.assertEqual(daemon.call(SLOW_MODULE, 0, b'1').status, drpc.SUCCESS)
        self.check_threads(daemon, *self.me())

    @needs_root
    def test_a_service_uid_by_name_has_the_groups_of_the_account_only(self):
        daemon = self.start({'echo': open_policy('echo')}, '--user', 'nobody')
        status = proc_status(daemon.pid)
        self.assertEqual(status['Uid'].split()[0], '65534')
        self.assertNotIn('0', status['Groups'].split())

    @needs_root
    def test_groups_of_who_starts_it_are_dropped(self):
        daemon = self.start({'echo': open_policy('echo')}, preexec=lambda: os.setgroups([4, 27, 5000]))
        self.check_threads(daemon, SERVICE_UID, SERVICE_UID, [])

    @needs_root
    def test_a_module_keeps_the_capability_that_it_asked_for_and_no_other(self):
        daemon = self.start({'echo': open_policy('echo', sandbox={'capabilities': 'CAP_NET_ADMIN'})})
        for status in self.statuses(daemon):
            for key in ('CapPrm', 'CapEff'):
                self.assertEqual(int(status[key], 16), 1 << 12, key)
            for key in ('CapInh', 'CapAmb', 'CapBnd'):
                self.assertEqual(int(status[key], 16), 0, key)
            self.assertEqual(status['Uid'].split(), [str(SERVICE_UID)] * 4)

    def test_keeper_has_given_up_what_it_does_not_need(self):
        daemon = self.open_daemon()
        status = proc_status(daemon.keeper())
        self.assertEqual(status['NoNewPrivs'].strip(), '1')
        self.assertEqual(status['Seccomp'].strip(), '2')
        for key in CAPABILITIES:
            self.assertEqual(int(status[key], 16) & ~KEEPER_CAPABILITIES, 0, key)

    def test_neither_process_can_be_traced_or_dumped(self):
        daemon = self.open_daemon()
        # The files of a process that is not dumpable belong to root.
        for pid in (daemon.pid, daemon.keeper()):
            self.assertEqual(os.stat(f'/proc/{pid}/mem').st_uid, 0)
            with open(f'/proc/{pid}/limits', encoding='utf-8') as limits:
                core = next(line for line in limits if line.startswith('Max core file size'))
            if pid == daemon.pid:
                self.assertEqual(core.split()[4:6], ['0', '0'])


class Descriptors(Case):
    @needs_root
    def test_none_beyond_what_serving_needs(self):
        daemon = self.open_daemon('--threads', '2')
        kinds = collections.Counter(name.split(':')[0] if name.startswith(('socket:', 'pipe:')) else name
                                    for name in daemon.descriptors().values())
        self.assertEqual(kinds, {'/dev/null': 2, 'pipe': 2, 'socket': 2, 'anon_inode:[eventpoll]': 2,
                                 'anon_inode:[eventfd]': 2, 'anon_inode:[signalfd]': 1})

    @needs_root
    def test_sessions_give_theirs_back(self):
        daemon = self.open_daemon('--threads', '2')
        before = daemon.descriptors()
        for _ in range(50):
            with daemon.connect() as connection:
                self.assert_works(connection)
        drpc.eventually(lambda: daemon.descriptors() == before, 'all descriptors are given back')

    @needs_root
    def test_keeper_holds_none_of_the_daemons(self):
        daemon = self.open_daemon()
        links = [os.readlink(f'/proc/{daemon.keeper()}/fd/{fd}') for fd in os.listdir(f'/proc/{daemon.keeper()}/fd')]
        self.assertEqual(len(links), 2, links)


class Sandbox(Case):
    def test_enforce_is_the_default_and_says_nothing(self):
        daemon = self.open_daemon()
        self.assertEqual(daemon.find('^warn .*sandbox'), [])
        self.assertEqual(daemon.wait_for_pairs('^ready')['sandbox'], 'enforce')

    def test_weaker_modes_warn_at_every_start(self):
        for mode, seccomp in (('log', '2'), ('off', '0')):
            for _ in range(2):
                daemon = self.open_daemon('--sandbox', mode)
                daemon.wait_for_log(f'^warn sandbox={mode} ')
                self.assertEqual(daemon.wait_for_pairs('^ready')['sandbox'], mode)
                self.assertEqual(proc_status(daemon.pid)['Seccomp'].strip(), seccomp)
                self.assertEqual(proc_status(daemon.pid)['NoNewPrivs'].strip(), '1')
                self.assertEqual(daemon.call(ECHO, 0, b'x').body, b'x')
                daemon.stop()

    def test_ready_line_names_what_the_kernel_lacks(self):
        daemon = self.open_daemon()
        pairs = daemon.wait_for_pairs('^ready')
        self.assertEqual(list(pairs), ['socket', 'uid', 'gid', 'pid', 'modules', 'sandbox', 'missing'])
        self.assertEqual(pairs['socket'], daemon.path)
        self.assertEqual(pairs['pid'], str(daemon.pid))
        self.assertEqual(pairs['modules'], 'echo+hello')
        missing = set() if pairs['missing'] == '-' else set(pairs['missing'].split('+'))
        self.assertLessEqual(missing, {'landlock', 'mdwe', 'peer-pidfd', 'bounding-set'})
        for name, since in (('mdwe', (6, 3)), ('peer-pidfd', (6, 5))):
            self.assertEqual(name in missing, KERNEL < since, f'{name} on {KERNEL}')
        self.assertEqual('bounding-set' in missing, not drpc.is_root())

    @needs_root
    def test_a_daemon_that_stays_root_warns(self):
        daemon = self.start({'echo': open_policy('echo')}, '--user', '0')
        daemon.wait_for_log('^warn user=root')

    def test_a_forbidden_system_call_is_reported_and_ends_the_process(self):
        daemon = self.make({'slow': open_policy('slow')}).start()
        keeper = daemon.keeper()
        with daemon.connect() as connection:
            connection.send_call(SLOW_MODULE, TRESPASS)
            with self.assertRaises(drpc.ENDED):
                connection.recv()
        self.assertEqual(daemon.wait(), -signal.SIGSYS)
        lines = daemon.find('^killed by sandbox: system call socket ')
        self.assertEqual(len(lines), 1, daemon.log())
        self.assertIn('module=slow method=trespass', lines[0])
        self.assertTrue(wait_for_end(keeper))
        self.assertFalse(os.path.lexists(daemon.path), 'the socket file is still there')

    def test_a_module_may_make_the_system_call_that_its_policy_adds(self):
        daemon = self.start({'slow': open_policy('slow', sandbox={'system-calls': 'socket'})})
        self.assertEqual(daemon.call(SLOW_MODULE, TRESPASS).status, drpc.SUCCESS)

    NEEDS = (('system-calls', 'no_such_call'), ('capabilities', 'CAP_NO_SUCH'), ('read-paths', '/no/such/path'))

    def test_needs_that_do_not_exist_refuse_the_start(self):
        for key, value in self.NEEDS:
            daemon = self.make({'echo': open_policy('echo', sandbox={key: value})})
            self.assertEqual(daemon.fails(), 1, daemon.log())
            self.assertTrue(daemon.find(f'(?i){value}'), daemon.log())
            self.assertFalse(os.path.lexists(daemon.path), 'the socket file is still there')

    def test_needs_that_do_not_exist_are_reported_with_file_and_line(self):
        for key, value in self.NEEDS[:2]:
            text = open_policy('echo', sandbox={key: value})
            daemon = self.make({'echo': text})
            self.assertEqual(daemon.fails(), 1, daemon.log())
            line = line_of(text, f'{key} = {value}')
            self.assertTrue(daemon.find(f'(?i)echo\\.policy:{line}: .*{value}'), daemon.log())

    def test_check_says_what_the_start_would_say_of_needs(self):
        for key, value in self.NEEDS[:2]:
            daemon = self.make({'echo': open_policy('echo', sandbox={key: value})}, '--check')
            self.assertEqual(daemon.fails(), 1, f'{key} = {value} passes --check')


class SocketFile(Case):
    MODES = ('0600', '0660', '0666', '0777')

    def modes_during_start(self, daemon):
        """Every mode that the file had from the moment its name existed."""
        seen = set()
        stop = threading.Event()

        def watch():
            while not stop.is_set():
                try:
                    seen.add(mode_of(daemon.path))
                except FileNotFoundError:
                    continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            daemon.start()
        finally:
            stop.set()
            watcher.join()
        seen.add(mode_of(daemon.path))
        return seen

    def test_mode_from_the_first_moment_whatever_the_umask(self):
        for mode in self.MODES:
            for umask in (0, 0o022, 0o777):
                daemon = self.make({'echo': open_policy('echo')}, '--socket-mode', mode,
                                   preexec=lambda umask=umask: os.umask(umask))
                self.assertEqual(self.modes_during_start(daemon), {int(mode, 8)}, (mode, oct(umask)))
                daemon.stop()

    @needs_root
    def test_mode_keeps_others_out(self):
        daemon = self.start({'echo': policy('echo', ('allow', 'a', '*', '*'))}, '--socket-mode', '0600')
        self.assertEqual(daemon.call(ECHO, 0).status, drpc.SUCCESS)
        with self.assertRaises(PermissionError):
            drpc.as_user(1501, drpc.call, daemon.path, ECHO, 0)


if __name__ == '__main__':
    unittest.main()
