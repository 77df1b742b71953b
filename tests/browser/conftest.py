"""A real browser, and the real application on a real server for it.

A test fails when the browser complains: a script's error, a violation of the page's security
policy, a warning on the console. One that provokes a complaint names it in `complaints.expected`.
Every page is made here, by `page` or `open_page`, so that none goes unwatched.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from flask import Flask
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

from app import create_app
from app.config import Config
from app.queue.connection import connect
from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from tests.conftest import RedisServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Generous on a busy machine; what is waited for comes in a fraction of it.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

NewContext = Callable[..., BrowserContext]
OpenPage = Callable[..., Page]


@dataclass(frozen=True)
class Site:
    """The application that the browser visits, and its queue."""

    url: str
    app: Flask
    client: redis.Redis

    @property
    def queue(self) -> JobQueue:
        queue: JobQueue = self.app.extensions["queue"]
        return queue

    @property
    def inspector(self) -> Inspector:
        inspector: Inspector = self.app.extensions["inspector"]
        return inspector


@dataclass
class Complaints:
    """What the browser complained of, and what a test expects it to."""

    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # regular expressions

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.found if not any(re.search(e, text) for e in self.expected)]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How pytest-playwright starts the browser: Debian's own, which needs no download."""
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "there is no chromium on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # It starts once for all tests, which takes half of the usual 30 s on a machine that is busy.
    return {"executable_path": chromium, "args": list(CHROMIUM_OPTIONS), "timeout": 100_000}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-GB",
        "timezone_id": "Europe/Berlin",
    }


@pytest.fixture
def complaints() -> Complaints:
    """Of all the test's pages together."""
    return Complaints()


@pytest.fixture
def open_page(new_context: NewContext, complaints: Complaints) -> Iterator[OpenPage]:
    """`open_page(**options)`: a page of a fresh browser profile, with options of Playwright's
    `new_context`. Whatever any of them complains of fails the test at its end."""
    contexts: list[BrowserContext] = []

    def open_it(**options: Any) -> Page:
        contexts.append(new_context(**options))
        _watch(contexts[-1], complaints)
        return contexts[-1].new_page()

    yield open_it
    # What a page says while it is closed counts too.
    for context in contexts:
        context.close()
    assert complaints.unexpected == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def either(request: pytest.FixtureRequest, open_page: OpenPage) -> Page:
    """A page of a browser that runs scripts, and of one that doesn't."""
    return open_page(java_script_enabled=request.param)


def _watch(context: BrowserContext, complaints: Complaints) -> None:
    """Notes what the pages of a context complain of, those that they open themselves included."""

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.found.append(f"console {message.type}: {message.text}")

    context.set_default_timeout(PATIENCE_MS)
    context.on("console", note)
    context.on("weberror", lambda error: complaints.found.append(f"page error: {error.error}"))
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error("
        "`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));"
    )


@pytest.fixture(scope="session")
def running_app(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Flask]]:
    with serving(server.url, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def site(running_app: tuple[str, Flask], client: redis.Redis) -> Site:
    """The application on an empty server."""
    url, app = running_app
    return Site(url, app, client)


@contextmanager
def serving(redis_url: str, data_dir: Path, **settings: Any) -> Iterator[tuple[str, Flask]]:
    """The application under an HTTP server of its own: its address, and itself."""
    config = replace(
        Config.load(env_file=None),
        redis_url=redis_url,
        data_dir=data_dir,
        job_modules=(),
        key_prefix="",
        smtp_host="",
        secret_key="not secret, only for tests, and long enough",
        **settings,
    )
    # A server that was stopped refuses at once; one that is slow on a busy machine isn't away.
    client = connect(redis_url, name="browser-tests", timeout_seconds=10)
    app = create_app(config, client=client)
    server = make_server("127.0.0.1", 0, _read_whole(app), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", app
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
        client.close()


def _read_whole(app: Flask) -> WSGIApplication:
    """Reads each answer to its end and closes it. Werkzeug's development server, which only these
    tests use, leaves a file open when the browser went away: it reads the socket before it closes.
    """

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        with closing(ClosingIterator(app(environ, start_response))) as answer:
            return [b"".join(answer)]

    return call


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass
