"""The breaker: while no mail can go out at all, mails are given back instead of tried.

A relay that is down or refuses the login would else use up the attempts of all mails that wait.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from app.mail.health import Report

FAILURES_MAX = 5  # in a row, unless the first one already needs a person
_USUAL_BASE_SECONDS = 30.0
_FIRST_PROBE_SECONDS = 30.0
_PROBE_CAP_SECONDS = 600.0
_SPREAD = 0.2  # of the wait, so that those who wait don't come all at once


@dataclass(frozen=True, slots=True)
class Opening:
    """Since when it is open, why, and when the next probe is due. Times as they were given."""

    since: float
    reason: str
    next_probe_at: float


@dataclass(frozen=True, slots=True)
class Admission:
    """May a mail be tried now? If not, it waits; if so, `is_probe` asks for a probe before it."""

    wait_seconds: float = 0.0
    is_probe: bool = False


class Breaker:
    """Any number of threads may ask. Each time is in seconds, on one clock that never goes back.

    It opens after `FAILURES_MAX` failures in a row, or one that a person must mend; then one probe
    after 30 s, the next after twice as long, up to 10 min. `base_seconds` (usually 30) scales that.
    It closes when the server was of use, and goes on doubling when that did not last.
    """

    def __init__(self, base_seconds: float, rng: random.Random) -> None:
        scale = base_seconds / _USUAL_BASE_SECONDS
        self._first_seconds = _FIRST_PROBE_SECONDS * scale
        self._cap_seconds = _PROBE_CAP_SECONDS * scale
        self._rng = rng
        self._lock = threading.Lock()
        self._opening: Opening | None = None
        self._interval = self._first_seconds
        self._closed_at: float | None = None
        self._probing_until = 0.0

    def admit(self, report: Report, now: float) -> Admission:
        """Who gets a probe must make it, and report what came of it with the next call."""
        with self._lock:
            opening = self._observe(report, now)
            if opening is None:
                return Admission()
            if now >= opening.next_probe_at:
                self._interval = min(self._cap_seconds, 2 * self._interval)
                self._probing_until = now + self._first_seconds
                next_probe_at = now + self._interval
                self._opening = Opening(opening.since, opening.reason, next_probe_at)
                return Admission(is_probe=True)
            return Admission(self._wait_seconds(opening, now))

    def delay(self, report: Report, now: float) -> float:
        """How many seconds a mail waits that failed and may not be held to it; 0: it is closed."""
        with self._lock:
            opening = self._observe(report, now)
            return self._wait_seconds(opening, now) if opening else 0.0

    def opening(self, report: Report, now: float) -> Opening | None:
        """None while mails go out."""
        with self._lock:
            return self._observe(report, now)

    def _observe(self, report: Report, now: float) -> Opening | None:
        if report.failures_in_a_row == 0:
            if self._opening:
                self._opening, self._closed_at = None, now
        elif self._opening:
            since, next_probe_at = self._opening.since, self._opening.next_probe_at
            self._opening = Opening(since, report.reason, next_probe_at)
        elif report.is_configuration or report.failures_in_a_row >= FAILURES_MAX:
            if self._closed_at is None or now - self._closed_at > self._interval:
                self._interval = self._first_seconds
            self._probing_until = 0.0
            self._opening = Opening(now, report.reason, now + self._interval)
        return self._opening

    def _wait_seconds(self, opening: Opening, now: float) -> float:
        # While a probe is under way all may be well soon: nobody should wait for the one after.
        until = opening.next_probe_at
        if now < self._probing_until:
            until = min(until, self._probing_until)
        seconds = max(until - now, self._first_seconds / 30)
        return seconds * self._rng.uniform(1.0, 1.0 + _SPREAD)
