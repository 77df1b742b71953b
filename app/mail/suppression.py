"""The suppression list before and after an attempt: who is not asked, and who refused for good."""

from __future__ import annotations

import logging
import re

from app.mail.attempt import Attempt
from app.mail.outcomes import Reply
from app.queue.errors import QueueError, QueueUnavailable
from app.queue.suppressions import Suppression, Suppressions

log = logging.getLogger(__name__)

# RFC 3463 section 3.2 and RFC 7505: no such mailbox, no such domain, no address at all, moved, and
# a domain that takes no mail. The other codes of 5.1.x speak of the sender, or of nobody clearly.
_NO_SUCH_RECIPIENT = re.compile(r"5\.1\.(1|2|3|6|10)\b")


def bounce_suppressed(suppressions: Suppressions, attempt: Attempt) -> None:
    """Whoever is on the list counts as bounced, for that reason. Raises GiveBack."""
    try:
        found = suppressions.find(address.email for address in attempt.book.still_open)
    except QueueUnavailable as error:
        attempt.give_back(attempt.schedule.base_seconds, f"Not sent, for Redis is away: {error}")
    for email, entry in found.items():
        attempt.book.suppress(email, f"On the suppression list: {entry.reason}")


def suppress_refused(suppressions: Suppressions, attempt: Attempt, now: float) -> None:
    """Puts those on the list whom the server does not know, as it said to RCPT TO.

    Never changes how the attempt ends: without Redis they are asked once more some day.
    """
    for email, answer in attempt.answers.items():
        if not is_hard_bounce(answer):
            continue
        who = f"worker {attempt.job.worker or ''}".strip()
        entry = Suppression(email, str(answer), now, who, answer.code, attempt.job.id)
        try:
            suppressions.add(entry)
        except QueueError as error:
            log.warning("Job %d: not on the suppression list: %s", attempt.job.id, error)
            return


def is_hard_bounce(answer: Reply) -> bool:
    return answer.code >= 500 and _NO_SUCH_RECIPIENT.match(answer.text) is not None
