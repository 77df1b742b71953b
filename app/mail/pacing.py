"""How fast mail may go to each domain: the settings' rates, kept by all workers together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

# Asks whether a job may go under all these limits, by name one job in so many milliseconds; answers
# 0, or how many milliseconds to wait.
Take = Callable[[int, Mapping[str, float]], int]

_ANY_OTHER = "*"


class Pacing:
    """`rates` are pairs of a domain, or `*` for each of the others, and mails a second."""

    def __init__(self, rates: Iterable[tuple[str, float]], take: Take) -> None:
        self._intervals_ms = {domain: 1000 / per_second for domain, per_second in rates}
        self._take = take

    def wait_seconds(self, job_id: int, domains: Iterable[str]) -> float:
        """0 when a mail to all these domains may go now. Raises QueueUnavailable."""
        limits = {
            f"domain:{domain}": interval_ms
            for domain in domains
            if (interval_ms := self._interval_ms(domain)) is not None
        }
        return self._take(job_id, limits) / 1000 if limits else 0.0

    def _interval_ms(self, domain: str) -> float | None:
        return self._intervals_ms.get(domain, self._intervals_ms.get(_ANY_OTHER))
