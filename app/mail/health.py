"""Whether the SMTP server can be used at all: what a breaker needs to know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.mail.outcomes import Decision, SmtpFailure, decide


@dataclass(frozen=True, slots=True)
class Report:
    """`failures_in_a_row` is 0 while all is well; the rest is about the latest failure."""

    failures_in_a_row: int = 0
    reason: str = ""
    is_configuration: bool = False  # someone must mend it: a login, a certificate, a host name
    failed_at: float | None = None  # on the monotonic clock


class Health:
    """Counts connections and logins that failed, until one succeeds. Any thread may call."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._report = Report()

    @property
    def report(self) -> Report:
        return self._report

    def failed(self, failure: SmtpFailure) -> None:
        is_configuration = decide(failure) is Decision.CONFIGURATION
        with self._lock:
            failures = self._report.failures_in_a_row + 1
            now = self._monotonic()
            self._report = Report(failures, str(failure), is_configuration, now)

    def succeeded(self) -> None:
        if self._report.failures_in_a_row:
            with self._lock:
                self._report = Report()
