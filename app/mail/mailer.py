"""Sends the mail of one job and says how the attempt ended."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from app.mail.addresses import SenderPolicy
from app.mail.attempt import Attempt, send_to_everyone
from app.mail.build import Stamp, build
from app.mail.client import USUAL_TIMEOUTS, Timeouts
from app.mail.dkim import signer_for
from app.mail.gate import Gate
from app.mail.health import Report
from app.mail.mail import Mail
from app.mail.mailbox import MailboxTransport
from app.mail.outcomes import Decision, SmtpFailure, decide
from app.mail.pacing import Pacing
from app.mail.recipients import RecipientStatus
from app.mail.schedule import schedule_of
from app.mail.settings import MailSettings
from app.mail.suppression import bounce_suppressed, suppress_refused
from app.mail.transaction import Envelope, Transaction, Unsendable
from app.mail.transport import SmtpTransport, smtp_transport
from app.queue.job import Job
from app.queue.suppressions import Suppressions


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
        suppressions: Suppressions | None = None,
    ) -> None:
        """`now` gives seconds since the epoch; without `suppressions` nobody is kept from mail.

        Raises MailSettingsError.
        """
        self.senders = SenderPolicy(settings.mail_from, settings.mail_allowed_from)
        self._base_seconds = settings.retry_base_seconds
        self._max_retries = settings.max_retries
        self._rng = rng
        self._now = now
        self._signer = signer_for(settings)
        self._suppressions = suppressions
        self._transport: SmtpTransport | MailboxTransport
        self._gate: Gate | None = None
        if settings.smtp_host:
            domain = self.senders.default.domain
            self._transport = smtp_transport(settings, domain, timeouts, monotonic)
            self._gate = Gate(self._transport, settings.retry_base_seconds, monotonic, rng)
        else:
            self._transport = MailboxTransport(settings.data_dir / "mailbox")

    def send(self, job: Job, mail: Mail) -> dict[str, Any]:
        """Sends to every recipient that earlier attempts left open.

        Returns the job's result:
        `{"transport": "smtp", "message_id": "<…>", "recipients": {"a@b.c": {"status": "sent",
        "code": 250, "reply": "…"}}}`, with `"partial": true` when some bounced, and
        `"unconfirmed": true` when an attempt ended after its point of no return without an answer:
        the mail may have arrived then too.

        Raises RetryLater, PermanentFailure and JobCancelled (all with a result of the same shape),
        GiveBack when no mail at all can go out now, and LeaseLost when the job is another
        worker's: then nothing was sent.
        """
        attempt = self._attempt(job, mail)
        if job.unconfirmed:
            attempt.hold("A worker was lost before it could tell how the sending ended.")
        if attempt.schedule.has_expired:
            attempt.give_up(attempt.schedule.expiry)
        if self._suppressions is None:
            return self._send(attempt)
        bounce_suppressed(self._suppressions, attempt)
        try:
            return self._send(attempt)
        finally:
            suppress_refused(self._suppressions, attempt, self._now())

    def probe(self) -> None:
        """Connects and logs in, as before a mail, to find out whether that works again.

        Raises SmtpFailure. Does nothing where mail goes into the local mailbox.
        """
        if isinstance(self._transport, SmtpTransport):
            self._transport.probe()

    @property
    def health(self) -> Report:
        """Whether the SMTP server can be used. The local mailbox is always well."""
        if isinstance(self._transport, SmtpTransport):
            return self._transport.health.report
        return Report()

    @property
    def breaker(self) -> dict[str, Any] | None:
        """Why no mail is sent now: `{"reason": text, "since": seconds since the epoch,
        "next_probe_at": the same}`; None while mail goes out."""
        return self._gate.opening(self._now()) if self._gate else None

    def pace(self, pacing: Pacing) -> None:
        """From now on mail over SMTP keeps to these rates; the local mailbox has none."""
        if self._gate:
            self._gate.pacing = pacing

    def close(self) -> None:
        """Closes idle connections, and from now on each one as soon as its mail is through."""
        self._transport.close()

    def _send(self, attempt: Attempt) -> dict[str, Any]:
        envelope = self._write(attempt)
        if not envelope.recipients:
            return attempt.conclude()
        try:
            if isinstance(self._transport, MailboxTransport):
                self._deliver(self._transport, envelope, attempt)
            else:
                self._transmit(self._transport, envelope, attempt)
            return attempt.conclude()
        except Exception:
            raise
        except BaseException as interruption:
            return attempt.cut_off(interruption)

    def _attempt(self, job: Job, mail: Mail) -> Attempt:
        schedule = schedule_of(
            job,
            mail.expires_at,
            base_seconds=self._base_seconds,
            max_retries=self._max_retries,
            now=self._now,
            rng=self._rng,
        )
        return Attempt(job, mail, schedule)

    def _write(self, attempt: Attempt) -> Envelope:
        mail, job = attempt.mail, attempt.job
        sender = mail.sender or self.senders.default
        return_path = mail.envelope_from or sender
        try:
            self.senders.check(sender)
            self.senders.check(return_path)
            built = build(mail, sender, Stamp(job.id, job.created_at, job.payload))
            content = self._signer.sign(built.content) if self._signer else built.content
        except ValueError as error:
            attempt.give_up(f"The mail can't be written: {error}")
        attempt.facts |= {"transport": self._transport.name, "message_id": built.message_id}
        needs_smtputf8 = built.needs_smtputf8 or return_path.needs_smtputf8
        return Envelope(return_path, attempt.book.still_open, content, needs_smtputf8)

    def _deliver(self, transport: MailboxTransport, envelope: Envelope, attempt: Attempt) -> None:
        attempt.pass_the_point_of_no_return()
        try:
            transport.deliver(envelope.content)
        except OSError as error:
            attempt.network(f"The mailbox can't be written: {error}")
        for recipient in envelope.recipients:
            attempt.book.settle(recipient.email, RecipientStatus.SENT)

    def _transmit(self, transport: SmtpTransport, envelope: Envelope, attempt: Attempt) -> None:
        assert self._gate is not None
        self._gate.enter(attempt, envelope)

        def send(transaction: Transaction) -> None:
            try:
                transport.send(transaction)
            except SmtpFailure as failure:
                if transaction.final and failure.cause:
                    # Nothing but an interruption comes behind the acknowledgement.
                    raise failure.cause from None
                self._failed(failure, transaction, attempt)

        try:
            send_to_everyone(envelope, attempt, send)
        except Unsendable as error:
            attempt.give_up(str(error))

    def _failed(self, failure: SmtpFailure, transaction: Transaction, attempt: Attempt) -> None:
        """Returns when the failure was an answer that concerns the recipients, else raises."""
        assert self._gate is not None
        self._gate.refuse(attempt, failure)
        decision = decide(failure)
        if decision is Decision.CONFIGURATION:
            attempt.give_back(self._base_seconds, str(failure))
        attempt.settle_refused(transaction, decision, failure)
        if decision is Decision.AMBIGUOUS:
            attempt.ambiguous(str(failure))
        if decision is Decision.NETWORK:
            attempt.network(str(failure))
