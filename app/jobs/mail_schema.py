"""What the payload of `send_email` may hold. The worker applies the same rules again."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.jobs.mail_service import mailer
from app.jobs.webhook_settings import check_webhook
from app.mail.addresses import Address, parse_address
from app.mail.mail import Attachment, Mail
from app.mail.text import check_encodable, check_header_text
from app.mail.unsubscribe import check_unsubscribe

_T = TypeVar("_T")
_R = TypeVar("_R")

RECIPIENTS_MAX = 50
# All addresses must fit into the job's result, beside the server's replies.
RECIPIENTS_MAX_BYTES = 16_000
TEXT_MAX_BYTES = 1_048_576
HEADERS_MAX = 50
ATTACHMENTS_MAX = 10
ATTACHMENTS_MAX_BYTES = 7_000_000
EXPIRES_AT_MAX = 4_102_444_800  # 2100-01-01T00:00:00Z

_HEADER_NAME = re.compile(
    r"(x-[a-z0-9-]{1,60}|list-[a-z0-9-]{1,60}|in-reply-to|references|precedence|importance"
    r"|auto-submitted|feedback-id)",
    re.I,
)
_HEADERS_ALLOWED = (
    "X-*, In-Reply-To, References, List-*, Precedence, Importance, Auto-Submitted, Feedback-ID"
)
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,60}"
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?charset={_TOKEN})?")
_COMPOSITE = ("multipart/", "message/")


class HeaderText(fields.String):
    """Text for a header: one line, no control characters, no encoded words."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return _checked(check_header_text, super()._deserialize(value, attr, data, **kwargs))


class BodyText(fields.String):
    """The text of a mail, at most 1 MiB in UTF-8."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = _checked(check_encodable, super()._deserialize(value, attr, data, **kwargs))
        if len(text.encode("utf-8")) > TEXT_MAX_BYTES:
            raise ValidationError(f"Must have at most {TEXT_MAX_BYTES} bytes in UTF-8.")
        return text


class AddressField(fields.Field[Address]):
    """`"user@example.com"` or `{"email": …, "name": …}`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Address:
        if isinstance(value, str):
            return _checked(parse_address, value)
        if isinstance(value, dict) and isinstance(value.get("email"), str):
            name = value.get("name", "")
            if isinstance(name, str) and value.keys() <= {"email", "name"}:
                return _checked(lambda email: parse_address(email, name), value["email"])
        raise ValidationError('Must be an address, or {"email": an address, "name": a name}.')


class SenderField(AddressField):
    """An address that MAIL_ALLOWED_FROM lets through."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Address:
        address = super()._deserialize(value, attr, data, **kwargs)
        return _checked(mailer().senders.check, address)


class Addresses(fields.Field[tuple[Address, ...]]):
    """One address or a list of them."""

    _one = AddressField()

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> tuple[Address, ...]:
        if not isinstance(value, list):
            return (self._one.deserialize(value, attr, data),)
        if len(value) > RECIPIENTS_MAX:
            raise ValidationError(_TOO_MANY_RECIPIENTS)
        addresses, errors = [], {}
        for index, entry in enumerate(value):
            try:
                addresses.append(self._one.deserialize(entry, attr, data))
            except ValidationError as error:
                errors[index] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(addresses)


class Headers(fields.Field[tuple[tuple[str, str], ...]]):
    """Further headers, of those allowed, each once."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object: header names and their texts.")
        if len(value) > HEADERS_MAX:
            raise ValidationError(f"Must have at most {HEADERS_MAX} headers.")
        if len({name.lower() for name in value}) < len(value):
            raise ValidationError("A header stands twice.")
        headers = tuple((name, self._value(name, text)) for name, text in value.items())
        _checked(check_unsubscribe, {name.lower(): text for name, text in headers})
        return headers

    @staticmethod
    def _value(name: str, text: Any) -> str:
        if not _HEADER_NAME.fullmatch(name):
            raise ValidationError(f"{name[:80]!r} is not allowed. Allowed: {_HEADERS_ALLOWED}.")
        if not isinstance(text, str):
            raise ValidationError(f"{name}: Must be a string.")
        try:
            check_header_text(text)
        except ValueError as error:
            raise ValidationError(f"{name}: {error}") from None
        if not name.lower().startswith("x-") and not text.isascii():
            raise ValidationError(f"{name}: Must be ASCII.")
        return text


