#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Examples: receives where drpc's programs and the built examples are, runs each example once.

run_test.py DRPCD DRPCCTL EXAMPLES_DIR. The daemon serves the module to the client; the embedded server
answers drpcctl. Everything else lives in a private directory that is gone afterwards.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
ALLOWED_UID = 1000  # what *.policy allows; root is allowed too
LIMIT = 20  # seconds for anything
results = []


def check(name, passed, *details):
    results.append(bool(passed))
    if not passed:
        print(f"FAILED: {name}", *details, sep="\n  ")


def can_connect(drpcctl, socket):
    """Exit code 3 is "could not be reached"; any answer means that it listens."""
    command = [drpcctl, "call", "--socket", socket, "--timeout", "1000", "2147483647", "0"]
    return subprocess.run(command, capture_output=True, check=False).returncode != 3


@contextlib.contextmanager
def serving(command, drpcctl, socket):
    """Run a server until the block ends; SIGTERM must end it in good order."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    end = time.monotonic() + LIMIT
    try:
        while not can_connect(drpcctl, socket):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not serve")
        yield
        server.terminate()
        check(f"{Path(command[0]).name} ends", server.wait(LIMIT) == 0, server.returncode)
        check(f"{Path(command[0]).name} removes its socket", not Path(socket).exists())
    finally:
        server.kill()
        server.wait()


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


def try_module_and_client(drpcd, drpcctl, examples, place):
    socket = f"{place}/drpcd.sock"
    command = [drpcd, "--socket", socket, "--policy-dir", f"{place}/policy", "--module-dir", f"{place}/modules"]
    if os.geteuid() == 0:
        command += ["--user", "65533"]
    with serving(command, drpcctl, socket):
        sum_of_three = run(f"{examples}/client", socket, "40", "-1", "3")
        check("client prints the sum", sum_of_three.stdout == "42\n", sum_of_three)
        too_large = run(f"{examples}/client", socket, str(2**63 - 1), "1")
        check("client says that the module failed", too_large.returncode == 1 and too_large.stderr, too_large)
    nobody_there = run(f"{examples}/client", socket, "1")
    check("client says that nobody listens", nobody_there.returncode == 1, nobody_there)


def try_embedded_server(drpcctl, examples, place):
    socket = f"{place}/shout.sock"
    with serving([f"{examples}/embedded_server", socket, f"{place}/shout.policy"], drpcctl, socket):
        loud = run(drpcctl, "call", "--socket", socket, "--text", "quiet, please", "2001", "0")
        check("embedded_server shouts", "QUIET, PLEASE" in loud.stdout, loud)
        empty = run(drpcctl, "call", "--socket", socket, "2001", "0")
        check("embedded_server takes an empty body", empty.returncode == 0, empty)
    wrong = run(f"{examples}/embedded_server", socket, f"{place}/none.policy")
    check("embedded_server refuses a policy that is not there", wrong.returncode == 1 and wrong.stderr, wrong)


def main(drpcd, drpcctl, examples):
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="drpc-examples-") as place:
        for folder in ("policy", "modules"):
            os.mkdir(f"{place}/{folder}")
        shutil.copyfile(SOURCE / "adder.policy", f"{place}/policy/adder.policy")
        shutil.copyfile(SOURCE / "shout.policy", f"{place}/shout.policy")
        shutil.copyfile(f"{examples}/adder.so", f"{place}/modules/adder.so")
        try_module_and_client(drpcd, drpcctl, examples, place)
        try_embedded_server(drpcctl, examples, place)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    if os.geteuid() != 0 and not ALLOWED_UID <= os.geteuid() <= 2999:
        print("the policies allow uid 0 and 1000 to 2999 only\n0 passed, 0 failed, 1 skipped")
        sys.exit(77)
    sys.exit(main(*sys.argv[1:]))
