#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Writes the seeds in corpus/: small inputs that each show one thing, named for it.

The same files every time, so a change of a harness's input format shows as a change here. Files that it did not
write, such as crashes that were found and kept, stay. With --check it writes nothing, and says what differs.
"""
import pathlib
import struct
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
CHUNK = 131048


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def integer(field, value):
    return varint(field << 3) + varint(value) if value else b""


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


# fuzz_assembler: a mode (0 split, 1 splitter, 2 packets), then what packets.c draws.

def total(size):
    """A size as plan_total() draws it: edges by their number, others in four bytes."""
    edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK + 7]
    if size in edges:
        return bytes([edges.index(size)])
    return bytes([10]) + struct.pack("<I", size)


def packet(how, size, choice, drawn=b""):
    return bytes([how]) + total(size) + bytes([choice]) + drawn


def raw_header(total_size, chunk_size, index, chunks):
    return struct.pack("<QQII", total_size, chunk_size, index, chunks)


def assembler():
    limit = struct.pack("<I", 1 << 20)
    legal = 2  # plan_any()'s choice: nothing spoiled
    yield "empty", b""
    yield "split-empty-message", b"\0" + total(0) + b"\0" + b"\0"
    yield "split-one-chunk", b"\0" + total(1000) + b"\7" + b"\1"
    yield "split-full-chunk", b"\0" + total(CHUNK) + b"\7" + b"\0"
    yield "split-uneven", b"\0" + total(2 * CHUNK) + b"\1" + struct.pack("<I", 99) + b"\0" + b"\1"
    yield "split-smallest-first", b"\0" + total(CHUNK + 1) + b"\1" + struct.pack("<I", 0) + b"\1" + b"\0"
    yield "split-four-chunks", b"\0" + total(3 * CHUNK + 7) + b"\3" + (struct.pack("<I", 77777) + b"\0") * 4
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK + 7):
        yield f"splitter-{size}", b"\1" + total(size) + b"\x20\5"
    yield "packets-two-messages", b"\2" + limit + packet(0, 1000, legal) + packet(1, 0, legal)
    yield "packets-placed-and-copied", (b"\2" + limit + packet(0, 2 * CHUNK + 1, legal, struct.pack("<I", 5)) +
                                        packet(1, 0, legal, struct.pack("<I", 500)) + packet(0, 0, legal))
    yield "packets-short", b"\2" + limit + packet(0x31, 10, legal)
    yield "packets-truncated", b"\2" + limit + packet(0, CHUNK, 1, b"\4" + struct.pack("<I", CHUNK + 100))
    yield "packets-above-limit", b"\2" + struct.pack("<I", 999) + packet(1, 1000, legal)
    for kind, name in enumerate(("total", "chunk-size", "index", "chunks", "size", "data", "other")):
        yield f"packets-spoiled-{name}", (b"\2" + limit + packet(1, CHUNK + 1, legal, struct.pack("<I", 9)) +
                                          packet(1, 0, 1, bytes([kind]) + struct.pack("<Q", 1)) + packet(1, 7, legal))
    yield "packets-huge-total", b"\2" + limit + packet(1, 0, 0, raw_header(2**64 - 1, 8, 0, 1))
    yield "packets-no-chunks", b"\2" + limit + packet(1, 0, 0, raw_header(8, 8, 0, 0))


# fuzz_envelope: the bytes of a Call or a Response.

def envelope():
    hello = integer(3, 1) + data(4, data(1, b"world"))
    yield "empty", b""
    yield "call-hello", hello
    yield "call-echo", integer(1, 1001) + integer(3, 2) + data(4, b"hi")
    yield "call-negative", integer(1, -1) + integer(2, -(2**31)) + integer(3, -(2**63))
    yield "call-largest", integer(1, 2**31 - 1) + integer(2, 2**31 - 1) + integer(3, 2**63 - 1)
    yield "call-int32-from-64-bits", integer(1, 2**32 + 5) + integer(2, 2**63)
    yield "call-twice-the-last-counts", integer(1, 1) + integer(1, 2) + data(4, b"a") + data(4, b"bc")
    yield "call-body-emptied", data(4, b"a") + data(4, b"")
    yield "call-any-order", data(4, b"a") + integer(3, 3) + integer(1, 1)
    yield "call-unknown-fields", (integer(9, 1) + varint(10 << 3 | 1) + b"8 bytes!" + varint(11 << 3 | 5) +
                                  b"four" + data(12, b"unknown") + hello)
    yield "call-tag-of-five-bytes", b"\xf8\xff\xff\xff\x7f\0" + hello
    yield "call-tag-zero", b"\0\0"
    yield "call-long-tag-zero", b"\x80\0\0"
    yield "call-long-varint", b"\x08" + b"\x80" * 9 + b"\x01"
    yield "call-varint-too-long", b"\x08" + b"\x80" * 10 + b"\x01"
    yield "call-cut-short", hello[:-1]
    yield "call-cut-in-tag", b"\x80"
    yield "call-length-above-int-max", b"\x22\xff\xff\xff\xff\x0f"
    yield "call-length-of-five-bytes", b"\x22\x82\x80\x80\x80\x00ab"
    yield "call-wrong-type", b"\x0a\x01a"
    yield "call-body-as-varint", b"\x20\x01"
    yield "call-group", b"\x0b\x0c"
    yield "response-hello", integer(1, 1) + data(3, data(1, b"Hello world"))
    yield "response-stranger", integer(1, -1) + integer(2, 8)
    yield "response-unknown-status", integer(1, 7) + integer(2, 99)
    yield "values-all-lengths", b"".join(bytes([shift]) + b"\xff" * 8 for shift in (0, 20, 57)) + b"body"


# fuzz_payload: repeats, wraps, a Tree.

def leaf(number, *more):
    return integer(1, number) + (b"" if number else b"\x08\0") + b"".join(more)


def payload():
    once = b"\0\0"
    deep = b""
    for _ in range(20):
        deep = data(2, data(8, leaf(1, data(2, deep))))
    yield "empty", b""
    yield "strings-and-bytes", once + data(3, b"one") + data(3, b"two") + data(4, b"\0\1\2") + data(18, b"")
    yield "packed", once + data(5, varint(1) + varint(-1) + varint(300)) + data(16, b"fourfour")
    yield "packed-in-pieces", once + data(5, varint(1)) + b"\x28\x02" + data(5, varint(3))
    yield "numbers", once + b"\x30\x01\x30\x03" + varint(14 << 3 | 1) + b"8 bytes!" + varint(15 << 3) + b"\x07"
    yield "enum", once + b"\x60" + varint(-1) + data(13, varint(1) + varint(99))
    yield "oneof-each", once + data(7, b"word") + data(8, leaf(1)) + data(9, b"") + b"\x518 bytes!"
    yield "map", once + data(11, data(1, b"key") + data(2, leaf(4))) + data(11, data(1, b"other"))
    yield "required-there", once + data(8, leaf(0))
    yield "required-missing", once + data(8, b"")
    yield "merged", once + data(1, data(3, b"a")) + data(1, data(4, b"b") + data(8, leaf(1)))
    yield "unknown-fields", once + integer(99, 1) + data(98, b"kept") + varint(97 << 3 | 5) + b"four"
    yield "string-with-nul", once + data(17, b"a\0b")
    yield "depth-63", b"\0" + bytes([180 + 62]) + data(3, b"a")
    yield "depth-64", b"\0" + bytes([180 + 63]) + data(3, b"a")
    yield "depth-65", b"\0" + bytes([180 + 64]) + data(3, b"a")
    yield "depth-by-leaves", once + deep
    yield "depth-above-by-leaves", b"\0" + bytes([180 + 30]) + deep
    yield "budget-empty-messages", b"\xff\0" + b"\x12\0" * 64
    yield "budget-unknown-fields", b"\xff\0" + b"\x98\x06\x01" * 64
    yield "field-zero", once + b"\x81\0eight..."
    yield "malformed-inside", once + data(2, data(2, b"\x08"))
    yield "cut-short", once + data(3, b"string")[:-1]


# fuzz_policy: text, a NUL, bytes that draw callers.

MODULE = "[module]\nname = hello\nid = 0\nlibrary = hello.so\n"


def policy():
    rule = "[allow some]\ncallers = root, 1000-2999, %50\nmethods = greeting\n"
    yield "empty", ""
    yield "module-only", MODULE
    yield "allow", MODULE + rule
    yield "allow-and-deny", MODULE + rule + "[deny others]\ncallers = 2000-2100, %users\nmethods = *\n"
    yield "deny-first", MODULE + "[deny others]\ncallers = alice\nmethods = 0\n" + rule
    yield "everyone-everything", MODULE + "[allow all]\ncallers = *\nmethods = *\n"
    yield "shut-out", MODULE + "[allow all]\ncallers = *\nmethods = *\n[deny d]\ncallers = 0-99\nmethods = *\n"
    yield "methods-by-id", MODULE + "[allow ids]\ncallers = 5\nmethods = 0, 1, -1, 2147483647, -2147483648\n"
    yield "methods-deny-one", MODULE + "[allow a]\ncallers = *\nmethods = *\n[deny d]\ncallers = *\nmethods = read\n"
    yield "continued", MODULE + "[allow a]\ncallers = 1,\n  2,\n\t3-4, ; more\n\n  %5\nmethods = echo,\n  read\n"
    yield "ranges-that-touch", MODULE + "[allow a]\ncallers = 1-5, 6-7, 3-9, 4294967294\nmethods = 0\n"
    yield "groups", MODULE + "[allow a]\ncallers = %0-9, %root, %4294967294\nmethods = write\n"
    yield "many-rules", MODULE + "".join(
        f"[{'deny' if i % 3 == 0 else 'allow'} r{i}]\ncallers = {i}-{2 * i + 3}, %{i}\nmethods = {i % 4}\n"
        for i in range(12))
    yield "limits", MODULE + rule + "[limits]\nmax-call-size = 64K\ncalls-per-second = 100\nconcurrent-calls = 8\n"
    yield "limits-largest", MODULE + "[limits]\nmax-call-size = 17179869183G\ncalls-per-second = 4294967295\n"
    yield "sandbox", MODULE + ("[sandbox]\nsystem-calls = openat read\ncapabilities = CAP_NET_ADMIN\n"
                               "read-paths = /etc/hello\nwrite-paths = /var/lib/hello, /tmp\n")
    yield "comments", "; first\n# second\n" + MODULE.replace("hello\n", "hello ; third\n") + rule
    yield "carriage-returns", (MODULE + rule).replace("\n", "\r\n")
    yield "byte-order-mark", b"\xef\xbb\xbf" + (MODULE + rule).encode()
    yield "no-last-newline", (MODULE + rule).rstrip("\n")
    yield "other-module-id", MODULE.replace("id = 0", "id = -2147483648") + rule
    yield "refused-unknown-key", MODULE + rule.replace("callers", "caller")
    yield "refused-unknown-user", MODULE + rule.replace("root", "nosuchuser")
    yield "refused-empty-rule", MODULE + "[allow some]\n"
    yield "refused-duplicate-rule", MODULE + rule + rule
    yield "refused-duplicate-item", MODULE + rule.replace("root", "7, 7")
    yield "refused-upside-down", MODULE + rule.replace("1000-2999", "2999-1000")
    yield "refused-star-beside", MODULE + rule.replace("root", "*")
    yield "refused-leading-zero", MODULE + rule.replace("1000-", "01000-")
    yield "refused-long-line", MODULE + "[allow a]\ncallers = " + ", ".join(str(i) for i in range(100)) + "\n"
    yield "refused-no-module", rule
    yield "refused-colon", MODULE.replace("id = 0", "id: 0")
    yield "refused-bracket", MODULE + "[allow a\n"
    yield "refused-control", MODULE.encode() + b"\x01\n"
    yield "refused-nul", MODULE.encode() + b"\0\n\xff"
    yield "refused-semicolon-in-value", MODULE + rule.replace("greeting", "greeting;echo")


# fuzz_service: two policies, callers and calls, as fuzz_service.c draws them.

def rule_of(kind, callers, methods):
    """callers: (shape, number); methods: numbers of the module's table, names, ids, then *."""
    shape = (len(callers) - 1) * 16 + (len(methods) - 1) * 64
    while shape % 3 != (0 if kind == "deny" else 1):
        shape += 1
    return bytes([shape]) + b"".join(bytes(c) for c in callers) + bytes(methods)


