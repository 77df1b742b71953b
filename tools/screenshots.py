"""`python -m tools.screenshots`: makes the pictures of docs/dashboard.md from a demo store.

Needs the packages of requirements-dev.txt and Debian's chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from app.config import Config
from app.embedded import find_server_binary
from app.queue.connection import connect
from tests.conftest import running_server
from tests.queue.virtual_time import Clock, virtual_source
from tools.demo_store import HOUR_SECONDS, DemoStore, fill_mailbox, fill_suppressions

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
PICTURE_MAX_BYTES = 150_000
CHROMIUM_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@dataclass(frozen=True)
class Picture:
    """`path` may name the job to show, `{job}`, and the latest mail, `{mail}`."""

    name: str
    path: str
    width: int = 1280
    height: int = 800
    theme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("jobs", "/dashboard", height=700),
    Picture("jobs-dark", "/dashboard?status=failed", theme="dark"),
    Picture("jobs-phone", "/dashboard", width=390, height=844, theme="dark"),
    Picture("job", "/dashboard/jobs/{job}", height=940),
    Picture("workers", "/dashboard/workers", height=500),
    Picture("charts", "/dashboard/charts", height=1000),
    Picture("suppressions", "/dashboard/suppressions", height=480),
    Picture("mailbox", "/dashboard/mailbox/{mail}", height=900),
)


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium on PATH (Debian: apt-get install chromium).", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _demo_site() as (url, names), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM_OPTIONS])
        too_large = [p.name for p in PICTURES if _take(browser, url, p, names) > PICTURE_MAX_BYTES]
        browser.close()
    if too_large:
        print(f"Larger than {PICTURE_MAX_BYTES} bytes: {', '.join(too_large)}", file=sys.stderr)
    return 1 if too_large else 0


def _take(browser: Browser, url: str, picture: Picture, names: dict[str, str]) -> int:
    """Returns the size of the file in bytes."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.theme,
        locale="en-GB",
    )
    answer = page.goto(url + picture.path.format(**names))
    if answer is None or not answer.ok:
        raise RuntimeError(f"{picture.name}: {picture.path} did not answer as it should")
    for frame in page.locator("iframe").all():
        if frame.is_visible():
            frame.content_frame.locator("body *").first.wait_for()
    path = FOLDER / f"{picture.name}.png"
    page.screenshot(path=path, animations="disabled")
    page.close()
    return path.stat().st_size


@contextmanager
def _demo_site() -> Iterator[tuple[str, dict[str, str]]]:
    """The application on a full store: its address, and names for the pictures' paths."""
    with (
        running_server(find_server_binary("")) as server,
        tempfile.TemporaryDirectory(prefix="mailroom-pictures-") as folder,
    ):
        client = connect(server.url, name="pictures")
        clock = Clock(client)
        config = replace(
            Config.load(env_file=None), data_dir=Path(folder), key_prefix="", smtp_host=""
        )
        app = create_app(config, client=client, source=virtual_source(client))
        names = _fill(app, clock, Path(folder) / "mailbox")
        httpd = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}", names
        finally:
            httpd.shutdown()
            thread.join(timeout=10)
            httpd.server_close()
            client.close()


def _fill(app: Flask, clock: Clock, mailbox: Path) -> dict[str, str]:
    clock.advance(seconds=time.time() - HOUR_SECONDS - clock.now)
    store = DemoStore(app.extensions["queue"], clock)
    job_id = store.fill()
    fill_mailbox(mailbox, job_id)
    fill_suppressions(app.extensions["suppressions"], job_id, time.time())
    # Filling took a while; pages tell ages by the clock on the wall.
    clock.advance(seconds=time.time() - clock.now)
    store.say_alive()
    newest = max((mailbox / "new").iterdir(), key=lambda path: path.stat().st_size)
    return {"job": str(job_id), "mail": newest.name}


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


if __name__ == "__main__":
    sys.exit(main())
