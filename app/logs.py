"""What the processes say of themselves: lines on stderr, as text or as JSON, and what they concern.

`concerning(request_id=…, job_id=…)` marks every line logged inside it, also those of a job type's
own code, so that one request can be followed from the API through the queue to the worker.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from app.log_secrets import Masks

FORMATS = ("text", "json")

# What no line shows is not looked for: where in the code it was logged, by which thread
# (docs.python.org/3/howto/logging.html, "Optimization").
logging._srcfile = None
logging.logThreads = logging.logMultiprocessing = False

_concern: ContextVar[Mapping[str, Any]] = ContextVar("concern", default={})  # noqa: B039  never changed

# C0, DEL, C1 and what turns the writing direction: a stranger's text must not move the cursor,
# forge a line or hide one. A line feed inside a traceback is ours.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def configure(level: str, log_format: str, secrets: Iterable[str] = ()) -> None:
    """Sends every logger of this process to stderr. `log_format` is one of FORMATS; `secrets` are
    masked wherever they stand."""
    logging.config.dictConfig(settings(level, log_format, secrets))


def settings(level: str, log_format: str, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The same as a dictionary for `logging.config`, which gunicorn takes too."""
    formatter = JsonFormatter if log_format == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter, "masks": Masks(secrets)}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": level, "handlers": ["stderr"]},
    }


class concerning:  # noqa: N801 (used like a function)
    """Adds these fields to every line logged inside, in this thread; those that are None not."""

    __slots__ = ("_said", "_token")

    def __init__(self, **fields: Any) -> None:
        self._said = {name: value for name, value in fields.items() if value is not None}

    def __enter__(self) -> None:
        self._token = _concern.set({**_concern.get(), **self._said})

    def __exit__(self, *_error: object) -> None:
        _concern.reset(self._token)


def request_id() -> str | None:
    """Of the HTTP request that this thread answers, or whose job it runs."""
    return _concern.get().get("request_id")


class MaskingFormatter(logging.Formatter):
    """What both formats have in common: no secret gets through."""

    def __init__(self, masks: Masks | None = None) -> None:
        super().__init__()
        self.masks = masks or Masks()

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What the line concerns: of the code around it, and `extra={"fields": …}` of its own."""
        found = {**_concern.get(), **getattr(record, "fields", {})}
        return {
            name: self.masks(value) if isinstance(value, str) else value
            for name, value in found.items()
        }


class JsonFormatter(MaskingFormatter):
    """One JSON object a line: time, level, logger, message, pid, what it concerns, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _iso_time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": self.masks(record.getMessage()),
            "pid": os.getpid(),
            **self.fields(record),
        }
        if record.exc_info:
            line["exception"] = self.masks(self.formatException(record.exc_info))
        # ASCII: nothing in it can be taken for a control character or the end of a line.
        return json.dumps(line, default=str)


class TextFormatter(MaskingFormatter):
    """`<time> <level> <logger>: <message> [<field>=<value> …]`, then the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in self.fields(record).items())
        line = f"{_iso_time(record.created)} {record.levelname} {record.name}: "
        line += self.masks(record.getMessage()) + (f" [{fields}]" if fields else "")
        text = line.replace("\n", "\\n")
        if record.exc_info:
            text += "\n" + self.masks(self.formatException(record.exc_info))
        return text if text.isprintable() else _CONTROL.sub(_escaped, text)


def _iso_time(seconds: float) -> str:
    return f"{_iso_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=2)
def _iso_second(seconds: int) -> str:
    # UTC: machines of one deployment may be in several zones.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
