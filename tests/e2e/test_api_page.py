"""docs/api.md tells only what is true: all of its blocks are run, in order, against a real copy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.api.openapi_refusals import REFUSALS
from tests.start.running import ROOT, environment_without_settings, running_copy, wait_for

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(bash|python)\n(.*?)```", PAGE, re.DOTALL)
MODULE = next(text for language, text in BLOCKS if text.startswith("import http.client"))


def test_every_block_works_in_the_order_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "mailroom.py").write_text(MODULE, encoding="utf-8")
    printed = ""
    with running_copy(tmp_path / "data", WEB_WORKERS="1") as copy:
        copy.wait_until_running()  # one web process: a new key is known in all or in none
        # As from any shell in this folder: where the queue is, the supervisor's children know.
        environment = environment_without_settings() | {
            "REDIS_URL": f"unix://{copy.socket}",
            "DATA_DIR": str(copy.data_dir),
            "MAILROOM": f"http://127.0.0.1:{copy.port}",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(tmp_path),
        }
        for language, text in BLOCKS:
            if text.startswith("export") or text == MODULE:
                continue
            answer = run(language, text, environment)
            printed += answer
            if text.startswith("flask keys create"):
                [key] = re.findall(r"mr_\w+", answer)
                environment["MAILROOM_KEY"] = key
                wait_for(partial(is_known, key, copy.port), copy)
            elif language == "bash":
                for line in answer.strip().splitlines():
                    assert "errors" not in json.loads(line), (text, line)
    assert "not an address was rejected: {'payload'" in printed
    assert "success None" in printed
    assert '"message": "Operation started"' in printed


def is_known(key: str, port: int) -> bool:
    """A new key is, within 2 s."""
    url = f"http://127.0.0.1:{port}/api/stats"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        with error:
            assert error.code == 401
        return False


def run(language: str, text: str, environment: dict[str, str]) -> str:
    program = ["bash", "-ec"] if language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*program, text], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    return done.stdout


def test_every_refusal_is_in_the_table() -> None:
    named = [int(code) for code in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)]

    assert named == sorted(REFUSALS)


ANSWERS = {
    "again": (503, {"Retry-After": "7"}),
    "much": (429, {"Retry-After": "9"}),
    "no": (422, {}),
}


@contextmanager
def answering(*script: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers as the script says, then 200; and the headers of what it was asked."""
    left, seen = list(script), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            step = left.pop(0) if left else "ok"
            if step == "cut":
                self.close_connection = True
                return
            code, headers = ANSWERS.get(step, (200, {}))
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b'{"query_id": 1}')

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def client(monkeypatch: pytest.MonkeyPatch, url: str) -> tuple[Any, list[float]]:
    """The page's `call`, and how long it would have waited each time."""
    monkeypatch.setenv("MAILROOM", url)
    monkeypatch.setenv("MAILROOM_KEY", "mr_x")
    waits: list[float] = []
    names: dict[str, Any] = {}
    exec(compile(MODULE, "mailroom.py", "exec"), names)
    names["time"] = type("time", (), {"sleep": staticmethod(waits.append)})
    return names["call"], waits


def test_the_client_repeats_with_the_same_key_and_waits_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering("again", "cut", "much") as (url, seen):
        call, waits = client(monkeypatch, url)

        assert call("POST", "/x", {}, idempotency_key="order-1") == {"query_id": 1}

    assert [one["Idempotency-Key"] for one in seen] == ["order-1"] * 4
    assert waits[0] == 7 and 1 <= waits[1] <= 2 and waits[2] == 9


@pytest.mark.parametrize(("step", "key"), [("no", "order-1"), ("again", None)])
def test_the_client_does_not_repeat_what_is_refused_or_could_be_done_twice(
    monkeypatch: pytest.MonkeyPatch, step: str, key: str | None
) -> None:
    with answering(step) as (url, seen):
        call, waits = client(monkeypatch, url)
        with pytest.raises(RuntimeError, match=str(ANSWERS[step][0])):
            call("POST", "/x", {}, idempotency_key=key)

    assert len(seen) == 1 and waits == []


def test_the_client_gives_up_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(*["cut"] * 6) as (url, seen):
        call, waits = client(monkeypatch, url)
        with pytest.raises(OSError, match="No answer"):
            call("POST", "/x", {}, idempotency_key="order-1")

    assert len(seen) == 6 and len(waits) == 5