class Base64(fields.Field[bytes]):
    """Bytes, as base64 (RFC 4648 section 4); line breaks are let through."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        if not isinstance(value, str):
            raise ValidationError("Must be base64.")
        try:
            return base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError("Must be base64.") from None


class Moment(fields.Field[float]):
    """Seconds since the epoch, or an ISO 8601 time with its offset. Becomes seconds."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        seconds: Any = value
        if isinstance(value, str):
            seconds = self._from_iso(value)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValidationError(_NO_MOMENT)
        if not (math.isfinite(seconds) and 0 <= seconds <= EXPIRES_AT_MAX):
            raise ValidationError(
                f"Must be between 0 and {EXPIRES_AT_MAX} seconds since the epoch."
            )
        return float(seconds)

    @staticmethod
    def _from_iso(text: str) -> float | None:
        try:
            moment = datetime.fromisoformat(text)
            return moment.timestamp() if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None


class WebhookField(fields.String):
    """A URL to which events of this mail go."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return _checked(check_webhook, super()._deserialize(value, attr, data, **kwargs))


class AttachmentSchema(Schema):
    filename = HeaderText(required=True, validate=validate.Length(min=1))
    content_type = HeaderText(load_default="application/octet-stream")
    content = Base64(required=True)

    @post_load
    def _attachment(self, data: dict[str, Any], **_: Any) -> Attachment:
        content_type = data["content_type"]
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise ValidationError("Must be like application/pdf.", "content_type")
        if content_type.lower().startswith(_COMPOSITE):
            raise ValidationError("Must not be multipart or message.", "content_type")
        return Attachment(**data)


class MailSchema(Schema):
    """The payload of `send_email`. `message` and `text` are the same; loads into a `Mail`."""

    to = Addresses()
    cc = Addresses()
    bcc = Addresses()
    sender = SenderField(data_key="from")
    envelope_from = SenderField()
    reply_to = SenderField()
    subject = HeaderText()
    message = BodyText()
    text = BodyText()
    html = BodyText()
    headers = Headers()
    attachments = fields.List(
        fields.Nested(AttachmentSchema),
        validate=validate.Length(
            max=ATTACHMENTS_MAX, error=f"Must have at most {ATTACHMENTS_MAX} attachments."
        ),
    )
    expires_at = Moment()
    on_ambiguous = fields.String(
        validate=validate.OneOf(("retry", "hold"), error="Must be one of: {choices}.")
    )
    webhook = WebhookField()

    @validates_schema
    def _check_together(self, data: dict[str, Any], **_: Any) -> None:
        recipients = [*data.get("to", ()), *data.get("cc", ()), *data.get("bcc", ())]
        if not 1 <= len(recipients) <= RECIPIENTS_MAX:
            raise ValidationError(_TOO_MANY_RECIPIENTS, "to")
        if len(json.dumps([r.email for r in recipients])) > RECIPIENTS_MAX_BYTES:
            raise ValidationError("The addresses are too long, taken together.", "to")
        if (bounces := data.get("envelope_from")) and bounces.name:
            raise ValidationError("Must be an address without a name.", "envelope_from")
        if "message" in data and "text" in data:
            raise ValidationError("Is the same as message: give one of them.", "text")
        if not data.keys() & {"message", "text", "html"}:
            raise ValidationError("Give a message (the text), or html, or both.", "message")
        size = sum(len(attachment.content) for attachment in data.get("attachments", ()))
        if size > ATTACHMENTS_MAX_BYTES:
            raise ValidationError(
                f"Must have at most {ATTACHMENTS_MAX_BYTES} bytes in all.", "attachments"
            )

    @post_load
    def _mail(self, data: dict[str, Any], **_: Any) -> Mail:
        if "message" in data:
            data["text"] = data.pop("message")
        if "attachments" in data:
            data["attachments"] = tuple(data["attachments"])
        return Mail(**data)


def _checked(check: Callable[[_T], _R], value: _T) -> _R:
    try:
        return check(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


_TOO_MANY_RECIPIENTS = f"Must have 1 to {RECIPIENTS_MAX} recipients, with cc and bcc."
_NO_MOMENT = "Must be seconds since the epoch, or an ISO 8601 time with its offset."
