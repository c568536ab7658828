# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A dRPC client, written from proto/PROTOCOL.md with nothing but Python's standard library.

Receives calls to make, or raw packets of any shape; hands on responses. `Connection.call` is what a
well-behaved client does; `send_raw` and `send_packet` are for one that is not. At the end: how to run a
function as another uid, because callers are bare uids.
"""
import contextlib
import os
import pickle
import select
import socket
import struct
import time
from typing import NamedTuple

SLOW = float(os.environ.get('DRPC_TEST_SLOW', '1'))
TIMEOUT = 15 * SLOW  # for anything that ought to happen at once

HEADER = struct.Struct('=QQII')
PACKET_MAX = 131072
CHUNK_MAX = PACKET_MAX - HEADER.size
MESSAGE_MAX = 64 * 1024 * 1024

(SUCCESS, SUBMITTED, FAILURE, UNKNOWN_MODULE, UNKNOWN_METHOD, FAILED_UNMARSHAL_CALL,
 FAILED_UNMARSHAL_PAYLOAD, FAILED_MARSHAL, PERMISSION_DENIED, BUSY) = range(10)

# Everything that a socket says when its session has ended.
ENDED = (ConnectionResetError, BrokenPipeError, EOFError)


class ProtocolError(Exception):
    """The server sent something that the protocol does not have."""


# Section 3: the envelope.

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number, value):
    return varint(number << 3) + varint(value) if value else b''


def bytes_field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b''


def encode_call(module=0, method=0, sequence=0, body=b''):
    return (integer_field(1, module) + integer_field(2, method) + integer_field(3, sequence)
            + bytes_field(4, body))


def read_varint(data, at):
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise ProtocolError('a varint is cut short')
        value |= (data[at + i] & 0x7f) << (7 * i)
        if data[at + i] < 0x80:
            return value & (1 << 64) - 1, at + i + 1
    raise ProtocolError('a varint has more than 10 bytes')


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Response(NamedTuple):
    sequence: int
    status: int
    body: bytes


def decode_response(data):
    fields = {1: 0, 2: 0, 3: b''}
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if key not in (0x08, 0x10, 0x1a):
            raise ProtocolError(f'unexpected tag {key:#x}')
        if key == 0x1a:
            if value > len(data) - at:
                raise ProtocolError('the body is cut short')
            value, at = bytes(data[at:at + value]), at + value
        fields[key >> 3] = value
    return Response(signed(fields[1], 64), signed(fields[2], 32), fields[3])


def string_message(text):
    """Both payloads of hello: a message with one string, number 1."""
    return bytes_field(1, text.encode())


# Section 2: packets.

def chunks_of(size):
    return max(1, -(-size // CHUNK_MAX))


def packet(total, chunk, index, count, data=b''):
    return HEADER.pack(total, chunk, index, count) + bytes(data)


def packets_of(message):
    view = memoryview(message)
    count = chunks_of(len(message))
    for index in range(count):
        data = view[index * CHUNK_MAX:(index + 1) * CHUNK_MAX]
        yield packet(len(message), len(data), index, count, data)


class Connection:
    """One session."""

    def __init__(self, path, timeout=None):
        self.sequence = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        # A connect waits while the server's queue is full, but only on a socket that blocks.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('@ll', int(TIMEOUT), 0))
        try:
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise
        self.socket.settimeout(timeout or TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    # What a hostile client needs.

    def send_raw(self, data, ancillary=()):
        self.socket.sendmsg([data], ancillary)

    def send_packet(self, total, chunk, index, count, data=b''):
        self.send_raw(packet(total, chunk, index, count, data))

    def send_message(self, message):
        """Send all packets; stop early when an answer comes before the end (section 7)."""
        view = memoryview(message)
        count = chunks_of(len(message))
        for index in range(count):
            data = view[index * CHUNK_MAX:(index + 1) * CHUNK_MAX]
            header = HEADER.pack(len(message), len(data), index, count)
            if count > 1 and self.is_readable(0):
                return
            self.socket.sendmsg([header, data])

    def is_readable(self, timeout=None):
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll((TIMEOUT if timeout is None else timeout) * 1000))

    # What any client needs.

    def recv_packet(self):
        data, _, flags, _ = self.socket.recvmsg(PACKET_MAX)
        if flags & socket.MSG_TRUNC:
            raise ProtocolError('a packet larger than any')
        if not data:
            raise EOFError('the server closed')
        if len(data) < HEADER.size:
            raise ProtocolError('a packet without a header')
        total, chunk, index, count = HEADER.unpack_from(data)
        if chunk != len(data) - HEADER.size or count != chunks_of(total):
            raise ProtocolError(f'a header that lies: {total} {chunk} {index} {count}')
        return total, index, memoryview(data)[HEADER.size:]

    def recv_message(self):
        message = bytearray()
        expected = None
        index = 0
        while True:
            total, got_index, data = self.recv_packet()
            if expected not in (None, total) or got_index != index:
                raise ProtocolError('a packet of another message')
            expected = total
            index += 1
            message += data
            if len(message) == total:
                return message
            if len(data) != CHUNK_MAX:
                raise ProtocolError('a sender fills every chunk but the last')

    def recv(self):
        try:
            return decode_response(self.recv_message())
        except ConnectionResetError:
            return decode_response(self.recv_message())  # section 7: once, before what is queued

    def send_call(self, module, method, body=b'', sequence=None):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        self.send_message(encode_call(module, method, sequence, body))
        return sequence

    def call(self, module, method, body=b'', sequence=None):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sequence = self.send_call(module, method, body, sequence)
        response = self.recv()
        if response.sequence not in (sequence, -1) and sequence is not None:
            raise ProtocolError(f'an answer to {response.sequence}, not to {sequence}')
        return response

    def is_ended(self, timeout=None):
        """Wait for the server to end the session; False: it did not, or sent something."""
        self.socket.settimeout(timeout or TIMEOUT)
        try:
            self.recv_packet()
        except ENDED:
            return True
        except TimeoutError:
            return False
        return False


def call(path, module, method, body=b''):
    """One call on a connection of its own."""
    with Connection(path) as connection:
        return connection.call(module, method, body)


def knock(path):
    """What is said at the door, and whether it is closed after it."""
    with Connection(path) as connection:
        response = connection.recv()
        return response, connection.is_ended()


def eventually(check, what, timeout=None):
    """Ask again until @check answers with something true, for what no event announces."""
    deadline = time.monotonic() + (timeout or TIMEOUT)
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'never: {what}')
        os.sched_yield()


# Other users.

def is_root():
    return os.geteuid() == 0


def become(uid, gid=None, groups=()):
    gid = uid if gid is None else gid
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def _read_all(fd, timeout):
    out = bytearray()
    deadline = time.monotonic() + timeout
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while poll.poll(max(0, deadline - time.monotonic()) * 1000):
        data = os.read(fd, 1 << 16)
        if not data:
            return bytes(out)
        out += data
    raise TimeoutError('the child did not finish')


def in_child(function, *args, timeout=None):
    """Run @function in a forked child; its result or its exception comes back through a pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                result = (True, function(*args))
            except BaseException as error:  # whatever it is, the parent judges it
                result = (False, error)
            try:
                data = pickle.dumps(result)
            except Exception:
                data = pickle.dumps((False, RuntimeError(repr(result[1]))))
            _write_all(writer, data)
        finally:
            os._exit(0)
    os.close(writer)
    try:
        data = _read_all(reader, timeout or 4 * TIMEOUT)
    except TimeoutError:
        os.kill(pid, 9)
        raise
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    is_good, value = pickle.loads(data)
    if not is_good:
        raise value
    return value


