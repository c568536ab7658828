#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Layers: the plan of the house, held against what is built.

Receives a build directory. Each room includes only what stands below it, and its code calls only that:
the one is read from the sources, the other from the symbols of the object files. Pure files are read
more strictly still: no header that reaches the world, no function but a few, nothing that changes
between two calls.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("DRPC_BUILD_DIR", SOURCE / "build/release"))

# What a room may see besides itself. A module of drpcd and the client stand apart from the server.
BELOW = {
    "util": [],
    "sandbox": ["util"],
    "wire": ["util", "sandbox"],
    "access": ["util", "sandbox"],
    "service": ["access", "wire", "sandbox", "util"],
    "client": ["wire", "util"],
    "server": ["service", "access", "wire", "sandbox", "util"],
    "modules": [],
    "drpcd": ["server", "client", "service", "access", "wire", "sandbox", "util"],
    "drpcctl": ["server", "client", "service", "access", "wire", "sandbox", "util"],
}

# The room that each public header belongs to.
PUBLIC = {
    "client.h": "client",
    "event.h": "service",
    "message.h": "wire",
    "module.h": "service",
    "peer.h": "access",
    "policy.h": "access",
    "problems.h": "util",
    "sandbox.h": "sandbox",
    "server.h": "server",
    "service.h": "service",
    "session.h": "server",
    "status.h": "wire",
    "drpc.h": "server",
}

# Types of a floor above, declared in a public header; the check of calls holds for these too.
TYPES_FROM_ABOVE = {
    ("sandbox", "policy.h"),  # struct drpc_policy_needs: what a module keeps
    ("access", "module.h"),  # struct drpc_module: the table that a policy's method names are looked up in
    ("modules", "module.h"),  # what a module is written against
}

PURE = ["access/policy.c", "wire/assembler.c", "wire/splitter.c", "wire/envelope.c"]
PURE_HEADERS = {
    "errno.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h", "sys/uio.h",
}  # fmt: skip
PURE_FUNCTIONS = {
    "malloc", "calloc", "realloc", "reallocarray", "free", "memcpy", "memmove", "memset", "memcmp", "memchr",
    "strlen", "strcmp", "strncmp", "strdup", "qsort", "bsearch",
}  # fmt: skip
PURE_HELPERS = {  # of the project, and pure themselves
    "packet_check", "packet_chunks_for", "principal_set_deinit", "principal_set_has", "text_list_deinit",
}  # fmt: skip
COMPILERS_OWN = re.compile(r"^(__stack_chk_fail|__(asan|ubsan|tsan|sanitizer)_\w+|__sanitizer\w*|__mem\w+_chk"
                           r"|__odr_asan\w*|_GLOBAL_OFFSET_TABLE_)$")  # fmt: skip

results = []


def check(name, problems):
    results.append((name, sorted(problems)))


def includes(path):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', path.read_text(), re.M)


def include_problems(room, path):
    for name in includes(path):
        folder, _, header = name.rpartition("/")
        if folder == "drpc" and (room, header) not in TYPES_FROM_ABOVE:
            owner = PUBLIC.get(header)
        elif (SOURCE / "src" / folder).is_dir() and folder in BELOW:
            owner = folder
        else:
            continue
        if owner != room and owner not in BELOW[room]:
            yield f"{path.relative_to(SOURCE)} includes {name}"


def symbols(path):
    """(name, type, section) of an object file."""
    text = subprocess.run(["nm", "--format=sysv", path], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7:
            yield fields[0], fields[2], fields[6]


def objects(room):
    folders = [BUILD / f"src/CMakeFiles/room_{room}.dir/{room}", BUILD / f"src/CMakeFiles/{room}.dir/{room}"]
    return [path for folder in folders for path in sorted(folder.glob("*.c.o"))]


def defined_by(room):
    names = set()
    for path in objects(room):
        names |= {name for name, kind, _ in symbols(path) if kind in "TDRBVW"}
    return names


def call_problems(room, owners):
    for path in objects(room):
        for name in (name for name, kind, _ in symbols(path) if kind == "U"):
            owner = owners.get(name)
            if owner not in (None, room) and owner not in BELOW[room]:
                yield f"{room}/{path.name} uses {name} of {owner}"


def pure_header_problems(path, seen):
    """Also of the project's own headers that it includes, and of those they include."""
    for name in includes(path):
        own = [base / name for base in (SOURCE / "src", SOURCE / "include") if (base / name).is_file()]
        if own and own[0] not in seen:
            seen.add(own[0])
            yield from pure_header_problems(own[0], seen)
        elif not own and name not in PURE_HEADERS | {"sys/types.h", "protobuf-c/protobuf-c.h", "unistd.h"}:
            yield f"{path.relative_to(SOURCE)} includes {name}"


def pure_object_problems(name):
    path = BUILD / f"src/CMakeFiles/room_{Path(name).parent}.dir/{name}.o"
    for symbol, kind, section in symbols(path):
        if kind == "U" and symbol not in PURE_FUNCTIONS | PURE_HELPERS and not COMPILERS_OWN.match(symbol):
            yield f"{name} uses {symbol}"
        if section.startswith((".bss", ".data")) and not section.startswith(".data.rel.ro"):
            if not COMPILERS_OWN.match(symbol) and kind in "bBdD":
                yield f"{name} can change {symbol}"


def pure_source_problems(path):
    """cleanup.h brings unistd.h for others; a pure file may include it, and call nothing of it."""
    for name in includes(path):
        if "/" not in name and name not in PURE_HEADERS:
            yield f"{path.relative_to(SOURCE)} includes {name}"


def opening_problems():
    for folder in ("src", "include", "tests", "fuzz", "bench", "examples"):
        for path in sorted((SOURCE / folder).rglob("*.[ch]")):
            lines = path.read_text().splitlines()
            if not lines or "SPDX-License-Identifier: BSD-2-Clause-Patent" not in lines[0]:
                yield f"{path.relative_to(SOURCE)} does not open with its license"
            elif len(lines) < 2 or not lines[1].startswith("/*"):
                yield f"{path.relative_to(SOURCE)} does not say what it is"


def main():
    owners = {name: room for room in BELOW if room not in ("drpcd", "drpcctl") for name in defined_by(room)}
    check("object files are there", [] if len(owners) > 100 else [f"only {len(owners)} functions found"])
    check("public headers have a room", {p.name for p in (SOURCE / "include/drpc").glob("*.h")} ^ set(PUBLIC))
    for room in BELOW:
        paths = sorted((SOURCE / "src" / room).glob("*.[ch]"))
        check(f"{room} is there", [] if paths else ["no file"])
        check(f"{room} includes what stands below", [p for path in paths for p in include_problems(room, path)])
        check(f"{room} calls what stands below", list(call_problems(room, owners)))
    for name in PURE:
        path = SOURCE / "src" / name
        check(f"{name} includes nothing of the world",
              [*pure_source_problems(path), *pure_header_problems(path, set())])  # fmt: skip
        check(f"{name} is pure", list(pure_object_problems(name)))
    check("files say what they are", opening_problems())
    failed = 0
    for name, problems in results:
        failed += bool(problems)
        for problem in problems:
            print(f"FAILED: {name}: {problem}")
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
