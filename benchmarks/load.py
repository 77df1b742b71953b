"""Loads an HTTP server on this machine like `wrk`: some connections, each asks again when answered.

Run: python -m benchmarks.load PORT PATH BODY_FILE CONNECTIONS SECONDS
Prints requests a second, and p50 and p99 of the answers' times in ms.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from pathlib import Path

END = b"\r\n\r\n"


def main(port: int, path: str, body: bytes, connections: int, seconds: float) -> None:
    times, took = load(port, request(path, body), connections, seconds)
    times.sort()
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{len(times) / took:.1f} {p50:.3f} {p99:.3f}")


def request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(port: int, asked: bytes, connections: int, seconds: float) -> tuple[list[float], float]:
    """The seconds each answer took, and how long all of it did. An answer that is not 200 ends
    the process."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ, Waiting(client))
    times: list[float] = []
    began = time.perf_counter()
    for key in list(selector.get_map().values()):
        key.data.ask(asked)
    while (now := time.perf_counter()) < began + seconds:
        for key, _ in selector.select(timeout=1.0):
            waiting: Waiting = key.data
            if waiting.is_answered():
                now = time.perf_counter()
                times.append(now - waiting.since)
                waiting.ask(asked)
    return times, now - began


class Waiting:
    """One connection and the answer it waits for."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._received = b""
        self.since = 0.0

    def ask(self, asked: bytes) -> None:
        self.since = time.perf_counter()
        self._client.sendall(asked)

    def is_answered(self) -> bool:
        received = self._client.recv(1_048_576)
        if not received:
            sys.exit("the server closed the connection")
        self._received += received
        head, found, body = self._received.partition(END)
        if not found or len(body) < _content_length(head):
            return False
        if head[9:12] != b"200":
            sys.exit(f"refused: {self._received[:500].decode(errors='replace')}")
        self._received = b""
        return True


def _content_length(head: bytes) -> int:
    name = b"content-length:"
    start = head.lower().index(name) + len(name)
    return int(head[start:].partition(b"\r\n")[0])


if __name__ == "__main__":
    port, path, body_file, connections, seconds = sys.argv[1:]
    main(int(port), path, Path(body_file).read_bytes(), int(connections), float(seconds))
