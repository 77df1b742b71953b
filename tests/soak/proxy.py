"""A bad network between the system and its Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_BYTES = 65_536


@dataclass
class Network:
    """What happens to answers of the server; may be changed while it runs.

    The request has always reached the server. Chances are 0 to 1 for each answer.
    """

    rng: random.Random
    cut: float = 0.0  # the connection is reset in place of the answer
    hang: float = 0.0  # neither this answer nor any later one comes, and nobody says so
    latency_seconds: float = 0.0
    port: int = 0
    answers: int = 0
    cuts: int = 0
    hung: int = 0
    _closing: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, server: Path, ready: threading.Event, end: asyncio.Event) -> None:
        """Takes connections on a free TCP port for the server's unix socket, until `end`."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._between(reader, writer, server)

        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await end.wait()
        listener.close()
        for writer in self._closing:
            writer.transport.abort()

    async def _between(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Path
    ) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(str(server))
        except OSError:
            writer.transport.abort()
            return
        self._closing += [writer, to_server]
        requests = asyncio.create_task(_pass_on(reader, to_server))
        answers = asyncio.create_task(self._answer(from_server, writer))
        await asyncio.wait({requests, answers}, return_when=asyncio.FIRST_COMPLETED)
        requests.cancel()
        answers.cancel()
        # With what the client sent last: it may be unread here, but the server has all before it.
        writer.transport.abort()
        to_server.close()

    async def _answer(
        self, from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await from_server.read(CHUNK_BYTES):
                self.answers += 1
                if self.rng.random() < self.hang:
                    self.hung += 1
                    await asyncio.Event().wait()  # until the client gives up and closes
                if self.rng.random() < self.cut:
                    self.cuts += 1
                    return
                if self.latency_seconds:
                    await asyncio.sleep(self.latency_seconds)
                to_client.write(data)
                await to_client.drain()


@contextmanager
def bad_network(server: Path, network: Network) -> Iterator[Network]:
    """`network.url` leads to the server at this unix socket."""
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    def run() -> None:
        loop.run_until_complete(network.serve(server, ready, end))
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run, name="proxy", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield network
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(timeout=10)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
