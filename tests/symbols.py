#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Symbols: what the two libraries export is what their maps list and what the public headers declare.

Receives a build directory; compares three sets for each library, and names what only one of them has.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("DRPC_BUILD_DIR", SOURCE / "build/release"))
CLIENT_HEADERS = ["client.h", "message.h", "status.h"]


def exported(library):
    """Names that the dynamic symbol table defines; the version's own entry is absolute."""
    command = ["readelf", "--wide", "--dyn-syms", BUILD / "lib" / library]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 8 and fields[4] in ("GLOBAL", "WEAK") and fields[6] not in ("UND", "ABS"):
            names.add(fields[7].split("@")[0])
    return names


def listed(map_file):
    text = re.sub(r"/\*.*?\*/", "", (SOURCE / "src" / map_file).read_text(), flags=re.S)
    return set(re.findall(r"^\s+(\w+);", text, re.M))


def declared(header):
    """Functions and variables that a header declares."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    text = re.sub(r"^#ifdef __cplusplus\n.*?^#endif", "", text, flags=re.S | re.M)
    text = re.sub(r"^#(.*\\\n)*.*$", "", text, flags=re.M)
    text = re.sub(r"\{[^{}]*\}", "", text)  # structures and enumerations
    names = set()
    for statement in text.split(";"):
        if "typedef" in statement:
            continue
        found = re.search(r"\b(drpc_\w+)\s*\(", statement) or re.search(r"extern[^(]*\b(drpc__\w+)$", statement)
        if found:
            names.add(found.group(1))
    return names


def public_headers():
    client, server = set(), set()
    for header in sorted((SOURCE / "include/drpc").glob("*.h")):
        (client if header.name in CLIENT_HEADERS else server).update(declared(header))
    return client | declared(BUILD / "proto/drpc.pb-c.h"), server


def compare(library, what, names, others):
    """Print each name that is in one of two sets; 1 if there is any."""
    for name in sorted(names ^ others):
        print(f"FAILED: {library}: {name} is {'only' if name in others else 'not'} {what}")
    return int(names != others)


def main():
    client, server = public_headers()
    failed = 0
    for library, map_file, headers in (
        ("libdrpc.so", "libdrpc.map", client),
        ("libdrpc-server.so", "libdrpc-server.map", server),
    ):
        names = exported(library)
        if len(names) < 30:
            print(f"FAILED: {library}: only {len(names)} symbols were found")
            failed += 1
        failed += compare(library, f"in {map_file}", names, listed(map_file))
        failed += compare(library, "in the public headers", names, headers)
    print(f"{max(0, 4 - failed)} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
