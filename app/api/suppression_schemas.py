"""What the endpoints of the suppression list take."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from app.api.schemas import PAGE_MAX, QueryNumber
from app.jobs.suppression_address import read_suppression_address
from app.queue.inspector import LIMIT_MAX
from app.queue.suppressions import REASON_MAX_CHARS


class SuppressionAddress(fields.String):
    """A mail address."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return read_suppression_address(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _between(low: int, high: int) -> validate.Range:
    return validate.Range(low, high, error=f"Must be between {low} and {high}.")


def _length(low: int, high: int) -> validate.Length:
    return validate.Length(low, high, error=f"Must have {low} to {high} characters.")


class SuppressionReason(Schema):
    """Why nothing is to be sent to an address."""

    reason = fields.String(validate=_length(1, REASON_MAX_CHARS))


class NewSuppression(SuppressionReason):
    """An address to put on the suppression list."""

    address = SuppressionAddress(required=True)


class SuppressionsQuery(Schema):
    """Which addresses are listed: those that contain `q`."""

    page = QueryNumber(load_default=1, validate=_between(1, PAGE_MAX))
    limit = QueryNumber(load_default=50, validate=_between(1, LIMIT_MAX))
    q = fields.String(validate=_length(1, 200))
