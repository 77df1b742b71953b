"""`/metrics`: the figures of the whole system for Prometheus, read from Redis at each scrape.

Every API process answers the same, and nothing is kept in any of them. Names and units follow
https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from app.queue.errors import QueueError
from app.queue.inspector import Inspector
from app.queue.series import BOUNDS_MS, Histogram

# Counters of the queue → the metric's name and its help.
_BY_JOB_TYPE = {
    "submitted": ("mailroom_jobs_submitted", "Jobs taken in."),
    "succeeded": ("mailroom_jobs_succeeded", "Jobs that ended as success."),
    "permanently_failed": ("mailroom_jobs_permanently_failed", "Jobs given up (dead)."),
    "cancelled": ("mailroom_jobs_cancelled", "Jobs that ended as cancelled."),
    "retried": ("mailroom_jobs_retried", "Jobs that were made pending again for another attempt."),
    "deleted": ("mailroom_jobs_deleted", "Jobs deleted by a person or a program."),
    "trimmed": ("mailroom_jobs_trimmed", "Jobs removed because their retention was over."),
    "trimmed_permanently_failed": (
        "mailroom_jobs_trimmed_permanently_failed",
        "Those of the trimmed jobs that nobody got to succeed.",
    ),
    "failed": ("mailroom_attempts_failed", "Attempts that failed and are tried again."),
    "released": ("mailroom_attempts_released", "Attempts given back without being charged."),
    "died": ("mailroom_attempts_died", "Attempts whose lease ran out: the worker died."),
    "late": ("mailroom_acknowledgements_late", "Outcomes told after the lease, still accepted."),
    "lost": ("mailroom_acknowledgements_lost", "Outcomes told too late: suspected duplicates."),
    "unconfirmed": (
        "mailroom_sends_unconfirmed",
        "Sends that nobody could tell the end of, for the worker died or no answer came: suspected "
        "duplicates.",
    ),
}


def exposition(inspector: Inspector, accept: str) -> tuple[bytes, str]:
    """The figures in the format that the header `Accept` asks for, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(inspector))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector:
    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("mailroom_redis_up", "Whether Redis answered this scrape.")
        try:
            stats = self._inspector.stats()
            wait, run = self._inspector.durations()
            memory = self._inspector.memory()
        except QueueError:
            # An answer all the same: a scrape that fails would say that the API is away.
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _gauges(stats, memory)
        yield from _counters(stats["by_type"])
        yield _histogram("mailroom_job_wait_seconds", "From ready to picked.", wait)
        yield _histogram("mailroom_job_run_seconds", "From picked to settled.", run)


def _gauges(stats: dict[str, Any], memory: tuple[int, int] | None) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("mailroom_jobs", "Jobs in the store now.", labels=["status"])
    for status, count in stats["counts"].items():
        jobs.add_metric([status], count)
    yield jobs
    yield GaugeMetricFamily(
        "mailroom_oldest_pending_seconds",
        "How long the job that waits longest has been ready; 0 when none waits.",
        value=stats["oldest_pending_seconds"] or 0,
    )
    yield GaugeMetricFamily(
        "mailroom_queue_paused", "Whether no jobs are handed out.", value=stats["paused"]
    )
    yield GaugeMetricFamily(
        "mailroom_workers_alive", "Main workers that spoke lately.", value=stats["workers_alive"]
    )
    yield GaugeMetricFamily(
        "mailroom_worker_slots", "Jobs that they can run at once.", value=stats["slots"]
    )
    yield GaugeMetricFamily(
        "mailroom_worker_slots_busy", "Jobs that they run now.", value=stats["slots_busy"]
    )
    yield GaugeMetricFamily(
        "mailroom_breakers_open",
        "Workers that send no mail because none can go out.",
        value=len(stats["breakers"]),
    )
    if memory:
        used_bytes, max_bytes = memory
        yield GaugeMetricFamily(
            "mailroom_redis_memory_bytes", "Memory that Redis uses.", value=used_bytes
        )
        yield GaugeMetricFamily(
            "mailroom_redis_memory_max_bytes",
            "Memory that Redis may use; 0: no limit is set.",
            value=max_bytes,
        )


def _counters(by_type: dict[str, dict[str, int]]) -> Iterator[Metric]:
    for event, (name, documentation) in _BY_JOB_TYPE.items():
        family = CounterMetricFamily(name, documentation, labels=["job_type"])
        for job_type, counts in by_type.items():
            family.add_metric([job_type], counts.get(event, 0))
        yield family


def _histogram(name: str, documentation: str, durations: Histogram) -> Metric:
    buckets, below = [], 0
    for bound_ms, count in zip((*BOUNDS_MS, None), durations.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound_ms is None else str(bound_ms / 1000), below))
    return HistogramMetricFamily(
        name, documentation, buckets=buckets, sum_value=durations.sum_seconds
    )
