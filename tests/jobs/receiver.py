"""A receiver of webhooks on 127.0.0.1 that answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"of the tests " * 3).decode()


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    def check_signature(self, secret: str) -> None:
        """As the Standard Webhooks specification tells receivers to."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(key, signed + self.body, hashlib.sha256).digest()
        expected = base64.b64encode(digest).decode()
        version, _, given = self.headers["webhook-signature"].partition(",")
        assert (version, given) == ("v1", expected)


class Receiver:
    """`with Receiver(503, 204) as receiver`: answers 503, then 204 for ever.

    `headers` go into every answer, `body` is every answer's; with `hold` no answer ends before
    `release` is set.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *statuses: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        hold: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.statuses = list(statuses) or [204]
        self.headers, self.body = headers or {}, body
        self.hold = hold
        self.release = threading.Event()
        self.arrived = threading.Condition()
        self._server = ThreadingHTTPServer((self.host, 0), _Handler)
        self._server.daemon_threads = True
        self._server.receiver = self  # type: ignore[attr-defined]
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook?a=b"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def wait_for(self, count: int, seconds: float = 60) -> list[Received]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds)
            return list(self.received)

    def take(self, received: Received) -> int:
        """The status to answer with."""
        with self.arrived:
            self.received.append(received)
            self.arrived.notify_all()
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = receiver.take(Received(self.path, headers, body))
        if receiver.hold:
            # One byte now and then, so that no time-out between two bytes helps.
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not receiver.release.wait(0.05):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return
            return
        self.send_response(status)
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(receiver.body)))
        self.end_headers()
        try:
            self.wfile.write(receiver.body)
        except OSError:  # it was not read to the end
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing into the tests' output."""
