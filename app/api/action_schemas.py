"""What `POST /api/jobs/actions` takes."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.api.schemas import SearchText, Tag
from app.queue.job import Priority, Status
from app.queue.operations import Action

ACTIONS = get_args(Action)


class Flag(fields.Field[bool]):
    """A JSON boolean; never text or a number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


def _one_of(choices: Any) -> validate.OneOf:
    return validate.OneOf(list(choices), error="Must be one of: {choices}.")


def _length(high: int) -> validate.Length:
    return validate.Length(1, high, error=f"Must have 1 to {high} characters.")


class JobFilter(Schema):
    """Which jobs: those that have all that is given."""

    status = fields.String(validate=_one_of(Status))
    job_type = fields.String(validate=_length(100))
    priority = fields.String(validate=_one_of(Priority))
    tag = Tag()
    q = SearchText(validate=_length(200))


class JobsAction(Schema):
    """What to do with all jobs that match. Every job there is: no filter, and `all`."""

    action = fields.String(required=True, validate=_one_of(ACTIONS))
    filter = fields.Nested(JobFilter, load_default=dict)
    all = Flag(load_default=False)
    dry_run = Flag(load_default=False)

    @validates_schema
    def _means_all_only_when_it_says_so(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data["filter"] and not data["all"]:
            raise ValidationError('Give a filter, or "all": true for every job.', "filter")
        if data["filter"] and data["all"]:
            raise ValidationError("Give either a filter or all.", "all")
