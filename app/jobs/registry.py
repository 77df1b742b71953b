"""The job types this process knows, by name."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError

from app.jobs import strict_json
from app.queue.job import Job
from app.queue.outcome import Outcome
from app.queue.submission import NewJob
from app.settings.rates import per_second

log = logging.getLogger(__name__)

Run = Callable[[Job], Any]
Backoff = Callable[[int], float]
_F = TypeVar("_F", bound=Run)

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
DEFAULT_MAX_RETRIES = 3  # where neither the job nor its type nor the settings say


class UnknownJobType(LookupError):
    """No job type has this name. `known` holds the names that exist, sorted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known = known()
        names = ", ".join(self.known) or "none"
        super().__init__(f"Unknown job type {name[:100]!r}. Known: {names}.")


class InvalidPayload(ValueError):
    """The payload is not what the job type takes. `errors`: by field, each a list of sentences.

    A field within another is named with dots: `attachments.0.content`. What concerns the payload
    as a whole stands under `payload`.
    """

    def __init__(self, errors: dict[str, list[str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in errors.items()))


@dataclass(frozen=True, slots=True)
class Summary:
    """What lists of jobs show and searches find. `people`: addresses, or names."""

    title: str | None = None
    people: tuple[str, ...] = ()


Summarize = Callable[[Any], Summary]
# The validated payload → its recipients, each list under the field that holds it.
Recipients = Callable[[Any], dict[str, tuple[str, ...]]]
# The validated payload → whom it says it is from, under its fields: all spellings of an address.
Senders = Callable[[Any], dict[str, tuple[str, ...]]]
# A job, how its attempt ended, seconds since the epoch → the jobs that follow from that.
FollowUps = Callable[[Job, Outcome, float], Sequence[NewJob]]


@dataclass(frozen=True)
class JobType:
    """One job type. `schema` is a marshmallow schema, or None for any JSON."""

    name: str
    run: Run
    schema: type[Schema] | Schema | None = None
    max_retries: int | None = None
    usual_max_retries: int = DEFAULT_MAX_RETRIES
    timeout_seconds: float | None = None
    backoff: Backoff | None = None  # failed attempts so far → seconds until the next
    summary: Summarize | None = None  # of the validated payload
    internal: bool = False  # submitted by the queue itself only
    recipients: Recipients | None = None  # whom the suppression list may forbid
    follow_ups: FollowUps | None = None  # submitted before the attempt's outcome is told
    attempts_per_second: float | None = None  # of all workers together; JOB_TYPE_RATE goes before
    senders: Senders | None = None  # as whom an API key may be forbidden to send

    def validate(self, payload: str, strict: bool = True) -> Any:
        """The payload as the job's code gets it (`job.data`). Raises InvalidPayload.

        `strict` is for submission: it refuses JSON that two programs could read differently.
        """
        try:
            data = strict_json.loads(payload) if strict else json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise InvalidPayload({"payload": [f"Must be JSON. {error}"]}) from None
        return self.check(data)

    def check(self, data: Any) -> Any:
        """As `validate`, of a payload that was read already."""
        if self.schema is None:
            return data
        try:
            return self._loader.load(data)
        except ValidationError as error:
            raise InvalidPayload(_by_field(error.messages)) from None

    def summarize(self, data: Any) -> Summary:
        """The summary of a validated payload; an empty one where the job type has none."""
        if self.summary is None:
            return Summary()
        try:
            return self.summary(data)
        except Exception:
            # What is only shown must not refuse a job.
            log.exception("The summary of job type %s failed", self.name)
            return Summary()

    def max_retries_for(self, asked: int | None, configured: int | None) -> int:
        """How many failed attempts end the job: 3 means at most 3 attempts, 0 and 1 one.

        `asked` at submission rules, then the job type, then `configured` (MAX_RETRIES).
        """
        return _first_of(asked, self.max_retries, configured, self.usual_max_retries)

    @cached_property
    def _loader(self) -> Schema:
        assert self.schema is not None
        return self.schema() if isinstance(self.schema, type) else self.schema


def job_type(
    name: str,
    *,
    schema: type[Schema] | Schema | None = None,
    max_retries: int | None = None,
    timeout_seconds: float | None = None,
    backoff: Backoff | None = None,
    usual_max_retries: int = DEFAULT_MAX_RETRIES,
    summary: Summarize | None = None,
    internal: bool = False,
    recipients: Recipients | None = None,
    follow_ups: FollowUps | None = None,
    rate: str | None = None,
    senders: Senders | None = None,
) -> Callable[[_F], _F]:
    """Makes a function `run(job) -> result` the code of a job type; the function stays as it is.

    `summary(data) -> Summary` says what the dashboard shows of a job, and finds it by. `rate`
    (`20/s`, `90/min`, `36/h`) is how many attempts all workers together may begin; a job that is
    too early waits, and pays no attempt.

    Raises ValueError when the name can't be one, or is another function's, and for a wrong rate.
    """
    attempts_per_second = per_second(rate) if rate is not None else None
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(
            f"{name!r} can't be the name of a job type: it must have 1 to 64 letters, digits or "
            "any of _ . - and begin with a letter or digit."
        )

    def register(run: _F) -> _F:
        there = _job_types.get(name)
        # The same function again is a module loaded a second time.
        if there and _full_name(there.run) != _full_name(run):
            raise ValueError(
                f"Two functions are registered as job type {name!r}: "
                f"{_full_name(there.run)} and {_full_name(run)}."
            )
        _job_types[name] = JobType(
            name,
            run,
            schema,
            max_retries,
            usual_max_retries,
            timeout_seconds,
            backoff,
            summary,
            internal,
            recipients,
            follow_ups,
            attempts_per_second,
            senders,
        )
        return run

    return register


def find(name: str) -> JobType:
    """Raises UnknownJobType."""
    try:
        return _job_types[name]
    except KeyError:
        raise UnknownJobType(name) from None


def max_retries_of(name: str, asked: int | None, configured: int | None) -> int:
    """As `JobType.max_retries_for`, also where the job type's module is not loaded."""
    if name in _job_types:
        return _job_types[name].max_retries_for(asked, configured)
    return _first_of(asked, configured, DEFAULT_MAX_RETRIES)


def known() -> list[str]:
    """The names of all job types that may be submitted, sorted."""
    return sorted(name for name, found in _job_types.items() if not found.internal)


def _first_of(*numbers: int | None) -> int:
    """The first that somebody has said."""
    return next(number for number in numbers if number is not None)


def _full_name(run: Run) -> str:
    name = getattr(run, "__qualname__", type(run).__qualname__)
    return f"{run.__module__}.{name}"


def _by_field(messages: Any) -> dict[str, list[str]]:
    """marshmallow's nested errors, flat, with dotted names."""
    flat: dict[str, list[str]] = {}

    def add(name: str, said: Any) -> None:
        if isinstance(said, dict):
            for inner, more in said.items():
                part = "" if inner == "_schema" else str(inner)
                add(".".join(filter(None, (name, part))), more)
        else:
            flat.setdefault(name or "payload", []).extend(
                said if isinstance(said, list) else [said]
            )

    add("", messages)
    return flat


_job_types: dict[str, JobType] = {}
