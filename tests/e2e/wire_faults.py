"""What goes wrong on a wire, byte by byte: faults that scripted servers and proxies put between an answer and its
reader, and the many runs of weir that such tests are made of.

An answer is a frame, a length and as many bytes. A script says for the n-th answer of a kind which Fault it has.
"""
import concurrent.futures
import contextlib
import dataclasses
import os
import random
import select
import socket
import struct
import threading
import time

from harness import Failed

CUT, RESET, SILENCE = "cut", "reset", "silence"
CUTS = int(os.environ.get("WEIR_E2E_CUTS", "12"))  # how many places of each kind of answer are cut
LENGTH_MOST = 64 << 20  # of a request: more is no length
PATIENCE = "240s"  # of weir with a server that comes to its senses: a machine that does much else is slow
AT_ONCE = 16  # runs of weir: most of their time they wait


@dataclasses.dataclass
class Fault:
    """What goes wrong with one answer. What was asked for is done before, unless it is `lost`."""
    at: object = None      # where: a byte of the frame (negative: before its end), a part of it (0.5); None: behind it
    then: object = None    # there: CUT, RESET, SILENCE for good, or other bytes than the frame's
    delay_s: float = 0     # there: so long nothing comes
    lost: bool = False     # the connection is reset before anything is done
    pieces: int = 0        # it comes in pieces of so many bytes
    skipped: bool = False  # the answer never comes, later ones do
    twice: bool = False    # it comes twice
    behind: int = 0        # so many later answers come before it, where there are so many
    change: object = None  # a function that changes the answer before it is a frame
    edit: object = None    # a function from the frame's bytes to others


def place(at, length):
    """A byte of the frame."""
    if at is None:
        return length
    if isinstance(at, float):
        return int(at * length)
    return max(0, length + at) if at < 0 else min(at, length)


def places(n):
    """n places of a frame of any length: its ends byte by byte, and parts of it."""
    ends = [0, 1, 3, 4, 5, 8, -1, -2, -5][:n]
    return ends + [(i + 1) / (n - len(ends) + 1) for i in range(n - len(ends))]


class Sender:
    """Sends answers on one connection. False from send() and rest(): the connection is over."""

    def __init__(self, connection):
        self.connection, self.held = connection, []
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent apart goes apart

    def send(self, frame, fault=None):
        fault = fault or Fault()
        if fault.behind:
            self.held.append([fault.behind, frame, dataclasses.replace(fault, behind=0)])
            return True
        if not self.send_now(frame, fault):
            return False
        for entry in self.held:
            entry[0] -= 1
        return self.settle(lambda entry: entry[0] <= 0)

    def rest(self, source=None):
        """Before more is waited for from there: what is held back comes, where nothing else does."""
        return not self.held or select.select([source or self.connection], [], [], 0.02)[0] or self.settle()

    def settle(self, which=lambda entry: True):
        due, self.held = [e for e in self.held if which(e)], [e for e in self.held if not which(e)]
        return all(self.send_now(frame, fault) for _, frame, fault in due)

    def send_now(self, frame, fault):
        if fault.skipped:
            return True
        if fault.edit:
            frame = fault.edit(frame)
        at = place(fault.at, len(frame))
        self.connection.sendall(frame[:at])
        if fault.delay_s:
            time.sleep(fault.delay_s)
        if fault.then in (CUT, RESET, SILENCE):
            return self.end(fault.then)
        rest = frame[at:] if fault.then is None else fault.then
        for i in range(0, len(rest), fault.pieces or len(rest) or 1):
            self.connection.sendall(rest[i:i + (fault.pieces or len(rest))])
        if fault.twice:
            self.connection.sendall(frame)
        return True

    def end(self, how):
        if how == SILENCE:
            while self.connection.recv(65536):  # until the client gives up
                pass
        if how == RESET:
            reset(self.connection)
        return False



def reset(connection):
    """Ends a connection with RST, so that what is on its way may be lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Listener:
    """A port on 127.0.0.1 with a thread for each connection: serve(connection) until it returns."""

    def __init__(self, serve):
        self.serve, self.open, self.lock, self.closed = serve, set(), threading.Lock(), False
        self.wrong = []  # what serve() raised that is no end of a connection
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                if self.closed:
                    return connection.close()
                self.open.add(connection)
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass
        except Exception as trouble:
            self.wrong.append(f"{type(trouble).__name__}: {trouble}")
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def close(self):
        """Takes no connection any more and ends those that are there."""
        with self.lock:
            self.closed = True
            for end in [self.socket, *self.open]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def receive(connection, n):
    """n bytes; raises where the other side has ended the connection."""
    data = bytearray()
    while len(data) < n:
        piece = connection.recv(min(n - len(data), 1 << 20))
        if not piece:
            raise ConnectionResetError("the client hung up")
        data += piece
    return bytes(data)


def receive_frame(connection):
    """What stands behind a length of four bytes."""
    length, = struct.unpack(">i", receive(connection, 4))
    if not 0 <= length <= LENGTH_MOST:
        raise ValueError(f"a request of {length} bytes")
    return receive(connection, length)


# ---- bytes that are no answer ----

def lying(length):
    """The frame with another length before it; `length`: a number, or a function of the right one."""
    def edit(frame):
        right = len(frame) - 4
        told = length(right) if callable(length) else length
        return struct.pack(">I", told & 0xffffffff) + frame[4:]
    return edit


def spoil(frame, at, text):
    """The frame, as long as it was, with other bytes from there on."""
    at = place(at, len(frame))
    return (frame[:at] + text * (len(frame) // len(text) + 1))[:len(frame)]


def noise(seed, length=300):
    """Random bytes. Their first byte makes a length of more than anybody takes."""
    return b"\x7f" + random.Random(seed).randbytes(length - 1)


NONSENSE = {"zeros": bytes(300), "ones": b"\xff" * 300, "noise": noise(1),
            "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "tls": b"\x15\x03\x01\x00\x02\x02\x46"}


# ---- many runs ----

def together(jobs, at_once=AT_ONCE):
    """Runs {name: function} side by side; raises with all that failed."""
    failed = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(job): name for name, job in jobs.items()}
        for done in concurrent.futures.as_completed(running):
            if trouble := done.exception():
                text = str(trouble) if isinstance(trouble, Failed) else f"{type(trouble).__name__}: {trouble}"
                failed.append(f"{running[done]}: {text}")
    if failed:
        raise Failed(f"{len(failed)} of {len(jobs)} runs failed:\n" + "\n".join(sorted(failed)[:4]))
