"""Names in `.env` that are none of ours: most likely mistyped, and without effect."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from pathlib import Path

from app.config import Config

_NAME = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=", re.MULTILINE)
# Of the programs that read the same file.
_OTHERS = ("COMPOSE_", "DOCKER_", "FLASK_", "GUNICORN_", "PYTHON")


def unknown_settings(env_file: str = ".env") -> list[str]:
    """A line for each name in the file that is no setting. A job type may have some of its own, so
    this is no error. A file that can't be read has none; Config says why."""
    try:
        text = Path(env_file).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return []
    known = [field.name.upper() for field in fields(Config)]
    names = dict.fromkeys(_NAME.findall(text))
    return [
        _line(name, known, env_file)
        for name in names
        if name not in known and not name.startswith(_OTHERS)
    ]


def _line(name: str, known: list[str], env_file: str) -> str:
    close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"{env_file}: {name} is no setting of Mailroom and has no effect on it.{meant}"
