"""What keeps mail back without costing it an attempt: a rate, and a server that is away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.mail.scripted import ScriptedServer, close
from tests.mail.sink import ReceivedMail, SmtpSink
from tests.workers.processes import RETRY, SETTINGS, System, done_by_the_end_of, wait_until

RATE = 20
# Of two workers: so many mails may a busy machine hold up between their turn and the sink, so that
# they arrive together. The turns themselves are exact: tests/queue/test_take.py.
SLOTS = 2 * int(SETTINGS["WORKER_CONCURRENCY"])


class TimedSink(SmtpSink):
    """Notes when each mail arrived, by recipient."""

    def __enter__(self) -> TimedSink:
        self.times: list[tuple[str, float]] = []
        super().__enter__()
        return self

    def keep(self, mail: ReceivedMail) -> None:
        self.times.append((mail.recipients[0], time.monotonic()))
        super().keep(mail)

    def arrivals(self, domain: str) -> list[float]:
        return [at for to, at in self.times if to.endswith(f"@{domain}")]


def settings(server: SmtpSink | ScriptedServer, **more: str) -> dict[str, str]:
    where = {"SMTP_HOST": server.host, "SMTP_PORT": str(server.port), "SMTP_SECURITY": "none"}
    return where | more


def mails(domain: str, count: int) -> list[NewJob]:
    payloads = [
        {"to": f"user{number}@{domain}", "subject": "Hello", "message": "A test."}
        for number in range(count)
    ]
    return [NewJob("send_email", json.dumps(payload)) for payload in payloads]


@contextmanager
def paused(system: System) -> Iterator[None]:
    """Workers start, but nothing is handed out until the end of the block."""
    system.queue.pause()
    yield
    system.queue.resume()


def test_a_domain_with_a_rate_keeps_it_over_all_workers_and_holds_no_other_up(
    system: System,
) -> None:
    system.start_idle(RETRY)
    with TimedSink() as sink:
        limited = settings(sink, MAIL_DOMAIN_RATE=f"slow.example={RATE}/s", LEASE_SECONDS="4")
        with paused(system):
            for _ in range(2):
                system.start_idle(**limited)
            slow = [answer.job_id for answer in system.queue.submit_many(mails("slow.example", 60))]
            fast = [answer.job_id for answer in system.queue.submit_many(mails("fast.example", 10))]
        system.wait_for_all(Status.SUCCESS, 70)

        arrivals = sink.arrivals("slow.example")
        assert len(arrivals) == 60
        # In every window: the rate, one more, one late, and those that had their turn before.
        for first in range(60):
            for last in range(first, 60):
                window_seconds = arrivals[last] - arrivals[first]
                assert last - first + 1 <= RATE * window_seconds + 2 + SLOTS
        # And not much less than the rate, but for what a busy machine does.
        assert arrivals[-1] - arrivals[0] < 5 * 60 / RATE
    assert done_by_the_end_of(system, slow, fast) < 40, "the other domain had to wait"
    waited = [job_id for job_id in slow if "released" in system.outcomes(job_id)]
    assert 30 <= len(waited) <= 59
    assert all(system.outcomes(job_id) == ["success"] for job_id in fast)
    assert all(system.job(job_id).retry_count == 0 for job_id in slow)


def test_a_server_that_is_away_costs_few_attempts_and_is_reported_and_found_again(
    system: System,
) -> None:
    """With a base of 0.6 s instead of 30, the first probe comes after 0.6 s."""
    scale = {"RETRY_BASE_SECONDS": "0.6", "LEASE_SECONDS": "2", "WORKER_CONCURRENCY": "4"}
    system.start_idle(RETRY, **scale)
    with ScriptedServer({"connect": close}) as server:
        system.start_idle(**settings(server, **scale))
        new = system.queue.submit_many(mails("a.example", 30))
        job_ids = [answer.job_id for answer in new]

        [breaker] = wait_until(system.inspector.breakers, "the breaker is reported")
        assert breaker["worker"] in {worker.name for worker in system.inspector.workers()}
        assert "The connection was lost" in breaker["reason"]
        assert breaker["since"] < breaker["next_probe_at"]
        assert system.inspector.stats()["breakers"] != []
        server.script.clear()
        system.wait_for_all(Status.SUCCESS, 30)
        wait_until(lambda: not system.inspector.breakers(), "it has closed")
        assert len(server.mails) == 30

    # Four failures in a row, each of another mail, are a failed attempt; all after that is not.
    failures = [system.outcomes(job_id).count("failed") for job_id in job_ids]
    assert sum(failures) <= 8
    assert sum("released" in system.outcomes(job_id) for job_id in job_ids) >= 20