def policy_of(*rules, limit=0):
    return bytes([len(rules), limit]) + b"".join(rules)


def caller(uid, gid=0, groups=(), group=0):
    return bytes([groups[0] if groups else group, uid, gid, len(groups)])


def call(module, method, sequence, body, wraps=0):
    """module and method: numbers of the harness's tables."""
    return (b"\1" + bytes([module, method]) + struct.pack("<q", sequence) +
            bytes([190 + wraps if wraps else 0, len(body)]) + body)


def raw_call(message):
    return b"\0" + bytes([len(message)]) + message


EVERYONE, UID, GID, EVERY = (7, 0), 0, 1, 7


def service():
    open_door = policy_of(rule_of("allow", [EVERYONE], [EVERY]))
    shut = policy_of()
    yield "empty", b""
    yield "echo", open_door + shut + caller(1) + call(0, 0, 1, b"hi")
    yield "denied", shut + open_door + caller(1) + call(0, 0, 1, b"hi")
    yield "deny-wins", (policy_of(rule_of("allow", [EVERYONE], [EVERY]), rule_of("deny", [(UID, 3)], [0])) + shut +
                        caller(3) + call(0, 0, 1, b"no") + caller(4) + call(0, 0, 2, b"yes"))
    yield "by-supplementary-group", (policy_of(rule_of("allow", [(GID, 5)], [EVERY])) + shut +
                                     caller(1, 2, (5,)) + call(0, 2, 9, b"in") + caller(1, 2) + call(0, 2, 9, b"out"))
    yield "method-by-name-and-id", (policy_of(rule_of("allow", [(UID, 1), (UID, 2)], [1, 3])) + shut +
                                    caller(2) + call(0, 0, 1, b"") + caller(2) + call(0, 2, 1, b""))
    yield "unknown-module", open_door + open_door + caller(0) + call(3, 0, 5, b"")
    yield "module-without-policy", open_door + open_door + caller(0) + call(2, 0, 5, b"")
    yield "unknown-method", open_door + shut + caller(0) + call(0, 5, 5, b"")
    yield "not-a-call", open_door + shut + caller(0) + raw_call(b"\xff") + caller(0) + call(0, 0, 1, b"on")
    yield "raw-call", open_door + shut + caller(0) + raw_call(integer(3, 4) + data(4, b"raw"))
    yield "prune", open_door + shut + caller(0) + call(0, 1, 1, data(4, b"data") + data(3, b"name"))
    yield "payload-empty", open_door + shut + caller(0) + call(0, 1, 1, b"")
    yield "payload-malformed", open_door + shut + caller(0) + call(0, 1, 1, b"\xff")
    yield "payload-too-deep", open_door + shut + caller(0) + call(0, 1, 1, data(3, b"a"), wraps=65)
    yield "payload-deepest", open_door + shut + caller(0) + call(0, 1, 1, data(3, b"a"), wraps=63)
    yield "later", shut + open_door + caller(0) + call(1, 3, 1, b"ab") + caller(0) + call(1, 3, 2, b"abc")
    yield "every-result", shut + open_door + b"".join(
        caller(0) + call(1, 4, i, bytes([i]) + b"..") for i in (0, 1, 2, 3, 4, 5, 6, 128))
    yield "max-call-size", (policy_of(rule_of("allow", [EVERYONE], [EVERY]), limit=5) + shut +
                            caller(0) + call(0, 0, 1, b"12345") + caller(0) + call(0, 0, 2, b"123456"))
    yield "calls-per-second", (policy_of(rule_of("allow", [EVERYONE], [EVERY]), limit=2) + shut +
                               b"".join(caller(1) + call(0, 0, i, b"") for i in range(4)))
    yield "refused-policy", policy_of(rule_of("allow", [EVERYONE, (UID, 1)], [EVERY])) + shut + caller(1) + call(0, 0, 1, b"")


