"""One attempt at one mail: what is known so far, and the ways in which it can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.mail.mail import Mail
from app.mail.outcomes import Decision, Reply, SmtpFailure
from app.mail.recipients import RecipientBook, RecipientStatus
from app.mail.schedule import Schedule
from app.mail.transaction import Envelope, Transaction
from app.queue.errors import LeaseLost, QueueUnavailable
from app.queue.job import Job
from app.queue.outcome import GiveBack, JobCancelled, PermanentFailure, RetryLater

AMBIGUOUS = "ambiguous:"
# What an answer to the whole mail makes of the recipients it was meant for.
_STATUS_AFTER = {
    Decision.DEFERRED: RecipientStatus.DEFERRED,
    Decision.PERMANENT: RecipientStatus.BOUNCED,
}


@dataclass(eq=False)
class Attempt:
    """One attempt at one mail, while it runs. Not a word of it is forgotten when it is cut off."""

    job: Job
    mail: Mail
    schedule: Schedule
    book: RecipientBook = field(init=False)
    facts: dict[str, Any] = field(default_factory=dict)
    # What the server said of the mail as a whole, where that ended the attempt.
    reason: str = ""
    code: int | None = None
    # Whether it passed its point of no return and nobody answered.
    unconfirmed: bool = False
    _transactions: list[Transaction] = field(default_factory=list)

    def __post_init__(self) -> None:
        previous = self.job.result if isinstance(self.job.result, dict) else {}
        self.book = RecipientBook(self.mail.recipients, previous)
        self.facts["first_attempt_at"] = self.schedule.first_attempt_at
        if self.job.unconfirmed or previous.get("unconfirmed"):
            self.facts["unconfirmed"] = True

    # ── The way ─────────────────────────────────────────────────────────────────────────────

    def transaction(self, envelope: Envelope) -> Transaction:
        transaction = Transaction(envelope, self.pass_the_point_of_no_return)
        self._transactions.append(transaction)
        return transaction

    def pass_the_point_of_no_return(self) -> None:
        """Renews the lease with the mark: returns only when this worker may send.

        Raises JobCancelled, LeaseLost, and GiveBack when Redis is away.
        """
        try:
            if self.job.mark_sending is None or self.job.mark_sending():
                return
        except QueueUnavailable as error:
            self.give_back(self.schedule.base_seconds, f"Not sent, for Redis is away: {error}")
        if not self.job.cancel_requested:
            raise LeaseLost(self.job.id)
        cancelled = JobCancelled()
        cancelled.result = self.result()
        raise cancelled

    def settle(self, transaction: Transaction) -> None:
        """After a transaction that ended without a failure, or was acknowledged before that."""
        status = RecipientStatus.SENT if transaction.final else None
        recipients = transaction.envelope.recipients
        self.book.settle_all(recipients, transaction.answers, status, transaction.final)

    def settle_refused(
        self, transaction: Transaction, decision: Decision, failure: SmtpFailure
    ) -> None:
        """After a transaction that ended with a failure."""
        self.reason, self.code = str(failure), failure.code
        status = _STATUS_AFTER.get(decision)
        recipients = transaction.envelope.recipients
        self.book.settle_all(recipients, transaction.answers, status, failure.reply)

    # ── The ends ────────────────────────────────────────────────────────────────────────────

    def conclude(self) -> dict[str, Any]:
        """What the attempt comes to, once every recipient has its answer."""
        if self.book.still_open or not self.book.count(RecipientStatus.SENT):
            self._conclude_refused()
        return self.result()

    def cut_off(self, why: BaseException) -> dict[str, Any]:
        """The thread was interrupted: what was acknowledged before must not be sent again.

        Raises the interruption itself when nothing was.
        """
        if not self.has_news:
            raise why
        for transaction in self._transactions:
            if transaction.final:
                self.settle(transaction)
        if self.book.still_open:
            self.network(f"Interrupted ({type(why).__name__}).")
        return self.conclude()

    def network(self, reason: str) -> NoReturn:
        self.retry(self.schedule.network_delay(), reason)

    def ambiguous(self, why: str) -> NoReturn:
        """Perhaps delivered just now. With `hold` a person decides; else it is sent again."""
        self.unconfirmed = True
        self.facts["unconfirmed"] = True
        self.hold(why)
        self.network(_perhaps(why))

    def hold(self, why: str) -> None:
        """Gives a mail up that was perhaps delivered, where that is wanted."""
        if self.mail.on_ambiguous == "hold":
            self.give_up(_perhaps(why))

    def give_back(self, delay_seconds: float, reason: str) -> NoReturn:
        """Nothing was tried that counts, unless part of the recipients was already sent to."""
        if self.has_news:
            self.network(reason)
        raise GiveBack(delay_seconds, reason)

    def retry(self, delay_seconds: float, reason: str) -> NoReturn:
        fitting, too_late = self.schedule.fit(delay_seconds)
        if fitting is None:
            self.give_up(f"{reason.rstrip('.')}. {too_late}")
        result = self.result()
        raise RetryLater(
            fitting, reason, smtp_code=self.code, result=result, unconfirmed=self.unconfirmed
        )

    def give_up(self, reason: str) -> NoReturn:
        # A person who retries it gives it all the time again.
        self.facts.pop("first_attempt_at", None)
        result = self.result()
        raise PermanentFailure(
            reason, smtp_code=self.code, result=result, unconfirmed=self.unconfirmed
        )

    def _conclude_refused(self) -> NoReturn:
        code, refusal = self.book.refusal()
        reason, self.code = self.reason or refusal, self.code or code
        if not self.book.still_open:
            self.give_up(reason)
        self.retry(self.schedule.deferred_delay(reason), reason)

    @property
    def answers(self) -> dict[str, Reply]:
        """What RCPT TO said of each recipient that was asked, by Address.email."""
        return {
            email: answer
            for transaction in self._transactions
            for email, answer in transaction.answers.items()
        }

    @property
    def has_news(self) -> bool:
        """Whether a message of this attempt was acknowledged."""
        return any(transaction.final for transaction in self._transactions)

    def result(self) -> dict[str, Any]:
        result = {**self.facts, "recipients": self.book.as_result()}
        if self.book.count(RecipientStatus.SENT) and self.book.count(RecipientStatus.BOUNCED):
            result["partial"] = True
        if not self.book.still_open:
            result.pop("first_attempt_at", None)
        return result


def _perhaps(why: str) -> str:
    return f"{AMBIGUOUS} the mail was perhaps delivered. {why}"


Send = Callable[[Transaction], None]


def send_to_everyone(envelope: Envelope, attempt: Attempt, send: Send) -> None:
    """One transaction, and another at once for those who were too many for the one before.

    Each must settle somebody, so there are at most as many as recipients. Raises what `send`
    raises.
    """
    waiting, room = envelope.recipients, len(envelope.recipients)
    while waiting:
        group, waiting = waiting[:room], waiting[room:]
        part = Envelope(envelope.sender, group, envelope.content, envelope.needs_smtputf8)
        transaction = attempt.transaction(part)
        send(transaction)
        attempt.settle(transaction)
        surplus = transaction.surplus
        if attempt.reason or len(surplus) == len(group):
            return
        if surplus:
            room = max(1, transaction.accepted)
            waiting = surplus + waiting
