"""The mail of a `send_email` job, as far as its payload can be read, and mail shown in a frame."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Response

TEXT_SHOWN_CHARS = 8_000
JOB_TYPE = "send_email"

# A mail runs no script, loads nothing, submits nothing, and has an origin of its own.
FRAME_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'; sandbox"
    ),
    "Cross-Origin-Opener-Policy": "unsafe-none",  # no window ever holds a sandboxed page's opener
    "X-DNS-Prefetch-Control": "off",
}
# CSP has no word for <link rel=preconnect>, which would tell the sender that the mail was read.
_LINK = re.compile(r"<(?=link\b)", re.I)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient. `status` is a RecipientStatus, or "pending" when unknown."""

    address: str
    status: str
    code: int | None = None
    reply: str = ""


@dataclass(frozen=True, slots=True)
class MailPreview:
    """`headers` in the order of a mail; `attachments` as pairs of name and bytes."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[tuple[str, int], ...]

    @property
    def text_shown(self) -> str:
        return (self.text or "")[:TEXT_SHOWN_CHARS]

    @property
    def is_cut(self) -> bool:
        return len(self.text or "") > TEXT_SHOWN_CHARS


def preview(payload: str) -> MailPreview | None:
    """None when the payload is no mail. Reads leniently: it may be older than the schema."""
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    fields = (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Subject", "subject"))
    headers = tuple(
        (heading, ", ".join(map(_address, _as_list(data[name]))))
        for heading, name in fields
        if data.get(name)
    )
    text = data.get("message", data.get("text"))
    html = data.get("html")
    return MailPreview(
        headers,
        text if isinstance(text, str) else None,
        html if isinstance(html, str) else None,
        tuple(
            (str(entry.get("filename", "?")), _decoded_bytes(entry.get("content")))
            for entry in _as_list(data.get("attachments") or [])
            if isinstance(entry, dict)
        ),
    )


def recipients(result: Any) -> list[Recipient]:
    """Those of a job's result."""
    found = result.get("recipients") if isinstance(result, dict) else None
    if not isinstance(found, dict):
        return []
    return [
        Recipient(
            address,
            str(entry.get("status", "pending")),
            entry.get("code") if isinstance(entry.get("code"), int) else None,
            str(entry.get("reply") or ""),
        )
        for address, entry in found.items()
        if isinstance(entry, dict)
    ]


def framed(html: str) -> Response:
    """The HTML of a mail, for an `<iframe sandbox>`."""
    text = _LINK.sub("<x-", html)
    # "replace": half a surrogate pair can't be sent.
    response = Response(text.encode("utf-8", "replace"), mimetype="text/html")
    response.headers.update(FRAME_HEADERS)
    return response


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _address(value: Any) -> str:
    if isinstance(value, dict):
        name, email = str(value.get("name") or ""), str(value.get("email") or "")
        return f"{name} <{email}>" if name else email
    return str(value)


def _decoded_bytes(content: Any) -> int:
    """The size of what base64 text stands for."""
    text = "".join(content.split()) if isinstance(content, str) else ""
    return len(text) * 3 // 4 - text[-2:].count("=")
