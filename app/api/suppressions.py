"""The endpoints of the suppression list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, current_app, request
from marshmallow import Schema, ValidationError

from app.api.answers import answer
from app.api.errors import ApiError, InvalidFields, by_field
from app.api.submission import read_body
from app.api.suppressed import suppressions
from app.api.suppression_schemas import NewSuppression, SuppressionReason, SuppressionsQuery
from app.api.views import bp
from app.jobs.suppression_address import read_suppression_address
from app.queue.suppressions import USUAL_REASON, Suppression
from app.security.acting import audit, who

RETRIEVED = "Suppression list retrieved successfully"
NOT_FOUND = "The address is not on the suppression list"

_QUERY = SuppressionsQuery()
_NEW = NewSuppression()
_REASON = SuppressionReason()


@bp.get("/suppressions")
def list_suppressions() -> Response:
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise InvalidFields({name: ["Must be given only once."] for name in twice})
    asked = _load(_QUERY, request.args.to_dict())
    page = suppressions().page(asked.get("q"), page=asked["page"], limit=asked["limit"])
    data = {
        "total": page.total,
        "page": asked["page"],
        "limit": asked["limit"],
        "suppressions": [asdict(entry) for entry in page.found],
    }
    return answer(RETRIEVED, data=data)


@bp.post("/suppressions")
def add_suppression() -> Response:
    fields = _load(_NEW, read_body(request))
    return _add(fields["address"], fields.get("reason"))


@bp.get("/suppressions/<path:address>")
def show_suppression(address: str) -> Response:
    found = suppressions().find([_address(address)])
    if not found:
        raise ApiError(404, NOT_FOUND)
    return answer(RETRIEVED, data=[asdict(entry) for entry in found.values()][0])


@bp.put("/suppressions/<path:address>")
def put_suppression(address: str) -> Response:
    """The body, with a reason, may be left out."""
    body = read_body(request) if request.get_data() else {}
    return _add(_address(address), _load(_REASON, body).get("reason"))


@bp.delete("/suppressions/<path:address>")
def remove_suppression(address: str) -> Response:
    found = _address(address)
    if not suppressions().remove(found):
        raise ApiError(404, NOT_FOUND)
    audit("unsuppress", found)
    return answer("Taken off the suppression list")


def _add(address: str, reason: str | None) -> Response:
    entry = Suppression(
        address, reason or USUAL_REASON, current_app.extensions["clock"].now(), who()
    )
    is_new = suppressions().add(entry)
    audit("suppress", address)
    message = "Put on the suppression list" if is_new else "Was on the suppression list already"
    return answer(message, data=asdict(entry))


def _address(text: str) -> str:
    """Raises InvalidFields."""
    try:
        return read_suppression_address(text)
    except ValueError as error:
        raise InvalidFields({"address": [str(error)]}) from None


def _load(schema: Schema, data: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidFields."""
    try:
        fields: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise InvalidFields(by_field(error.messages)) from None
    return fields
