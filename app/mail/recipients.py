"""What became of each recipient, over all attempts of a job: the `recipients` of its result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from app.mail.addresses import Address
from app.mail.outcomes import Reply, recipient_is_deferred
from app.mail.text import shorten

# A job's result may have 32 KiB; 50 replies must leave room for 50 addresses.
_REPLIES_MAX_BYTES = 12_000


class RecipientStatus(StrEnum):
    PENDING = "pending"  # not asked yet
    SENT = "sent"
    DEFERRED = "deferred"  # refused for now
    BOUNCED = "bounced"  # refused for good


_OPEN = (RecipientStatus.PENDING, RecipientStatus.DEFERRED)


class RecipientBook:
    """The recipients of one mail, each with its status and the server's latest reply."""

    def __init__(self, recipients: tuple[Address, ...], previous_result: Any) -> None:
        """`previous_result` is the job's result after the attempt before, if there was one."""
        self._addresses = {address.email: address for address in recipients}
        self._entries: dict[str, dict[str, Any]] = {
            email: {"status": RecipientStatus.PENDING.value} for email in self._addresses
        }
        self._recall(previous_result)

    @property
    def still_open(self) -> tuple[Address, ...]:
        """Those the next attempt goes to."""
        return tuple(
            self._addresses[email]
            for email, entry in self._entries.items()
            if entry["status"] in _OPEN
        )

    def count(self, status: RecipientStatus) -> int:
        return sum(entry["status"] == status for entry in self._entries.values())

    def settle_all(
        self,
        recipients: Iterable[Address],
        answers: dict[str, Reply],
        status: RecipientStatus | None,
        reply: Reply | None,
    ) -> None:
        """After a transaction. `answers` is what RCPT TO said; those it refused are settled by it.

        The others get `status` and `reply`, or stay as they are when `status` is None.
        """
        for recipient in recipients:
            answer = answers.get(recipient.email)
            if answer and answer.code >= 400:
                self.settle(recipient.email, _status_of_refusal(answer), answer)
            elif status:
                self.settle(recipient.email, status, reply)

    def settle(self, email: str, status: RecipientStatus, reply: Reply | None = None) -> None:
        entry: dict[str, Any] = {"status": status.value}
        if reply:
            room = _REPLIES_MAX_BYTES // len(self._entries)
            entry |= {"code": reply.code, "reply": _fitting(reply.text, room)}
        self._entries[email] = entry

    def suppress(self, email: str, reason: str) -> None:
        """Bounced without being asked."""
        room = _REPLIES_MAX_BYTES // len(self._entries)
        reply = _fitting(reason, room)
        self._entries[email] = {"status": RecipientStatus.BOUNCED.value, "reply": reply}

    def refusal(self) -> tuple[int | None, str]:
        """Code and reason of one recipient not sent to, a deferred one before a bounced one."""
        for status in (RecipientStatus.DEFERRED, RecipientStatus.BOUNCED):
            for email, entry in self._entries.items():
                if entry["status"] == status and "code" in entry:
                    reply = Reply(entry["code"], entry["reply"])
                    return reply.code, f"{email}: {reply}"
                if entry["status"] == status and "reply" in entry:
                    return None, f"{email}: {entry['reply']}"
        return None, "The mail was not sent."

    def as_result(self) -> dict[str, dict[str, Any]]:
        return {email: dict(entry) for email, entry in self._entries.items()}

    def _recall(self, previous_result: Any) -> None:
        previous = previous_result.get("recipients") if isinstance(previous_result, dict) else None
        if not isinstance(previous, dict):
            return
        for email in self._entries:
            if isinstance(entry := previous.get(email), dict) and "status" in entry:
                self._entries[email] = dict(entry)
        if not self.still_open:
            # Nothing was left to do, yet the job runs: a person wants the bounced ones tried again.
            for entry in self._entries.values():
                if entry["status"] == RecipientStatus.BOUNCED:
                    entry["status"] = RecipientStatus.PENDING.value


def _status_of_refusal(reply: Reply) -> RecipientStatus:
    if recipient_is_deferred(reply.code):
        return RecipientStatus.DEFERRED
    return RecipientStatus.BOUNCED


def _fitting(text: str, max_json_bytes: int) -> str:
    """Cuts the text so that it has at most so many bytes as JSON, where é is six."""
    while len(json.dumps(text)) > max_json_bytes:
        text = shorten(text, max(0, len(text.encode("utf-8", "replace")) - 16))
    return text
