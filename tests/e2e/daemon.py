# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Start, watch and stop the real drpcd.

Receives policies and options; hands on a running daemon, its log as it comes, and at the end its exit
status. Nothing sleeps: the start is over at the `ready` line, everything else at the line or the event that
says so. `Case` is the base of all end-to-end tests.
"""
import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import drpc
from drpc import SLOW, TIMEOUT, Connection

BUILD_DIR = os.path.abspath(os.environ.get('DRPC_BUILD_DIR') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '../../build/release'))
DRPCD = os.path.join(BUILD_DIR, 'bin/drpcd')
DRPCCTL = os.path.join(BUILD_DIR, 'bin/drpcctl')
MODULE_DIRS = (os.path.join(BUILD_DIR, 'modules'), os.path.join(BUILD_DIR, 'test-modules'))

SERVICE_UID = 65533

HELLO, ECHO, SLOW_MODULE = 0, 1001, 901
(WAIT, LATER, PARK, COUNT, UNTIL, RELEASE, BADOUT, HUGEOUT, FAIL, FAILWITH, TRESPASS) = range(11)
IDS = {'hello': HELLO, 'echo': ECHO, 'slow': SLOW_MODULE}

# Words of a sanitizer that found something.
SANITIZER = re.compile(r'AddressSanitizer|ThreadSanitizer|runtime error:|LeakSanitizer')

needs_root = unittest.skipUnless(drpc.is_root(), 'SKIPPED: needs root')


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def milliseconds(number):
    """A time for an option of the daemon; longer where everything is slower."""
    return f'{int(number * SLOW)}ms'


def policy(module, *rules, limits=(), sandbox=(), id=None, library=None, name=None):
    """A policy's text. A rule is (kind, name, callers, methods)."""
    lines = ['[module]', f'name = {name or module}',
             f'id = {IDS[module] if id is None else id}', f'library = {library or module + ".so"}']
    for kind, rule, callers, methods in rules:
        lines += ['', f'[{kind} {rule}]', f'callers = {callers}', f'methods = {methods}']
    for section, pairs in (('limits', limits), ('sandbox', sandbox)):
        if pairs:
            lines += ['', f'[{section}]'] + [f'{key} = {value}' for key, value in dict(pairs).items()]
    return '\n'.join(lines) + '\n'


def open_policy(module, **kwargs):
    """Everybody may everything."""
    return policy(module, ('allow', 'all', '*', '*'), **kwargs)


def line_of(text, wanted):
    """The line number, from 1, at which @wanted stands."""
    return text.splitlines().index(wanted) + 1


