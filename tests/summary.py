#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Summary: receives the results of ctest runs (--output-junit), prints one line for all of them.

summary.py FILE...   prints "N passed, N failed, N skipped"; exits 1 if a test failed or none was run.

A test of ctest is often a binary or a script with many tests of its own. Those are what is counted:
cmocka's lines for each group, or a script's own last line. What prints neither counts as one.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.M)
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped", re.M)


def counts_of_output(text):
    totals = TOTALS.findall(text)
    if totals:
        return [int(number) for number in totals[-1]]
    groups = CMOCKA.findall(text)
    return [sum(int(count) for word, count in groups if word == kind) for kind in ("PASSED", "FAILED", "SKIPPED")]


def counts_of_case(case):
    """What ctest says of the whole comes first: a crash prints no totals, and must not pass."""
    passed, failed, skipped = counts_of_output(case.findtext("system-out") or "")
    status = case.get("status")
    if status == "run":
        return (passed, failed, skipped) if passed + failed + skipped > 0 else (1, 0, 0)
    reason = case.find("skipped")
    if status == "disabled" or (reason is not None and reason.get("message", "").startswith("SKIP_")):
        return 0, 0, max(skipped, 1)
    return passed, max(failed, 1), skipped


def main(files):
    cases = [case for file in files for case in ElementTree.parse(file).getroot().iter("testcase")]
    passed, failed, skipped = (sum(numbers) for numbers in zip(*map(counts_of_case, cases), (0, 0, 0)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
