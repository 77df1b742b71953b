"""What a mail must pass before an SMTP server sees it: the breaker, then its domains' rates."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from app.mail.attempt import Attempt
from app.mail.breaker import Breaker
from app.mail.outcomes import SmtpFailure, concerns_all_mail
from app.mail.pacing import Pacing
from app.mail.transaction import Envelope
from app.mail.transport import SmtpTransport

# How the reason begins of a mail that its domain's rate holds up: the dashboard tells such mails
# apart (`app.jobs.mail_service.domains_at_their_rate`).
NOT_ITS_TURN = "Its turn has not come: "


class Gate:
    """One for a transport; any number of threads may use it. `pacing` is set where there is one."""

    def __init__(
        self,
        transport: SmtpTransport,
        base_seconds: float,
        monotonic: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.pacing: Pacing | None = None
        self._transport = transport
        self._monotonic = monotonic
        self._breaker = Breaker(base_seconds, rng)

    def enter(self, attempt: Attempt, envelope: Envelope) -> None:
        """Returns when the mail may be tried now. Raises GiveBack, QueueUnavailable."""
        admission = self._breaker.admit(self._transport.health.report, self._monotonic())
        if admission.is_probe:
            self._probe(attempt)
        elif admission.wait_seconds:
            reason = self._transport.health.report.reason
            attempt.give_back(admission.wait_seconds, f"No mail can go out now: {reason}")
        domains = sorted({recipient.domain for recipient in envelope.recipients})
        if self.pacing and (wait_seconds := self.pacing.wait_seconds(attempt.job.id, domains)):
            attempt.give_back(wait_seconds, f"{NOT_ITS_TURN}{', '.join(domains)[:200]}")

    def refuse(self, attempt: Attempt, failure: SmtpFailure) -> None:
        """Gives the mail back when the failure was not its own and the breaker is open now."""
        if not concerns_all_mail(failure):
            return
        wait_seconds = self._breaker.delay(self._transport.health.report, self._monotonic())
        if wait_seconds:
            attempt.give_back(wait_seconds, str(failure))

    def opening(self, now: float) -> dict[str, Any] | None:
        """See `Mailer.breaker`; `now` in seconds since the epoch."""
        monotonic = self._monotonic()
        opening = self._breaker.opening(self._transport.health.report, monotonic)
        if opening is None:
            return None
        return {
            "reason": opening.reason,
            "since": now + opening.since - monotonic,
            "next_probe_at": now + opening.next_probe_at - monotonic,
        }

    def _probe(self, attempt: Attempt) -> None:
        try:
            self._transport.probe()
        except SmtpFailure as failure:
            # Returns only when another thread found the server well meanwhile.
            self.refuse(attempt, failure)
