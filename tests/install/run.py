#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Install: receives a build directory (DRPC_BUILD_DIR), installs it into a private prefix, and uses that.

Two projects outside of the tree are built against the prefix, one that asks find_package(drpc) and one
that asks pkg-config: copies of the installed examples, a client, an embedded server and a module each.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ["DRPC_BUILD_DIR"]).resolve()
SOURCE = Path(__file__).resolve().parent.parent.parent
LIMIT = 120  # seconds for anything
results = []

EXPECTED = """
bin/drpcctl sbin/drpcd etc/drpc/policy/hello.policy etc/drpc/policy/echo.policy
include/drpc/drpc.h include/drpc/drpc.pb-c.h include/drpc/server.h
share/drpc/proto/drpc.proto share/drpc/proto/hello.proto
share/doc/drpc/README.md share/doc/drpc/examples/module.c share/doc/drpc/policy/hello.policy
lib/systemd/system/drpcd.service lib/sysusers.d/drpc.conf
"""
EXPECTED_LIB = """
libdrpc.so libdrpc.so.1 libdrpc-server.so libdrpc-server.so.1 drpc/modules/hello.so drpc/modules/echo.so
pkgconfig/drpc.pc pkgconfig/drpc-server.pc
cmake/drpc/drpc-config.cmake cmake/drpc/drpc-config-version.cmake cmake/drpc/drpc-targets.cmake
"""


def check(name, passed, details=""):
    results.append(bool(passed))
    if not passed:
        print(f"FAILED: {name}", details, sep="\n  ")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, **options)


def must(*command, **options):
    """What the rest cannot do without."""
    done = run(*command, **options)
    check(" ".join(map(str, command[:3])), done.returncode == 0, done.stdout + done.stderr)
    if done.returncode != 0:
        raise RuntimeError("cannot go on")
    return done


def install(prefix, **options):
    must("cmake", "--install", BUILD, "--prefix", prefix, **options)


def library_directory(prefix):
    """lib, or what the build's CMAKE_INSTALL_LIBDIR says."""
    return next(prefix.glob("lib*/**/libdrpc.so")).parent


def linked_files(prefix, lib):
    yield from (prefix / "bin/drpcctl", prefix / "sbin/drpcd")
    yield from (path for path in lib.glob("**/*.so*") if not path.is_symlink())


def try_files(prefix, lib):
    for name in EXPECTED.split():
        check(f"{name} is installed", (prefix / name).exists())
    for name in EXPECTED_LIB.split():
        check(f"{name} is installed", (lib / name).exists())
    for name in ("libdrpc", "libdrpc-server"):
        dynamic = run("readelf", "-d", lib / f"{name}.so").stdout
        check(f"{name} has a versioned soname", f"soname: [{name}.so.1]" in dynamic, dynamic)
    for path in linked_files(prefix, lib):
        runpath = re.findall(r"(?:RUNPATH|RPATH).*\[(.*)\]", run("readelf", "-d", path).stdout)
        check(f"{path.name} finds its libraries from where it is",
              all(part.startswith("$ORIGIN") for found in runpath for part in found.split(":")), runpath)  # fmt: skip
    texts = [*lib.glob("pkgconfig/*"), *lib.glob("cmake/drpc/*"), *prefix.glob("include/drpc/*")]
    for path in texts:
        text = path.read_text()
        check(f"{path.name} does not name the build", str(BUILD) not in text and str(SOURCE) not in text)


def try_headers(prefix):
    """Each header stands by itself."""
    for header in sorted((prefix / "include/drpc").glob("*.h")):
        done = run("cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-I", prefix / "include",
                   "-include", header, "/dev/null")  # fmt: skip
        check(f"{header.name} compiles alone", done.returncode == 0, done.stderr)


def try_examples(prefix, examples, **options):
    done = run(sys.executable, SOURCE / "examples/run_test.py", prefix / "sbin/drpcd", prefix / "bin/drpcctl", examples,
               **options)  # fmt: skip
    check(f"examples of {examples.name}", done.returncode in (0, 77), done.stdout + done.stderr)


def try_find_package(prefix, lib, place):
    project = place / "find-package"
    shutil.copytree(prefix / "share/doc/drpc/examples", project)
    must("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    must("cmake", "--build", project / "build")
    loaded = run("ldd", project / "build/embedded_server").stdout
    check("find_package links the installed libraries", str(lib / "libdrpc-server.so.1") in loaded, loaded)
    try_examples(prefix, project / "build")


def try_pkg_config(prefix, lib, place):
    project = place / "pkg-config"
    shutil.copytree(prefix / "share/doc/drpc/examples", project)
    environment = {**os.environ, "PKG_CONFIG_PATH": str(lib / "pkgconfig"), "LD_LIBRARY_PATH": str(lib)}
    must("make", "-C", project, env=environment)
    version = run("pkg-config", "--modversion", "drpc-server", env=environment).stdout.strip()
    check("pkg-config gives the version", re.fullmatch(r"\d+\.\d+\.\d+", version), version)
    try_examples(prefix, project, env=environment)


def try_policies(prefix, lib):
    """What is installed is served, and what the administrator changed is not replaced."""
    policies = prefix / "etc/drpc/policy"
    user = ["--user", "65533"] if os.geteuid() == 0 else []
    done = run(prefix / "sbin/drpcd", "--check", *user, "--policy-dir", policies, "--module-dir", lib / "drpc/modules")
    check("the installed daemon takes the installed policies and modules", done.returncode == 0, done.stderr)
    done = run(prefix / "bin/drpcctl", "policy", "check", "--module-dir", lib / "drpc/modules", policies)
    check("so does drpcctl policy check", done.returncode == 0, done.stdout)
    (policies / "hello.policy").write_text("; changed\n")
    (policies / "echo.policy").unlink()
    install(prefix)
    check("a changed policy stays", (policies / "hello.policy").read_text() == "; changed\n")
    check("a missing one comes back", (policies / "echo.policy").exists())


def try_destdir(place):
    install("/opt/drpc", env={**os.environ, "DESTDIR": str(place / "destdir")})
    for name in ("sbin/drpcd", "etc/drpc/policy/hello.policy"):
        check(f"DESTDIR holds {name}", (place / "destdir/opt/drpc" / name).exists())


def main():
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="drpc-install-") as folder:
        place = Path(folder)
        prefix = place / "prefix"
        install(prefix)
        lib = library_directory(prefix)
        try_files(prefix, lib)
        try_headers(prefix)
        try_find_package(prefix, lib, place)
        try_pkg_config(prefix, lib, place)
        try_policies(prefix, lib)
        try_destdir(place)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
