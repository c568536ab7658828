# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Every system call that libseccomp can name, made by a module of a running daemon, a daemon for each.

Receives a build in $DRPC_BUILD_DIR (build/release). Those on the sandbox's list are left alone; each other
one ends the daemon by SIGSYS, after a report with the call's name and the module's.
"""
import concurrent.futures
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("DRPC_BUILD_DIR", "build/release")).resolve()
PROBE, SYSCALL = 900, 0
HEADER = struct.Struct("=QQII")
PATIENCE = 30  # seconds for what takes milliseconds
AT_A_TIME = 2
LISTED_MAX = 40

POLICY = """
[module]
name = probe
id = 900
library = probe.so
[allow everyone]
callers = *
methods = *
"""

# What these do, when it is done, is to end the thread or the process: tests/sandbox tries them.
ENDS = {"exit", "exit_group", "rt_sigreturn"}


def varint(value):
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def packet(body):
    """One Call, in one packet: module, method (0 is not written), sequence 1 and the body."""
    call = b"\x08" + varint(PROBE) + b"\x18\x01\x22" + varint(len(body)) + body
    return HEADER.pack(len(call), len(call), 0, 1) + call


def numbers():
    """(number, name, place) of each system call; place is "listed", "pinned" or "forbidden"."""
    text = subprocess.run([BUILD / "bin" / "syscall_names"], check=True, capture_output=True, text=True).stdout
    return [(int(number), name, place) for number, name, place in map(str.split, text.splitlines())]


class Daemon:
    """A daemon that serves the probe, until it dies or is left."""

    def __init__(self, directory, name):
        self.socket = f"{directory}/{name}.sock"
        command = [BUILD / "bin" / "drpcd", "--socket", self.socket, "--socket-mode", "0600", "--policy-dir",
                   f"{directory}/policy", "--module-dir", BUILD / "test-modules", "--threads", "1",
                   "--sandbox", "enforce"]
        if os.geteuid() == 0:
            command += ["--user", "1500"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = ""

    def __enter__(self):
        for line in self.process.stderr:
            self.log += line
            if line.startswith("ready"):
                return self
        raise AssertionError(f"drpcd did not start: {self.log}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def call(self, number):
        """The daemon's answer to a call that makes system call @number; empty when it died of it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(PATIENCE)
            client.connect(self.socket)
            client.send(packet(f"{number} -1 -1 -1 -1 -1 -1".encode()))
            try:
                return client.recv(65536)
            except ConnectionResetError:
                return b""

    def end(self):
        """How it ended, after all that it had to say."""
        self.log += self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode


class SystemCalls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="drpc-syscalls-")
        os.chmod(cls.directory.name, 0o755)
        policies = pathlib.Path(cls.directory.name, "policy")
        policies.mkdir(mode=0o755)
        (policies / "probe.policy").write_text(POLICY)
        (policies / "probe.policy").chmod(0o644)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def each(self, places, attempt):
        """Run @attempt for each call of @places, and collect what it says is wrong."""
        chosen = [one for one in numbers() if one[2] in places and one[1] not in ENDS]
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            wrong = [text for text in pool.map(lambda one: attempt(*one), chosen) if text]
        self.assertEqual(wrong, [], "\n".join(wrong))
        return len(chosen)

    def passes(self, number, name, _):
        with Daemon(self.directory.name, name) as daemon:
            answer = daemon.call(number)
            return None if answer else f"{name}: listed, but ended with {daemon.end()}: {daemon.log}"

    def dies(self, number, name, place):
        says = "is on the list, but not with these arguments" if place == "pinned" else "is not on the list"
        report = f"killed by sandbox: system call {name} ({number}) {says}; module=probe method=syscall\n"
        with Daemon(self.directory.name, name) as daemon:
            answer, ended = daemon.call(number), daemon.end()
            if answer or ended != -signal.SIGSYS or report not in daemon.log:
                return f"{name}: ended with {ended}, answered {answer}: {daemon.log}"
        return None

    def test_listed_calls_are_left_alone(self):
        self.each({"listed"}, self.passes)

    def test_the_list_is_short(self):
        count = sum(place != "forbidden" for _, _, place in numbers())
        print(f"{count} system calls are on the list", file=sys.stderr)
        self.assertLessEqual(count, LISTED_MAX)

    def test_every_other_call_ends_the_daemon_with_a_report(self):
        count = self.each({"forbidden"}, self.dies)
        print(f"{count} system calls are not", file=sys.stderr)
        self.assertGreater(count, 300)

    def test_pinned_calls_with_other_arguments_end_the_daemon_with_a_report(self):
        self.assertGreater(self.each({"pinned"}, self.dies), 0)

    def test_the_socket_of_a_killed_daemon_is_removed(self):
        """By its keeper, which is another process: it may come a moment later."""
        self.each({"pinned"}, self.dies)
        deadline = time.monotonic() + PATIENCE
        while os.listdir(self.directory.name) != ["policy"] and time.monotonic() < deadline:
            os.sched_yield()
        self.assertEqual(os.listdir(self.directory.name), ["policy"])


if __name__ == "__main__":
    unittest.main()
