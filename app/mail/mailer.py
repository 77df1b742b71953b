"""Sends the mail of one job and says how the attempt ended."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from app.mail.addresses import SenderPolicy
from app.mail.build import Stamp, build
from app.mail.client import USUAL_TIMEOUTS, Timeouts
from app.mail.delays import deferred_delay, network_delay
from app.mail.mail import Mail
from app.mail.mailbox import MailboxTransport
from app.mail.outcomes import Decision, SmtpFailure, decide
from app.mail.recipients import RecipientBook, RecipientStatus
from app.mail.settings import MailSettings
from app.mail.smtp import Envelope, Unsendable
from app.mail.transport import SmtpTransport, smtp_transport
from app.queue.job import Job
from app.queue.outcome import GiveBack, PermanentFailure, RetryLater

AMBIGUOUS = "ambiguous:"
# What an answer to the whole mail makes of the recipients it was meant for.
_STATUS_AFTER = {
    Decision.DEFERRED: RecipientStatus.DEFERRED,
    Decision.PERMANENT: RecipientStatus.BOUNCED,
}


class Mailer:
    """One for a process; any number of threads may send through it."""

    def __init__(
        self,
        settings: MailSettings,
        *,
        rng: random.Random,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        timeouts: Timeouts = USUAL_TIMEOUTS,
    ) -> None:
        """`now` gives seconds since the epoch. Raises MailSettingsError."""
        self.senders = SenderPolicy(settings.mail_from, settings.mail_allowed_from)
        self._base_seconds = settings.retry_base_seconds
        self._rng = rng
        self._now = now
        self._transport: SmtpTransport | MailboxTransport
        if settings.smtp_host:
            domain = self.senders.default.domain
            self._transport = smtp_transport(settings, domain, timeouts, monotonic)
        else:
            self._transport = MailboxTransport(settings.data_dir / "mailbox")

    def send(self, job: Job, mail: Mail) -> dict[str, Any]:
        """Sends to every recipient that earlier attempts left open.

        Returns the job's result:
        `{"transport": "smtp", "message_id": "<…>", "recipients": {"a@b.c": {"status": "sent",
        "code": 250, "reply": "…"}}}`, with `"partial": true` when some bounced.

        Raises RetryLater, PermanentFailure (both with a result of the same shape), and GiveBack
        when no mail at all can go out with these settings.
        """
        attempt = _Attempt(job, mail)
        if mail.expires_at is not None and self._now() >= mail.expires_at:
            moment = datetime.fromtimestamp(mail.expires_at, UTC).isoformat(timespec="seconds")
            attempt.give_up(f"The mail was not to be sent after {moment}.")
        envelope = self._write(attempt)
        if envelope.recipients:
            if isinstance(self._transport, MailboxTransport):
                self._deliver(self._transport, envelope, attempt)
            else:
                self._transmit(self._transport, envelope, attempt)
        return self._conclude(attempt)

    def close(self) -> None:
        """Closes idle connections, and from now on each one as soon as its mail is through."""
        self._transport.close()

    def _write(self, attempt: _Attempt) -> Envelope:
        mail, job = attempt.mail, attempt.job
        sender = mail.sender or self.senders.default
        try:
            self.senders.check(sender)
            built = build(mail, sender, Stamp(job.id, job.created_at, job.payload))
        except ValueError as error:
            attempt.give_up(f"The mail can't be written: {error}")
        attempt.facts = {"transport": self._transport.name, "message_id": built.message_id}
        return Envelope(sender, attempt.book.still_open, built.content, built.needs_smtputf8)

    def _deliver(self, transport: MailboxTransport, envelope: Envelope, attempt: _Attempt) -> None:
        try:
            transport.deliver(envelope.content)
        except OSError as error:
            self._interrupt(attempt, f"The mailbox can't be written: {error}")
        for recipient in envelope.recipients:
            attempt.book.settle(recipient.email, RecipientStatus.SENT)

    def _transmit(self, transport: SmtpTransport, envelope: Envelope, attempt: _Attempt) -> None:
        try:
            accepted = transport.send(envelope)
        except Unsendable as error:
            attempt.give_up(str(error))
        except SmtpFailure as failure:
            self._failed(failure, envelope, attempt)
        else:
            attempt.book.settle_all(
                envelope.recipients, accepted.answers, RecipientStatus.SENT, accepted.final
            )

    def _failed(self, failure: SmtpFailure, envelope: Envelope, attempt: _Attempt) -> None:
        """Returns when the failure was an answer that concerns the recipients, else raises."""
        decision = decide(failure)
        if decision is Decision.CONFIGURATION:
            raise GiveBack(self._base_seconds, str(failure)) from failure
        status = _STATUS_AFTER.get(decision)
        attempt.book.settle_all(envelope.recipients, failure.answers, status, failure.reply)
        attempt.reason, attempt.code = str(failure), failure.code
        if decision is Decision.AMBIGUOUS:
            reason = f"{AMBIGUOUS} the mail was perhaps delivered. {failure}"
            if attempt.mail.on_ambiguous == "hold":
                attempt.give_up(reason)
            self._interrupt(attempt, reason)
        if decision is Decision.NETWORK:
            self._interrupt(attempt, str(failure))

    def _interrupt(self, attempt: _Attempt, reason: str) -> NoReturn:
        delay = network_delay(attempt.job.retry_count, self._base_seconds, self._rng)
        raise RetryLater(delay, reason, smtp_code=attempt.code, result=attempt.result())

    def _conclude(self, attempt: _Attempt) -> dict[str, Any]:
        """What the attempt comes to, once every recipient has its answer."""
        book = attempt.book
        if not book.still_open and book.count(RecipientStatus.SENT):
            return attempt.result()
        code, refusal = book.refusal()
        reason, code = attempt.reason or refusal, attempt.code or code
        if not book.still_open:
            raise PermanentFailure(reason, smtp_code=code, result=attempt.result())
        delay = deferred_delay(attempt.job.retry_count, self._base_seconds, self._rng, reason)
        raise RetryLater(delay, reason, smtp_code=code, result=attempt.result())


class _Attempt:
    """One attempt at one mail, while it runs."""

    def __init__(self, job: Job, mail: Mail) -> None:
        self.job = job
        self.mail = mail
        self.book = RecipientBook(mail.recipients, job.result)
        self.facts: dict[str, Any] = {}
        # What the server said of the mail as a whole, where that ended the attempt.
        self.reason = ""
        self.code: int | None = None

    def result(self) -> dict[str, Any]:
        result = {**self.facts, "recipients": self.book.as_result()}
        if self.book.count(RecipientStatus.SENT) and self.book.count(RecipientStatus.BOUNCED):
            result["partial"] = True
        return result

    def give_up(self, reason: str) -> NoReturn:
        raise PermanentFailure(reason, smtp_code=self.code, result=self.result())
