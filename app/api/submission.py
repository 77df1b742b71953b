"""From a request's body to jobs the queue can take."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Request
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.errors import ApiError, InvalidFields, by_field
from app.api.schemas import Batch, Submission, is_plain, plain_fields
from app.jobs import InvalidPayload, Summary, UnknownJobType, find, strict_json
from app.queue.job import Priority
from app.queue.submission import NewJob

BODY_MAX_BYTES = 16 * 1024 * 1024
# What a payload without attachments may have; with them, only the body's size counts.
PAYLOAD_MAX_BYTES = 1024 * 1024
JSON = "application/json"
IDEMPOTENCY_HEADER = "Idempotency-Key"
_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")

_SUBMISSION = Submission()
_BATCH = Batch()


class PayloadTooLarge(ApiError):
    """413: a payload over 1 MiB without attachments."""

    def __init__(self) -> None:
        rule = f"At most {PAYLOAD_MAX_BYTES} bytes are allowed without attachments."
        super().__init__(413, f"The payload is larger than allowed. {rule}", {"payload": [rule]})


class BodyTooLarge(ApiError):
    """413: a body over 16 MiB."""

    def __init__(self) -> None:
        rule = f"At most {BODY_MAX_BYTES} bytes (16 MiB) are allowed."
        super().__init__(413, f"The request is larger than allowed. {rule}", {"body": [rule]})


def read_body(request: Request) -> dict[str, Any]:
    """The request's JSON object. Raises ApiError 400, 413, 415 or 422."""
    if request.content_type != JSON and request.mimetype != JSON:
        raise ApiError(415, "The Content-Type must be application/json")
    # Without a Content-Length, Flask stops reading there and says nothing: one byte more tells.
    request.max_content_length = BODY_MAX_BYTES + 1
    try:
        text = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise BodyTooLarge from None
    if len(text) > BODY_MAX_BYTES:
        raise BodyTooLarge
    try:
        body = strict_json.loads(text)
    except strict_json.NotStrictJson as error:
        raise ApiError(400, f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidFields({"body": ["Must be a JSON object."]})
    return body


def read_idempotency_key(request: Request) -> str | None:
    """The header `Idempotency-Key`, where there is one. Raises InvalidFields."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    check_idempotency_key(key)
    return key


def check_idempotency_key(key: str | None) -> None:
    """Raises InvalidFields."""
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidFields({IDEMPOTENCY_HEADER: ["Must be 1 to 255 printable ASCII characters."]})


def read_job(body: Any, idempotency_key: str | None, request_id: str | None = None) -> NewJob:
    """One job to submit. Raises InvalidFields, with everything that is wrong, PayloadTooLarge."""
    fields, errors = _load(body)
    summary = Summary()
    if "job_type" in fields:
        asked = body["payload"] if isinstance(body.get("payload"), dict) else None
        summary, job_type_errors = _check_payload(fields["job_type"], fields.get("payload"), asked)
        errors |= job_type_errors
    if "delay_seconds" in fields and "run_at" in fields:
        errors["run_at"] = ["Give either run_at or delay_seconds."]
    if errors:
        raise InvalidFields(errors)
    if _is_too_large(fields["payload"]):
        raise PayloadTooLarge
    return NewJob(
        job_type=fields["job_type"],
        payload=fields["payload"],
        priority=Priority(fields["priority"]),
        delay_ms=_milliseconds(fields.get("delay_seconds")),
        run_at_ms=_milliseconds(fields.get("run_at")),
        max_retries=fields.get("max_retries"),
        tags=tuple(dict.fromkeys(fields.get("tags", ()))),
        idempotency_key=idempotency_key,
        title=summary.title,
        people=summary.people,
        request_id=request_id,
    )


def read_batch(
    body: dict[str, Any], idempotency_key: str | None, request_id: str | None = None
) -> list[NewJob | InvalidFields | PayloadTooLarge]:
    """The jobs of a batch, in order; what is wrong with one stands in its place.

    Raises InvalidFields when the batch itself is wrong.
    """
    try:
        jobs = _BATCH.load(body)["jobs"]
    except ValidationError as error:
        raise InvalidFields(by_field(error.messages)) from None
    answers: list[NewJob | InvalidFields | PayloadTooLarge] = []
    for index, job in enumerate(jobs):
        key = None if idempotency_key is None else f"{idempotency_key}:{index}"
        try:
            answers.append(read_job(job, key, request_id))
        except (InvalidFields, PayloadTooLarge) as error:
            answers.append(error)
    return answers


def _load(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The valid fields, and what is wrong with the others."""
    if not isinstance(body, dict):
        return {}, {"job": ["Must be a JSON object."]}
    if is_plain(body):
        return plain_fields(body), {}
    try:
        return _SUBMISSION.load(body), {}
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        errors = by_field(error.messages)
        return {name: value for name, value in valid.items() if name not in errors}, errors


def _check_payload(
    name: str, payload: str | None, asked: dict[str, Any] | None
) -> tuple[Summary, dict[str, Any]]:
    """The job's summary, and what is wrong with its type or payload. `asked`: the same as an
    object, where it came as one and so was read strictly already."""
    try:
        job_type = find(name)
    except UnknownJobType as error:
        return Summary(), {"job_type": [str(error)]}
    if job_type.internal:
        return Summary(), {"job_type": [f"Jobs of type {name} are made by the queue itself."]}
    if payload is None:
        return Summary(), {}
    try:
        data = job_type.validate(payload) if asked is None else job_type.check(asked)
        return job_type.summarize(data), {}
    except InvalidPayload as error:
        # What concerns the payload as a whole stands under its own name there.
        whole = set(error.errors) == {"payload"}
        return Summary(), {"payload": error.errors["payload"] if whole else error.errors}


def _is_too_large(payload: str) -> bool:
    if len(payload) * 4 <= PAYLOAD_MAX_BYTES or len(payload.encode()) <= PAYLOAD_MAX_BYTES:
        return False
    value = json.loads(payload)
    return not (isinstance(value, dict) and value.get("attachments"))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
