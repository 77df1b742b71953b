"""A name in `.env` that is no setting is told, with the one that was meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.env_file import unknown_settings
from tests.start.running import environment_without_settings

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("SMTP_HSOT=mail.example.com", "has no effect on it. Did you mean SMTP_HOST?"),
        ("export RETENTION_SUCCES_DAYS = 3", "Did you mean RETENTION_SUCCESS_DAYS?"),
        ("smtp_host=x", "Did you mean SMTP_HOST?"),
        ("MY_SHOP_COLOUR=red", "MY_SHOP_COLOUR is no setting of Mailroom and has no effect on it."),
    ],
)
def test_an_unknown_name_is_told(tmp_path: Path, text: str, end: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"PORT=8001\n{text}\n", encoding="utf-8")

    [line] = unknown_settings(str(file))

    assert line.startswith(f"{file}: ") and line.endswith(end)


def test_what_is_known_commented_or_somebody_else_s_is_not(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    sample = (ROOT / "sample.env").read_text(encoding="utf-8").replace("\n# ", "\n")
    names = [line for line in sample.splitlines() if line.partition("=")[0].isupper()]
    names += ["# SMTP_HSOT=x", "COMPOSE_PROJECT_NAME=x", "FLASK_APP=x"]
    file.write_text("\n".join(names), encoding="utf-8")

    assert len(names) > 50
    assert unknown_settings(str(file)) == []
    assert unknown_settings(str(tmp_path / "none")) == []


def test_the_check_before_a_start_tells_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SMTP_HSOT=x\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "workers.check"],
        cwd=tmp_path,
        env=environment_without_settings() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0
    assert "Did you mean SMTP_HOST?" in done.stderr
