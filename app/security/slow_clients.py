"""gunicorn's threaded worker, which a client that sends slowly, or nothing, can't keep busy.

gunicorn gives every new connection to a thread, which then waits for the request: as many silent
connections as there are threads stop the service. Here a request's head is waited for outside of
the threads, and its body must come within a time. Whether a caller is let in is decided by the head
alone: strangers get no further. A proxy in front (docs/security.md) does more.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_SECONDS = 10.0
REQUEST_SECONDS = 60.0
_HEAD_END = b"\r\n\r\n"
# What is longer may end in a thread, which `request_seconds` frees.
_HEAD_MAX_BYTES = 64 * 1024


class PatientWorker(ThreadWorker):
    """`worker_class = "app.security.slow_clients.PatientWorker"`"""

    head_seconds = HEAD_SECONDS
    request_seconds = REQUEST_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Sockets that threads may be reading from, and until when they may.
        self._read_until: dict[socket.socket, float] = {}

    def accept(self, listener: Any) -> None:
        if self.cfg.is_ssl:  # the head can't be looked at before it is decrypted
            super().accept(listener)
            return
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        self._wait_for_head(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """The next request on a connection that was kept."""
        if self.cfg.is_ssl:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._wait_for_head(conn)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        if not self.cfg.is_ssl and not self._head_is_there(conn.sock):
            return  # until `murder_pending` closes it
        super().on_pending_socket_readable(conn, client)

    def handle(self, conn: Any) -> Any:
        self._read_until[conn.sock] = time.monotonic() + self.request_seconds
        try:
            return super().handle(conn)
        finally:
            self._read_until.pop(conn.sock, None)

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

    def _cap_keepalive(self, deadline: float) -> None:
        """At the end: a connection that has asked nothing yet holds up the stop no longer."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _wait_for_head(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.head_seconds
        self.pending_conns.append(conn)
        wake = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, wake)

    def _head_is_there(self, client: socket.socket) -> bool:
        """Whether a thread would find a whole head, or the end, without waiting."""
        try:
            seen = client.recv(_HEAD_MAX_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        is_there = not seen or _HEAD_END in seen or len(seen) == _HEAD_MAX_BYTES
        # Else the poller would say again and again that there is something to read.
        enough = 1 if is_there else len(seen) + 1
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)
        return is_there
