"""What the API takes, as marshmallow schemas; `openapi` publishes the same ones."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.queue.inspector import LIMIT_MAX, LOOK_MAX, SORTS
from app.queue.job import Priority, Status
from app.queue.submission import RETRIES_MAX, TAG, TAGS_MAX
from app.queue.text import clean_text

BATCH_MAX = 1_000
DELAY_MAX_SECONDS = 5 * 365 * 86_400
# 2100-01-01T00:00:00Z. A time in milliseconds, sent by mistake, lies far above it.
RUN_AT_MAX_SECONDS = 4_102_444_800
RUN_AT_YEARS = (1970, 2099)
PAGE_MAX = 10**9
JOB_TYPE_MAX_CHARS = 100


_as_text = json.JSONEncoder(ensure_ascii=False).encode


class Number(fields.Field[float]):
    """A finite JSON number; never a string or a boolean."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Must be a number.")
        return value


class WholeNumber(fields.Field[int]):
    """A JSON number without a fraction; `3.0` is one (JSON Schema 2020-12, section 6.1.1)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValidationError("Must be a whole number.")
        return int(value)


class QueryNumber(fields.Field[int]):
    """A whole number as a query string has it: ASCII digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise ValidationError("Must be a whole number.")
        return int(value)


class Payload(fields.Field[str]):
    """A JSON object, or a string that holds JSON. Becomes the text that is stored.

    A string is kept to the character, and read by its job type; an object is written out with
    its names in their order.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, dict):
            return _as_text(value)
        if isinstance(value, str):
            return value
        raise ValidationError("Must be a JSON object, or a string that holds JSON.")


class Instant(fields.Field[float]):
    """Seconds since the epoch, or an ISO 8601 time with its offset. Becomes seconds."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, str):
            return self._from_iso(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError(
                "Must be seconds since the epoch, or an ISO 8601 time with its offset."
            )
        if not 0 <= value <= RUN_AT_MAX_SECONDS:
            raise ValidationError(
                f"Must be between 0 and {RUN_AT_MAX_SECONDS} seconds since the epoch."
            )
        return value

    @staticmethod
    def _from_iso(text: str) -> float:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ValidationError(
                "Must be an ISO 8601 time with its offset, such as 2026-01-31T09:00:00+01:00."
            )
        first, last = RUN_AT_YEARS
        if not first <= moment.year <= last:
            raise ValidationError(f"Must be in the years {first} to {last}.")
        return max(0.0, moment.timestamp())


class Tag(fields.String):
    """A label for finding jobs again."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not TAG.fullmatch(value):
            raise ValidationError("Must be 1 to 64 letters, digits or any of _ . : @ + -")
        return value


class SearchText(fields.String):
    """What `q` takes. A text of nothing but spaces would be easily taken for no filter at all."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if text and not clean_text(text):
            raise ValidationError("Must hold something to search for, not only spaces.")
        return text


def _one_of(choices: Any) -> validate.OneOf:
    return validate.OneOf(list(choices), error="Must be one of: {choices}.")


def _between(low: int, high: int) -> validate.Range:
    return validate.Range(low, high, error=f"Must be between {low} and {high}.")


def _length(low: int, high: int, what: str) -> validate.Length:
    return validate.Length(low, high, error=f"Must have {low} to {high} {what}.")


class Submission(Schema):
    """One job to submit."""

    job_type = fields.String(required=True, validate=_length(1, JOB_TYPE_MAX_CHARS, "characters"))
    payload = Payload(required=True)
    priority = fields.String(load_default=Priority.LOW.value, validate=_one_of(Priority))
    delay_seconds = Number(validate=_between(0, DELAY_MAX_SECONDS))
    run_at = Instant()
    max_retries = WholeNumber(validate=_between(0, RETRIES_MAX))
    tags = fields.List(Tag(), validate=_length(0, TAGS_MAX, "tags"))


def is_plain(body: dict[str, Any]) -> bool:
    """Whether it has a type and a payload, as they must be, and nothing else: nearly every one,
    for which `plain_fields` answers what `Submission` would, in a tenth of the time."""
    if len(body) != 2:
        return False
    job_type = body.get("job_type")
    return (
        type(job_type) is str
        and 1 <= len(job_type) <= JOB_TYPE_MAX_CHARS
        and type(body.get("payload")) in (str, dict)
    )


def plain_fields(body: dict[str, Any]) -> dict[str, Any]:
    payload = body["payload"]
    return {
        "job_type": body["job_type"],
        "payload": payload if type(payload) is str else _as_text(payload),
        "priority": Priority.LOW.value,
    }


class Batch(Schema):
    """Many jobs to submit. Each is validated on its own, so that a bad one stops no other."""

    jobs = fields.List(
        fields.Raw(allow_none=True), required=True, validate=_length(1, BATCH_MAX, "jobs")
    )


class JobsQuery(Schema):
    """Which jobs `GET /api/tasks` lists, and in which order."""

    page = QueryNumber(load_default=1, validate=_between(1, PAGE_MAX))
    limit = QueryNumber(load_default=50, validate=_between(1, LIMIT_MAX))
    status = fields.String(validate=_one_of(Status))
    job_type = fields.String(validate=_length(1, 100, "characters"))
    priority = fields.String(validate=_one_of(Priority))
    tag = Tag()
    q = SearchText(validate=_length(1, 200, "characters"))
    sort = fields.String(load_default="id", validate=_one_of(SORTS))
    order = fields.String(load_default="desc", validate=_one_of(("asc", "desc")))
    # More than the dashboard does: a program does not ask every two seconds.
    look = QueryNumber(load_default=20_000, validate=_between(1, LOOK_MAX))