def as_user(uid, function, *args, gid=None, groups=()):
    """Run @function in a forked child that is @uid, with @gid (the same number) and @groups."""
    def run():
        become(uid, gid, groups)
        return function(*args)
    return in_child(run)


class Helper:
    """A child that stays, as another uid: give it functions one at a time. It keeps what they store."""

    def __init__(self, uid=None, gid=None, groups=()):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._close_all_but(theirs.fileno())
                if uid is not None:
                    become(uid, gid, groups)
                self._serve(theirs.makefile('rwb'))
            finally:
                os._exit(0)
        theirs.close()
        ours.settimeout(4 * TIMEOUT)
        self.socket = ours
        self.file = ours.makefile('rwb')

    @staticmethod
    def _close_all_but(fd):
        """Connections of the parent must end when the parent closes them."""
        os.closerange(3, fd)
        os.closerange(fd + 1, os.sysconf('SC_OPEN_MAX'))

    @staticmethod
    def _serve(file):
        state = {}
        while True:
            try:
                function, args = pickle.load(file)
            except EOFError:
                return
            try:
                answer = (True, function(state, *args))
            except BaseException as error:
                answer = (False, RuntimeError(repr(error)))
            pickle.dump(answer, file)
            file.flush()

    def run(self, function, *args):
        """@function must be defined at the top of a module; its first argument is the child's dict."""
        pickle.dump((function, args), self.file)
        self.file.flush()
        is_good, value = pickle.load(self.file)
        if not is_good:
            raise value
        return value

    def close(self):
        self.file.close()
        self.socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
