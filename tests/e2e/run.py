#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Run the end-to-end tests: every test_*.py of this directory, some at a time, each in its own process.

Receives the daemon's build directory in DRPC_BUILD_DIR; hands on what failed and one closing line,
`N passed, N failed, N skipped`, with exit status 0 when nothing failed.

DRPC_TEST_SLOW=5 gives everything five times as long, and loads less, for sanitizers and slow machines.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_TIMEOUT = 300 * float(os.environ.get('DRPC_TEST_SLOW', '1'))
LONGEST_FIRST = ('test_load', 'test_lifecycle', 'test_wire')


class Result(unittest.TextTestResult):
    """Counts tests; a test with failed subtests has failed once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bad = set()
        self.slowest = []

    def startTest(self, test):
        self.begun = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        self.slowest.append((round(time.monotonic() - self.begun, 2), test.id()))
        super().stopTest(test)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.bad.add(test.id())
        super().addSubTest(test, subtest, error)

    def addFailure(self, test, error):
        self.bad.add(test.id())
        super().addFailure(test, error)

    def addError(self, test, error):
        self.bad.add(test.id())
        super().addError(test, error)


def run_one(name, pattern):
    """In a process of its own: run one file, and print the counts as the last line of output."""
    sys.path.insert(0, HERE)
    loader = unittest.TestLoader()
    if pattern:
        loader.testNamePatterns = [f'*{pattern}*']
    suite = loader.loadTestsFromName(name)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result).run(suite)
    failed = sorted(result.bad)
    print(json.dumps({'run': result.testsRun, 'failed': failed, 'skipped': len(result.skipped),
                      'slowest': sorted(result.slowest, reverse=True)[:3]}))


def spawn(name, pattern):
    command = [sys.executable, os.path.abspath(__file__), '--one', name] + (['-k', pattern] if pattern else [])
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=FILE_TIMEOUT, check=False)
        counts = json.loads(process.stdout.splitlines()[-1])
        return name, counts, process.stderr
    except subprocess.TimeoutExpired as error:
        text = (error.stderr or b'').decode(errors='replace')
        return name, {'run': 1, 'failed': [f'{name}: took longer than {FILE_TIMEOUT:.0f} s'], 'skipped': 0}, text
    except (IndexError, ValueError):
        return name, {'run': 1, 'failed': [f'{name}: could not be run'], 'skipped': 0}, process.stderr


def report(name, counts, text, verbose):
    interesting = counts['failed'] or verbose
    lines = text.splitlines() if interesting else [
        line for line in text.splitlines() if 'SKIPPED' in line or line.startswith('test_load: ')]
    for line in lines:
        print(line)
    print(f'{name}: {counts["run"]} run, {len(counts["failed"])} failed, {counts["skipped"]} skipped', flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description='Run the end-to-end tests against DRPC_BUILD_DIR.')
    parser.add_argument('files', nargs='*', help='test_wire, ...; all of them by default')
    parser.add_argument('-j', '--jobs', type=int, default=2, help='files at a time (2)')
    parser.add_argument('-k', '--pattern', help='only tests whose names have this in them')
    parser.add_argument('-v', '--verbose', action='store_true', help='print every test')
    parser.add_argument('--fail-on-skip', action='store_true', help='a skipped test is a failure')
    parser.add_argument('--one', help=argparse.SUPPRESS)
    return parser.parse_args()


def names_of(files):
    if files:
        return [os.path.basename(name).removesuffix('.py') for name in files]
    names = [os.path.basename(path)[:-3] for path in sorted(glob.glob(os.path.join(HERE, 'test_*.py')))]
    return sorted(names, key=lambda name: name not in LONGEST_FIRST)


def main():
    arguments = parse_arguments()
    if arguments.one:
        run_one(arguments.one, arguments.pattern)
        return 0
    begun = time.monotonic()
    run = skipped = 0
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        work = [pool.submit(spawn, name, arguments.pattern) for name in names_of(arguments.files)]
        for future in concurrent.futures.as_completed(work):
            name, counts, text = future.result()
            report(name, counts, text, arguments.verbose)
            run += counts['run']
            skipped += counts['skipped']
            failed += counts['failed']
    for name in failed:
        print(f'FAILED {name}')
    print(f'e2e: {time.monotonic() - begun:.1f} s')
    print(f'{run - len(failed) - skipped} passed, {len(failed)} failed, {skipped} skipped')
    return 1 if failed or run == 0 or (arguments.fail_on_skip and skipped) else 0


if __name__ == '__main__':
    sys.exit(main())
