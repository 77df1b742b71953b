"""The README tells only what is true: its curl lines are run, its settings are all there."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from app.config import Config
from tests.e2e.api import finished
from tests.start.running import ROOT, running_copy

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def test_every_curl_line_answers_as_documented(tmp_path: Path) -> None:
    steps = re.findall(r"```bash\n(curl .*?)```(?:\n\n```json\n(.*?)```)?", README, re.DOTALL)
    assert len(steps) >= 5
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        for command, documented in steps:
            if "/api/job/status/1" in command:
                finished(copy, 1)
            local = command.replace(ADDRESS, f"http://127.0.0.1:{copy.port}")
            answer = json.loads(subprocess.check_output(["bash", "-c", local], timeout=20))
            if documented:
                assert settled(answer) == settled(json.loads(documented)), command
            else:
                assert "errors" not in answer, (command, answer)


def test_the_settings_it_names_exist() -> None:
    table = README.partition("## Settings")[2].partition("\n\nThe parts run")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", table))
    settings = {field.name.upper() for field in dataclasses.fields(Config)}
    assert named and named <= settings, named - settings


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what differs from one run to the next, but with its shape."""
    data = {key: vague(key, value) for key, value in answer["data"].items()}
    return {**answer, "data": data}


def vague(key: str, value: Any) -> Any:
    if key.endswith("_at") and isinstance(value, float):
        return "a time"
    if key == "request_id" and value:
        return "an id"
    if key == "worker" and value:
        return "a worker"
    if key == "result" and value:
        return {**value, "message_id": "an id"}
    return value