# fuzz_session: operations.

CHUNKS, ANY, SHORT, READ, PROCESS = 0, 3, 4, 5, 6


def start_call(size, method, sequence, op=CHUNKS, known=True):
    """A call with a body of so many bytes: a multiple of 4 below 64, with 3 more for another module."""
    return bytes([op, size if known else size + 3, method]) + struct.pack("<q", sequence)


def big_call(edge, method, sequence, op=CHUNKS):
    """A call whose body has an edge's size: drawn before the method."""
    return bytes([op, 192]) + total(edge) + bytes([method]) + struct.pack("<q", sequence)


def session():
    step = bytes([PROCESS])
    more = bytes([CHUNKS]) + struct.pack("<I", 4000)
    yield "empty", b""
    yield "echo", start_call(8, 0, 1) + step + bytes([READ])
    yield "pipelined", b"".join(start_call(4 * i, i % 4, i) for i in range(8)) + step * 8
    yield "unknown-module", start_call(4, 0, 3, known=False) + step
    yield "later", start_call(12, 1, 7) + step + start_call(16, 1, 8) + step
    yield "denied", start_call(12, 2, 7) + step + start_call(16, 0, 8) + step
    yield "two-chunks", big_call(CHUNK, 0, 1) + struct.pack("<I", 4000) + step + more + step + bytes([READ])
    yield "half-a-message", big_call(2 * CHUNK, 0, 1) + struct.pack("<I", 4000) + step
    yield "short-packet", start_call(8, 0, 1) + bytes([SHORT, 5]) + step * 3
    yield "empty-packet", bytes([SHORT, 0]) + step
    yield "descriptors", b"".join(start_call(4, 0, i, op=200 + 8 * (i % 4)) for i in range(4)) + step * 4
    yield "descriptors-refused", bytes([203]) + total(5) + b"\1\0" + struct.pack("<Q", 1) + step
    yield "spoiled", start_call(8, 0, 1) + b"".join(
        bytes([ANY]) + total(1) + b"\1" + bytes([kind]) + struct.pack("<Q", 3) + step * 2 for kind in range(7))
    yield "not-a-call", bytes([ANY]) + total(1) + b"\2" + b"\xff" + step + start_call(8, 0, 2) + step


# fuzz_module, of the module hello: a method's number, a body. A module of one method takes one byte for it.

def module():
    yield "empty", b""
    yield "hello-world", b"\0" + data(1, b"world")
    yield "hello-no-name", b"\0"
    yield "hello-malformed", b"\0\x0a\x05wor"
    yield "hello-unknown-field", b"\0" + data(1, b"world") + integer(9, 9)


def main():
    is_check = sys.argv[1:] == ["--check"]
    differing = []
    for harness in (assembler, envelope, payload, policy, service, session, module):
        folder = CORPUS / harness.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in harness():
            content = content.encode() if isinstance(content, str) else content
            path = folder / name
            if path.is_file() and path.read_bytes() == content:
                continue
            differing.append(str(path.relative_to(CORPUS)))
            if not is_check:
                path.write_bytes(content)
    for path in differing:
        print(path, "differs" if is_check else "written")
    return 1 if is_check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