PAIR = re.compile(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_line(line):
    """A line of the text log: its word and its pairs."""
    word, _, rest = line.partition(' ')
    pairs = {}
    for key, value in PAIR.findall(rest):
        if value.startswith('"'):
            value = re.sub(r'\\(.)', r'\1', value[1:-1])
        pairs[key] = value
    return word, pairs


def read_file(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def proc_status(pid, task=None):
    path = f'/proc/{pid}/task/{task}/status' if task else f'/proc/{pid}/status'
    return dict(line.split(':\t', 1) for line in read_file(path).splitlines() if ':\t' in line)


def threads_of(pid):
    return [int(name) for name in os.listdir(f'/proc/{pid}/task')]


def cpu_seconds(pid):
    fields = read_file(f'/proc/{pid}/stat').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def memory_kb(pid, key='VmRSS'):
    return int(proc_status(pid)[key].split()[0])


def children_of(pid):
    children = []
    for task in threads_of(pid):
        with contextlib.suppress(FileNotFoundError):
            children += read_file(f'/proc/{pid}/task/{task}/children').split()
    return [int(child) for child in children]


def wait_for_end(pid, timeout=None):
    """Wait until a process that is not our child has ended; True when it has."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout or TIMEOUT)[0])
    finally:
        os.close(fd)


class Daemon:
    """One drpcd in a directory of its own."""

    def __init__(self, policies, *options, modules=None, files=None, nofile=None, command=(),
                 user=True, preexec=None, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix='drpc-e2e-')
        os.chmod(self.directory, 0o755)
        self.path = os.path.join(self.directory, 'socket')
        self.policy_dir = os.path.join(self.directory, 'policy')
        self.module_dir = os.path.join(self.directory, 'modules')
        self.lines = []
        self.closed = False
        self.changed = threading.Condition()
        self.nofile = nofile
        self.preexec = preexec
        self._write_policies(policies)
        self._copy_modules(modules if modules is not None else policies)
        for name, data in (files or {}).items():
            with open(os.path.join(self.directory, name), 'w', encoding='utf-8') as file:
                file.write(data)
        self.command = [*command, DRPCD, '--socket', self.path, '--socket-mode', '0666',
                        '--policy-dir', self.policy_dir, '--module-dir', self.module_dir]
        if user and drpc.is_root():
            self.command += ['--user', str(SERVICE_UID)]
        self.command += options
        self.process = None

    def _write_policies(self, policies):
        os.makedirs(self.policy_dir, mode=0o755, exist_ok=True)
        for name, text in policies.items():
            path = self.policy_file(name)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            os.chmod(path, 0o644)

    def _copy_modules(self, modules):
        os.makedirs(self.module_dir, mode=0o755, exist_ok=True)
        for name in modules:
            for directory in MODULE_DIRS:
                source = os.path.join(directory, f'{name}.so')
                if os.path.exists(source):
                    shutil.copyfile(source, os.path.join(self.module_dir, f'{name}.so'))
                    os.chmod(os.path.join(self.module_dir, f'{name}.so'), 0o755)

    def policy_file(self, name):
        return os.path.join(self.policy_dir, f'{name}.policy')

    # The process.

    def _environment(self):
        # LeakSanitizer stops threads with ptrace, which no filter lets pass.
        return {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0', 'UBSAN_OPTIONS': 'print_stacktrace=1'}

    def _before_exec(self):
        if self.nofile:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))
        if self.preexec:
            self.preexec()

    def spawn(self):
        """Start it, and do not wait for it to be ready."""
        self.lines, self.closed = [], False
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self._environment(), preexec_fn=self._before_exec)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        return self

    def start(self):
        self.spawn()
        self.wait_for_log(r'^(\{"event":")?ready\b')
        return self

    def fails(self):
        """Start it where it must not start; returns its exit status."""
        self.spawn()
        return self.wait()

    def _read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode(errors='replace').rstrip('\n'))
                self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=None):
        """Its exit status, when it has ended and all of its log is read."""
        status = self.process.wait(timeout or TIMEOUT)
        self.reader.join(TIMEOUT)
        if not self.reader.is_alive():  # else somebody still holds the other end, and close would wait
            self.process.stderr.close()
        return status

    def stop(self):
        """End it in good order; anything but a good end is an error."""
        if self.process is None or self.process.returncode is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            status = self.wait(TIMEOUT + 8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise AssertionError(f'SIGTERM did not end it\n{self.log()}') from None
        self.check_log()
        if status != 0:
            raise AssertionError(f'exit status {status}\n{self.log()}')
        if os.path.lexists(self.path):
            raise AssertionError(f'the socket file is still there\n{self.log()}')

    def check_log(self):
        bad = [line for line in self.lines if 'killed by sandbox' in line or SANITIZER.search(line)]
        if bad:
            raise AssertionError(f'{bad[0]}\n{self.log()}')

    def remove(self):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # The log.

    def log(self):
        with self.changed:
            return '\n'.join(self.lines)

    def find(self, pattern):
        with self.changed:
            return [line for line in self.lines if re.search(pattern, line)]

    def wait_for_log(self, pattern, count=1, timeout=None):
        """The @count-th line that matches, when it is there."""
        deadline = time.monotonic() + (timeout or TIMEOUT)
        with self.changed:
            while True:
                found = [line for line in self.lines if re.search(pattern, line)]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    raise AssertionError(f'no {pattern!r} in the log:\n' + '\n'.join(self.lines))
                self.changed.wait(left)

    def wait_for_pairs(self, pattern, count=1):
        return parse_line(self.wait_for_log(pattern, count))[1]

    # What it is made of.

    def keeper(self):
        """The pid of the process that removes the socket file."""
        children = children_of(self.pid)
        assert len(children) == 1, children
        return children[0]

    def descriptors(self):
        """What each of its descriptors is, by number. As root: it is not dumpable."""
        found = {}
        for name in os.listdir(f'/proc/{self.pid}/fd'):
            with contextlib.suppress(FileNotFoundError):
                found[int(name)] = os.readlink(f'/proc/{self.pid}/fd/{name}')
        return found

    # Shortcuts for calls from this process.

    def connect(self, timeout=None):
        return Connection(self.path, timeout)

    def call(self, module, method, body=b''):
        return drpc.call(self.path, module, method, body)


class Case(unittest.TestCase):
    """Daemons that are stopped, checked and removed at the end of the test."""

    maxDiff = None

    def make(self, policies, *options, **kwargs):
        daemon = Daemon(policies, *options, **kwargs)
        self.addCleanup(daemon.remove)
        return daemon

    def start(self, policies, *options, **kwargs):
        daemon = self.make(policies, *options, **kwargs)
        daemon.start()
        self.addCleanup(daemon.stop)
        return daemon

    def open_daemon(self, *options, modules=('hello', 'echo'), **kwargs):
        """One that lets everybody in."""
        return self.start({name: open_policy(name) for name in modules}, *options, **kwargs)

    def connection(self, daemon, timeout=None):
        connection = daemon.connect(timeout)
        self.addCleanup(connection.close)
        return connection

    def helper(self, *args, **kwargs):
        helper = drpc.Helper(*args, **kwargs)
        self.addCleanup(helper.close)
        return helper

    def assert_works(self, connection):
        self.assertEqual(connection.call(ECHO, 0, b'still here')[1:], (drpc.SUCCESS, b'still here'))

    def assert_status(self, response, status):
        self.assertEqual(response.status, status)
        if status != drpc.SUCCESS:
            self.assertEqual(response.body, b'')

    def assert_ended(self, connection):
        self.assertTrue(connection.is_ended(), 'the session goes on')


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def json_lines(daemon):
    return [json.loads(line) for line in daemon.lines]
