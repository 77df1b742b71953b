"""A mail as the job's payload describes it, already validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.mail.addresses import Address

OnAmbiguous = Literal["retry", "hold"]


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str
    content_type: str  # "type/subtype", perhaps with a charset
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """Made by `MailSchema`. `text` or `html` is set, and at least one recipient."""

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    sender: Address | None = None  # None: MAIL_FROM
    envelope_from: Address | None = None  # where bounces go; None: the sender
    reply_to: Address | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    expires_at: float | None = None  # seconds since the epoch
    on_ambiguous: OnAmbiguous = "retry"
    webhook: str | None = None  # where to tell what becomes of it; None: WEBHOOK_URL

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Everyone it goes to, each mailbox once."""
        everyone = {address.email: address for address in (*self.to, *self.cc, *self.bcc)}
        return tuple(everyone.values())
