#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Hardening: receives a build directory, reads the flags that were promised off the built files.

What the linker does (PIE, RELRO, binding at the start, stacks without code, separate code, the shadow
stack's mark) is read from each program, library and module. What the compiler does is read from debug
information, from the marks in object files, and from the symbols that the code uses.
"""
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

BUILD = Path(os.environ.get("DRPC_BUILD_DIR", "build/release"))
PROGRAMS = ["bin/drpcd", "bin/drpcctl"]
LIBRARIES = ["lib/libdrpc.so", "lib/libdrpc-server.so", "modules/hello.so", "modules/echo.so"]
ROOMS = ["util", "sandbox", "wire", "access", "service", "client", "server"]
COMPILER_FLAGS = ["-fstack-protector-strong", "-fstack-clash-protection", "-ftrivial-auto-var-init=zero"]
IS_X86_64 = platform.machine() == "x86_64"


def readelf(*arguments):
    return subprocess.run(["readelf", "--wide", *arguments], check=True, capture_output=True, text=True).stdout


def loads(path):
    """The loaded segments: (offset in the file, flags such as "R E")."""
    pattern = r"^\s*LOAD\s+(0x[0-9a-f]+)(?:\s+0x[0-9a-f]+){4}\s+([RWE ]+?)\s+0x"
    return [(int(offset, 16), flags) for offset, flags in re.findall(pattern, readelf("-l", path), re.M)]


def is_position_independent(path):
    return "DYN" in readelf("-h", path)


def is_pie(path):
    return is_position_independent(path) and re.search(r"FLAGS_1.*\bPIE\b", readelf("-d", path))


def has_full_relro(path):
    dynamic = readelf("-d", path)
    return "GNU_RELRO" in readelf("-l", path) and re.search(r"FLAGS\).*BIND_NOW|FLAGS_1\).*NOW", dynamic)


def has_no_executable_stack(path):
    return re.search(r"GNU_STACK.* RW +0x", readelf("-l", path))


def has_separate_code(path):
    """Code shares no segment with the headers at the file's start, and none that can be written."""
    segments = loads(path)
    code = [offset for offset, flags in segments if "E" in flags]
    return len(segments) >= 4 and code and 0 not in code and not any("W" in f and "E" in f for _, f in segments)


def uses(symbol):
    return lambda path: re.search(rf" UND {symbol}\b", readelf("--dyn-syms", path))


def has_shadow_stack_mark(path):
    return re.search(r"x86 feature:.*SHSTK", readelf("-n", path))


def has_no_text_relocation(path):
    return "TEXTREL" not in readelf("-d", path)


EVERY_FILE = [
    (has_full_relro, "full RELRO, everything bound at the start"),
    (has_no_executable_stack, "no executable stack"),
    (has_separate_code, "separate code"),
    (has_no_text_relocation, "no relocation of code"),
]
BIG_FILES = [  # a module may be too small to hold an array, or to copy anything
    (uses("__stack_chk_fail"), "stack protector"),
    (uses(r"__\w+_chk"), "FORTIFY_SOURCE"),
]


def checks_of_linked_files():
    for name in PROGRAMS + LIBRARIES:
        for function, what in EVERY_FILE + (BIG_FILES if name in PROGRAMS else []):
            yield f"{name}: {what}", bool(function(BUILD / name))
        if IS_X86_64:
            yield f"{name}: shadow stack mark", bool(has_shadow_stack_mark(BUILD / name))
    for name in PROGRAMS:
        yield f"{name}: position independent executable", bool(is_pie(BUILD / name))
    for name in LIBRARIES:
        yield f"{name}: position independent", bool(is_position_independent(BUILD / name))
    for name in ("lib/libdrpc.so", "lib/libdrpc-server.so"):
        yield f"{name}: stack protector", bool(uses("__stack_chk_fail")(BUILD / name))
    yield "lib/libdrpc-server.so: FORTIFY_SOURCE", bool(uses(r"__\w+_chk")(BUILD / "lib/libdrpc-server.so"))


def object_files():
    for room in ROOMS:
        yield from sorted((BUILD / f"src/CMakeFiles/room_{room}.dir/{room}").glob("*.o"))
    for name in ("drpcd", "drpcctl"):
        yield from sorted((BUILD / f"src/CMakeFiles/{name}.dir/{name}").glob("*.o"))


def checks_of_object_files():
    """Each file of the project was compiled with the flags, and marks its code for CET."""
    for path in object_files():
        name = f"{path.parent.name}/{path.name}"
        if not re.search(r"\bFUNC\b", readelf("--syms", path)):
            continue  # a file that is for other builds, and empty here
        producer = " ".join(re.findall(r"DW_AT_producer.*", readelf("--debug-dump=info", path)))
        for flag in COMPILER_FLAGS:
            yield f"{name}: {flag}", flag in producer
        if IS_X86_64:
            yield f"{name}: CET marks", bool(re.search(r"x86 feature: IBT, SHSTK", readelf("-n", path)))


def fortify_levels():
    commands = (BUILD / "compile_commands.json").read_text()
    return set(re.findall(r"-D_FORTIFY_SOURCE=(\d)", commands))


def checks():
    yield from checks_of_linked_files()
    count = 0
    for name, passed in checks_of_object_files():
        count += 1
        yield name, passed
    yield "object files were found", count > 100
    yield "FORTIFY_SOURCE is 3", fortify_levels() == {"3"}


def main():
    results = list(checks())
    failed = [name for name, passed in results if not passed]
    for name in failed:
        print(f"FAILED: {name}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
