"""What all commands share: exit codes, JSON, progress, questions, and the audit log."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from types import FrameType
from typing import Any, NoReturn

import click
from flask import current_app
from flask.cli import AppGroup

from app.queue.errors import QueueError, QueueUnavailable, ServerUnsuitable
from app.queue.text import clean_text
from app.security.api_keys import ApiKeyNotFound

DONE = 0
REFUSED = 1
WRONG_USAGE = 2
REDIS_AWAY = 3
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused, not found or something was wrong; 2 a wrong option or "
    "argument; 3 Redis is away; 130 ended with Ctrl-C."
)

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, on stdout.")


class Commands(AppGroup):
    """A group whose commands turn what the queue raises into a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        with errors_in_words():
            return super().invoke(ctx)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.epilog = cmd.epilog or EXIT_CODES
        super().add_command(cmd, name)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turns what is raised inside into a line and an exit code."""
    try:
        yield
    except (QueueUnavailable, ServerUnsuitable) as error:
        fail(str(error), REDIS_AWAY)
    except (QueueError, ApiKeyNotFound) as error:
        fail(str(error), REFUSED)
    except KeyboardInterrupt:
        fail("\nInterrupted.", INTERRUPTED)


def fail(line: str, code: int) -> NoReturn:
    """Says why on stderr and ends the command."""
    click.echo(line, err=True)
    raise click.exceptions.Exit(code)


def say(answer: Any, text: str, as_json: bool) -> None:
    """The answer as JSON, or in words."""
    click.echo(json.dumps(answer) if as_json else text)


def line(text: object) -> str:
    """Text from strangers on one line, without what would steer a terminal."""
    return clean_text(str(text))


def moment(seconds: float | None) -> str:
    """`2026-01-31 09:00:00` in UTC, or a dash."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(text.rstrip() for text in lines)


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal. Gives a function that takes how far it is."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=total, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda done: bar.update(max(0, done - bar.pos))


@contextmanager
def ctrl_c_as_a_flag() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether Ctrl-C was pressed; a second one is not waited for."""
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    earlier = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, earlier)


def confirm(question: str, yes: bool) -> None:
    """Asks unless `yes`. Ends the command when the answer is no, or nobody is there to ask."""
    try:
        if yes or click.confirm(question, err=True):
            return
    except click.Abort:
        click.echo(err=True)
    fail("Nothing was done. --yes answers the question.", REFUSED)


def who() -> str:
    """Who acts, for the audit log: `cli:<user>`."""
    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "cli:unknown"


def audit(action: str, subject: str) -> None:
    """Writes down what was done. It stands, so Redis going away now is only said."""
    try:
        current_app.extensions["audit"].write(who(), action, subject)
    except (QueueUnavailable, ServerUnsuitable) as error:
        click.echo(f"Done, but not in the audit log ({action} {subject}): {error}", err=True)
