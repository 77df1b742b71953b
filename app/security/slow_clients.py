"""gunicorn's threaded worker, which a client that sends or reads slowly can't keep busy.

gunicorn gives every new connection to a thread, which then waits for the request: as many silent
connections as there are threads stop the service. Here a thread gets a request once it is whole,
so that it waits for nobody. Those that may still make it wait, because they are long or don't say
how long they are, have threads of their own; and there a stranger is turned away by the head
alone. Connections are closed outside of the threads too. A proxy in front (docs/security.md) does
more.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import selectors
import socket
import struct
import sys
import termios
import time
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

REQUEST_WAIT_SECONDS = 10.0
READ_SECONDS = 60.0
# How long somebody may take nothing of an answer.
SEND_STALL_SECONDS = 30
# The largest answer that strangers get (the page of the API) fits, so no thread waits until they
# take it. The kernel doubles it, for its own part.
SEND_BUFFER_BYTES = 256 * 1024
# The last answer on a connection is lost if it is closed while its client still sends.
LINGER_SECONDS = 2.0
# What the kernel keeps for us of a request until it is whole; longer ones are read in threads.
_WHOLE_MAX_BYTES = 64 * 1024
# Of a body that the application did not want what is there already is read: the connection stays.
_DRAIN_SECONDS = 0.05

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
# The body has no length that could be waited for, or comes only when it is asked for.
_ODD_BODY = re.compile(rb"\r\n(?:Transfer-Encoding|Expect):", re.IGNORECASE)


class Connection(TConn):
    """gunicorn's, which when it is closed waits for nobody."""

    worker: PatientWorker
    may_wait = False

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.linger(self.sock)
        else:
            super().close()


class PatientWorker(ThreadWorker):
    """`worker_class = "app.security.slow_clients.PatientWorker"`"""

    request_wait_seconds = REQUEST_WAIT_SECONDS
    read_seconds = READ_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Sockets that threads may be reading from, and until when they may.
        self._read_until: dict[socket.socket, float] = {}
        self._lingering: deque[tuple[socket.socket, float]] = deque()
        self._long: Executor = ThreadPoolExecutor(max(1, self.cfg.threads // 2))

    def accept(self, listener: Any) -> None:
        if self.cfg.is_ssl:  # what was sent can't be looked at before it is decrypted
            super().accept(listener)
            return
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        stall = struct.pack("ll", SEND_STALL_SECONDS, 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.nr_conns += 1
        conn = Connection(self.cfg, client, address, listener.getsockname())
        conn.worker = self
        self._wait_for_request(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """The next request on a connection that was kept."""
        if self.cfg.is_ssl:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait_for_request(conn)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        if not self.cfg.is_ssl and not self._request_is_there(conn):
            return  # until `murder_pending` closes it
        if _unsent_bytes(client):
            # It asks again and again and takes no answer: the next would wait for it in a thread.
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self.nr_conns -= 1
            conn.close()
            return
        super().on_pending_socket_readable(conn, client)

    def enqueue_req(self, conn: Any) -> None:
        if not getattr(conn, "may_wait", False):
            super().enqueue_req(conn)
            return
        done = self._long.submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def handle(self, conn: Any) -> Any:
        self._read_until[conn.sock] = time.monotonic() + self.read_seconds
        try:
            return super().handle(conn)
        finally:
            self._read_until.pop(conn.sock, None)

    def linger(self, client: socket.socket) -> None:
        """Closes it when the other side has, or after LINGER_SECONDS."""
        try:
            client.setblocking(False)
            client.shutdown(socket.SHUT_WR)
            if len(self._lingering) >= self.worker_connections:
                raise OSError
            self.poller.register(client, selectors.EVENT_READ, self._discard)
        except (OSError, ValueError):
            client.close()
        else:
            self._lingering.append((client, time.monotonic() + LINGER_SECONDS))

    def murder_pending(self) -> None:
        """gunicorn calls it every second."""
        super().murder_pending()
        now = time.monotonic()
        for client, until in list(self._read_until.items()):
            if now >= until:
                # Whoever still reads finds the end of the request; an answer on its way goes on.
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RD)
                self._read_until.pop(client, None)
        while self._lingering and now >= self._lingering[0][1]:
            self._close(self._lingering.popleft()[0])

    def murder_keepalived(self, force: bool = False) -> None:
        super().murder_keepalived(force)
        while force and self._lingering:
            self._close(self._lingering.popleft()[0])

    def _cap_keepalive(self, deadline: float) -> None:
        """At the end: a connection that has asked nothing yet holds up the stop no longer."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether another request may come on this connection.

        Not when bytes of it were read already: the rest would be waited for in a thread.
        """
        if self.cfg.is_ssl:
            return bool(super()._keepalive_after(conn, keepalive))
        if not keepalive or not conn.parser.finish_body(time.monotonic() + _DRAIN_SECONDS):
            return False
        return not conn.parser.unreader.buf.getvalue()

    def _wait_for_request(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.request_wait_seconds
        self.pending_conns.append(conn)
        wake = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, wake)

    def _request_is_there(self, conn: Any) -> bool:
        """Whether a thread would find a whole request, or the end, without waiting; or else one
        that is better read by a thread, which `may_wait` then says."""
        client: socket.socket = conn.sock
        try:
            seen = client.recv(_WHOLE_MAX_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        size = _size(seen)
        conn.may_wait = size is not None and size > _WHOLE_MAX_BYTES
        missing = max(1, size - len(seen)) if size else 1
        is_there = not seen or conn.may_wait or (size is not None and len(seen) >= size)
        # Else the poller would say again and again that there is something to read.
        with contextlib.suppress(OSError):
            enough = 1 if is_there else len(seen) + missing
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)
        return is_there

    def _discard(self, client: socket.socket) -> None:
        """Of what still comes before the end; `murder_pending` bounds it."""
        try:
            is_open = bool(client.recv(_WHOLE_MAX_BYTES))
        except BlockingIOError:
            is_open = True
        except OSError:
            is_open = False
        if not is_open:
            self._close(client)

    def _close(self, client: socket.socket) -> None:
        """Of one that lingers; again is nothing."""
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(client)
        client.close()


def _unsent_bytes(client: socket.socket) -> int:
    """Of earlier answers. None of who waits for an answer before asking again: the bytes that
    bring the next request say that the answer arrived."""
    count = bytearray(4)
    with contextlib.suppress(OSError):  # a system that can't tell
        fcntl.ioctl(client, termios.TIOCOUTQ, count)
    return int.from_bytes(count, sys.byteorder)


def _size(seen: bytes) -> int | None:
    """How many bytes the request has whose beginning this is; None when its head is not whole.

    More than _WHOLE_MAX_BYTES when that is not known.
    """
    end = seen.find(_HEAD_END)
    if end < 0:
        return None if len(seen) < _WHOLE_MAX_BYTES else _WHOLE_MAX_BYTES + 1
    head = seen[: end + 2]
    if _ODD_BODY.search(head):
        return _WHOLE_MAX_BYTES + 1
    lengths = _LENGTH.findall(head)
    if not lengths:
        return end + len(_HEAD_END)
    # Several, or an odd one: gunicorn refuses the request whatever follows.
    return end + len(_HEAD_END) + int(lengths[0])
