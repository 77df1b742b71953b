"""The files for deployment, as far as they can be tried without Docker or root's systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Config
from tests.deploy.proxy import program
from tests.start.running import free_port, wait_for

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SETTINGS = {field.name.upper() for field in fields(Config)}
OURS = ("api", "worker", "retry-worker")
NOT_SETTINGS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "FLASK_APP"}


def status_of(port: int, path: str) -> int | None:
    """The status of the answer; None when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def copied_into_the_image() -> list[str]:
    """The sources of the Dockerfile's COPY lines, those of the other stage left out."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    return [name for names in copies for name in names if not names[0].startswith("--from")]


def test_the_image_gets_just_what_is_there() -> None:
    names = copied_into_the_image()
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert all((ROOT / name).exists() for name in names)
    assert {line[1:] for line in let_in if line.startswith("!")} == set(names)


def test_what_is_in_the_image_is_enough_to_run(tmp_path: Path) -> None:
    """Its files alone, in a folder that nobody writes to, serve the API."""
    root, data, port = tmp_path / "srv", tmp_path / "data", free_port()
    for name in copied_into_the_image():
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    before = sorted(root.rglob("*"))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATA_DIR": str(data),
        "PORT": str(port),
        "REDIS_URL": f"unix://{tmp_path}/none.sock",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=root, env=environment
    )
    try:
        wait_for(lambda: status_of(port, "/healthz") == 200)
        assert status_of(port, "/static/app.css") == 200
        assert status_of(port, "/api/openapi.json") == 200
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_known_settings_and_time_to_stop(name: str) -> None:
    service = compose()["services"][name]

    assert set(service["environment"]) - SETTINGS - NOT_SETTINGS == set()
    assert int(service["stop_grace_period"].rstrip("s")) > 25
    assert service["read_only"] and service["cap_drop"] == ["ALL"]


def test_compose_opens_ports_to_this_machine_alone() -> None:
    ports = [
        port for service in compose()["services"].values() for port in service.get("ports", ())
    ]

    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_has_known_settings_and_no_secret() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    names = set(re.findall(r"(?:^ENV |^ {4})([A-Z_]+)=", text, re.M))

    assert names - NOT_SETTINGS <= SETTINGS
    assert not names & {"SECRET_KEY", "SMTP_PASSWORD", "REDIS_PASSWORD"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(tmp_path: Path, unit: Path) -> None:
    analyze = program("systemd-analyze")
    for source in (*UNITS, UNITS[0].parent / "mailroom.target"):
        text = source.read_text(encoding="utf-8")
        # The program must be there for the check.
        text = re.sub(r"/opt/mailroom/\.venv/bin/(python|gunicorn)", sys.executable, text)
        name = source.name.replace("@.", "@1.")
        (tmp_path / name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / unit.name.replace("@.", "@1."))],
        capture_output=True,
        text=True,
        timeout=60,
    )

    ours = [line for line in done.stderr.splitlines() if "mailroom" in line]
    assert ours == []
