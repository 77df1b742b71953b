"""A queue and its reference, side by side: everything is done to both, and compared.

Workers never forget a lease. One that is settled or renewed again later is a re-sent call, a lost
answer or a zombie, whichever way its job went since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from app.queue import outcome as outcomes
from app.queue.counters import DURATIONS
from app.queue.errors import IdempotencyConflict, JobNotFound, WrongStatus
from app.queue.job import FINAL, Job
from app.queue.jobqueue import JobQueue, new_nonce
from app.queue.operations import Action, Operations
from app.queue.outcome import Outcome
from app.queue.query import JobQuery
from app.queue.submission import NewJob
from tests.queue.invariants import check
from tests.queue.reference import Reference
from tests.queue.virtual_time import Clock, virtual_source

LEASE_MS = 40_000  # a claim is remembered for so long, in real time
HEAD_START_MS = 15_000
LIMIT = 1_000

# How an attempt ends: the verb, then what `Reference` and `outcome` want to know.
Ending = tuple[str, dict[str, Any]]

COMPLETE: Ending = ("complete", {})
RETRY_NOW: Ending = ("fail", {"retry_in_ms": 0})
RETRY_SOON: Ending = ("fail", {"retry_in_ms": 1_000})
GIVE_UP: Ending = ("fail", {"retry_in_ms": None})
UNCONFIRMED: Ending = ("fail", {"retry_in_ms": 1_000, "unconfirmed": True})
STOPPED: Ending = ("fail", {"retry_in_ms": None, "cancelled": True})
RELEASE: Ending = ("release", {"delay_ms": 0})
RELEASE_SOON: Ending = ("release", {"delay_ms": 1_000})
ENDINGS = (
    *(COMPLETE, RETRY_NOW, RETRY_SOON, GIVE_UP, UNCONFIRMED, STOPPED, RELEASE, RELEASE_SOON),
)


class Pair:
    """The queue on an emptied server, and the reference. `twice`: each call is sent again at once.

    Every method asserts that both answer the same; `check` that both hold the same.
    """

    def __init__(self, client: redis.Redis, source: Callable[[str], str] | None = None) -> None:
        client.flushall()
        self.client = client
        self.clock = Clock(client)
        self.queue = JobQueue(
            client,
            lease_ms=LEASE_MS,
            head_start_ms=HEAD_START_MS,
            source=source or virtual_source(client),
        )
        self.operations = Operations(client, source=self.queue._scripts._source)
        self.reference = Reference(
            self.clock.now_ms, lease_ms=LEASE_MS, head_start_ms=HEAD_START_MS
        )
        self.leases: list[Job] = []  # every lease that a worker was ever told of
        self.unanswered: list[tuple[str, str, int, list[int]]] = []  # claims without an answer
        self.acted: list[tuple[tuple[Any, ...], Any]] = []  # calls with a nonce, and their answers
        self._committed: set[tuple[int, str]] = set()  # leases whose outcome was accepted
        self._records: dict[int, dict[str, Any]] = {}  # as they were at the latest check
        self._sent: set[str] = set()  # the scripts that were called since
        self._times = 1
        self._new_nonce = new_nonce
        self._send_once = self.queue._scripts.call
        self.queue._scripts.call = self._send  # type: ignore[method-assign]

    def advance(self, ms: int) -> None:
        self.clock.advance(ms=ms)
        self.reference.now_ms = self.clock.now_ms

    # ── From the application ────────────────────────────────────────────────────────────────

    def submit(self, *jobs: NewJob, twice: bool = False) -> None:
        self._times = 1 + twice
        expected = [self.reference.submit(job) for job in jobs]
        found = []
        for answer in self.queue.submit_many(jobs):
            if isinstance(answer, IdempotencyConflict):
                found.append((answer.job_id, "conflict"))
            else:
                found.append((answer.job_id, "created" if answer.created else "known"))
        assert found == expected, "I8"

    def act(self, verb: str, job_id: int, *, twice: bool = False) -> None:
        """`verb` is retry, cancel or delete."""
        self._times = 1 + twice
        expected = getattr(self.reference, verb)(job_id)
        try:
            found = "requested" if getattr(self.queue, verb)(job_id) is False else "ok"
        except JobNotFound:
            found = "missing"
        except WrongStatus as error:
            found = error.found
        assert found == expected

    def operate(self, action: Action, query: JobQuery, limit: int, *, twice: bool = False) -> None:
        """An operation, from its start to its end, in chunks."""
        self._times = 1 + twice
        matching = [
            job_id
            for job_id, job in sorted(self.reference.jobs.items(), reverse=True)
            if query.status in (None, job.status)
            and query.job_type in (None, job.job_type)
            and query.all_tags <= set(job.tags)
        ]
        start = self.operations._scripts.call
        self.operations._scripts.call = lambda *call: [  # type: ignore[method-assign]
            start(*call) for _ in range(self._times)
        ][-1]
        operation_id = self.operations.start(action, query, "tests")
        self.operations._scripts.call = start  # type: ignore[method-assign]
        stored = len(self.reference.jobs)
        answers = [getattr(self.reference, action)(job_id) for job_id in matching]
        # What comes now is not meant.
        self.submit(NewJob("noop", tags=("a",)), twice=twice)
        chunks = iter(range(stored + 10))
        while self.queue.operate(limit):
            assert next(chunks, None) is not None, "the operation does not end"
        operation = self.operations.get(operation_id)
        done = sum(answer in ("ok", "requested") for answer in answers)
        found = (operation.status, operation.total, operation.done, operation.skipped)
        assert found == ("done", len(answers), done, len(answers) - done)
        self._stop_an_operation(action)

    def _stop_an_operation(self, action: Action) -> None:
        """One that is stopped before its first chunk does nothing, and nobody waits for it."""
        self.operations.stop(self.operations.start(action, JobQuery(), "tests"))
        assert not self.queue.operate(LIMIT)

    def send_again(self, at: int) -> None:
        """An earlier submit, retry, cancel or delete arrives a second time, much later."""
        call, answer = self.acted[at]
        assert self._send_once(*call) == answer

    def pause(self, paused: bool) -> None:
        self._times = 1
        changed = self.queue.pause() if paused else self.queue.resume()
        assert changed == (self.reference.paused != paused)
        self.reference.paused = paused

    # ── From a worker ───────────────────────────────────────────────────────────────────────

    def claim(
        self, wanted: int, worker: str = "w1", *, twice: bool = False, answered: bool = True
    ) -> list[Job]:
        self._times = 1 + twice
        nonce = self._new_nonce()
        expected = self.reference.claim(worker, nonce, wanted)
        jobs = self.queue.claim(worker, wanted, nonce=nonce)
        assert [job.id for job in jobs] == expected
        if answered:
            self.leases += jobs
        elif expected:
            self.unanswered.append((worker, nonce, wanted, expected))
        return jobs

    def claim_again(self, at: int) -> None:
        """A claim whose answer was lost is sent again."""
        self._times = 1
        worker, nonce, wanted, claimed = self.unanswered.pop(at)
        expected = [job_id for job_id in claimed if self.reference.holds(job_id, nonce)]
        jobs = self.queue.claim(worker, wanted, nonce=nonce)
        assert [job.id for job in jobs] == expected
        self.leases += jobs

    def settle(self, job: Job, ending: Ending, *, twice: bool = False) -> None:
        self.turn([(job, ending)], 0, twice=twice)

    def turn(self, ended: list[tuple[Job, Ending]], wanted: int, *, twice: bool = False) -> None:
        self._times = 1 + twice
        nonce = self._new_nonce()
        expected = [self._settle_reference(job, ending) for job, ending in ended]
        claimed = self.reference.claim("w1", nonce, wanted)
        if twice:
            expected = [self._settle_reference(job, ending) for job, ending in ended]
        settled = [_outcome(job, ending) for job, ending in ended]
        turn = self.queue.turn("w1", settled, wanted, nonce=nonce)
        assert turn.verdicts == expected
        assert [job.id for job in turn.jobs] == claimed
        self.leases += turn.jobs

    def renew(self, jobs: list[Job], *, sending: bool = False, twice: bool = False) -> None:
        self._times = 1 + twice
        expected: dict[str, list[int]] = {"ok": [], "cancel": [], "lost": []}
        for job in jobs:
            verdict = self.reference.renew(job.id, job.token or "", sending=sending)
            expected[verdict].append(job.id)
        renewal = self.queue.renew("w1", jobs, {}, sending=sending)
        assert {"ok": renewal.ok, "cancel": renewal.cancel, "lost": renewal.lost} == expected

    def mark_begun(self, job: Job, *, twice: bool = False) -> None:
        self._times = 1 + twice
        verdict = self.reference.renew(job.id, job.token or "", begun=True)
        assert self.queue.mark_begun(job) == verdict

    def abandon(self, job: Job) -> None:
        self._times = 1
        self.reference.abandon(job.id, job.token or "")
        self.queue.abandon(job)

    def held(self) -> list[Job]:
        return [job for job in self.leases if self.reference.holds(*job.lease)]

    def lost(self) -> list[Job]:
        """The latest leases of stored jobs that others hold, or nobody does."""
        known = [job for job in self.leases if job.id in self.reference.jobs]
        return [job for job in known if not self.reference.holds(*job.lease)][-8:]

    # ── Housekeeping ────────────────────────────────────────────────────────────────────────

    def promote(self, limit: int = LIMIT, *, twice: bool = False) -> None:
        self._times = 1 + twice
        if twice:
            self.reference.promote(limit)
        expected = self.reference.promote(limit)
        promotion = self.queue.promote(limit)
        assert (promotion.moved, promotion.next_due_ms) == expected

    def reap(self, limit: int = LIMIT, *, twice: bool = False) -> None:
        self._times = 1 + twice
        if twice:
            self.reference.reap(limit)
        expected = self.reference.reap(limit)
        reaping = self.queue.reap(limit)
        assert (reaping.requeued, reaping.poisoned, reaping.held) == expected

    def let_leases_run_out(self) -> None:
        """A lease passes while the reaper runs as often as in life."""
        for _ in range(5):
            self.reap()
            self.advance(LEASE_MS // 4)
        self.reap()

    def trim_by_age(self, success_ms: int, failed_ms: int) -> None:
        self._times = 1
        old = self.reference.trimmable(success_ms, failed_ms)
        forgot = self.queue.trim(
            success_max_age_ms=success_ms, failed_max_age_ms=failed_ms, limit=LIMIT
        )
        assert forgot == len(old)
        self.reference.trim(old)

    def trim_by_count(self, max_jobs: int, limit: int = LIMIT) -> None:
        self._times = 1
        finished = self.reference.finished()
        forgot = self.queue.trim(max_jobs=max_jobs, limit=limit)
        assert forgot == max(0, min(limit, len(finished) - max_jobs))
        # Which of the jobs that ended in one millisecond go is the script's to choose.
        kept = {int(job_id) for job_id in self.client.hkeys("Job_map")}
        gone = [job for job in finished if job.id not in kept]
        stayed = [job.completed_ms or 0 for job in finished if job.id in kept]
        assert all(not stayed or (job.completed_ms or 0) <= min(stayed) for job in gone)
        self.reference.trim({job.id for job in gone})

    def repair(self) -> None:
        self._times = 1
        assert self.queue.repair() == []

    # ── What both hold ──────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """The raw store obeys the invariants and equals the reference."""
        records = self._records_found()
        expected = {job.id: job.record() for job in self.reference.jobs.values()}
        found = {
            job_id: {name: record.get(name) for name in expected.get(job_id, record)}
            for job_id, record in records.items()
        }
        assert found == expected
        self._check_leases()
        self._check_histories()
        self._check_counters()
        self._check_moves(records)
        self._records, self._sent = records, set()

    def _records_found(self) -> dict[int, dict[str, Any]]:
        return check(self.client, head_start_ms=HEAD_START_MS)

    def _check_leases(self) -> None:
        ends = {int(i): end for i, end in self.client.zrange("Processing", 0, -1, withscores=True)}
        processing = [job for job in self.reference.jobs.values() if job.lease_token]
        assert ends == {job.id: job.lease_ends_ms for job in processing}

    def _check_histories(self) -> None:
        histories = self.client.hgetall("Job_attempts")
        lines = {int(job_id): text.count("\n") + 1 for job_id, text in histories.items()}
        assert lines == {job.id: job.lines for job in self.reference.jobs.values() if job.lines}

    def _check_counters(self) -> None:
        counters = {
            name: int(count)
            for name, count in self.client.hgetall("Stats").items()
            if name.partition(":")[0] not in DURATIONS
        }
        assert counters == dict(self.reference.counters)

    def _check_moves(self, records: dict[int, dict[str, Any]]) -> None:
        """I4 and I5, from what was in the store at the latest check and what is now."""
        for job_id, before in self._records.items():
            now = records.get(job_id, {})
            if now and "turn" not in self._sent:
                assert now.get("attempts") == before.get("attempts"), f"I4, {self._sent}"
            if before["status"] in FINAL and not self._sent & {
                "retry",
                "delete",
                "trim",
                "operate",
            }:
                assert now.get("status") == before["status"], f"I5, {self._sent}"

    # ── Steps ───────────────────────────────────────────────────────────────────────────────

    def _send(self, name: str, *args: Any, **options: Any) -> Any:
        self._sent.add(name)
        for _ in range(self._times - 1):
            self._send_once(name, *args, **options)
        answer = self._send_once(name, *args, **options)
        if name == "submit" or (name in ("retry", "cancel", "delete") and answer == "ok"):
            self.acted.append(((name, *args), answer))
        return answer

    def _settle_reference(self, job: Job, ending: Ending) -> str:
        verb, how = ending
        verdict: str = getattr(self.reference, verb)(job.id, job.token or "", **how)
        if verdict in ("ok", "late"):
            assert job.lease not in self._committed, "I7"
            self._committed.add(job.lease)
        return verdict


def _outcome(job: Job, ending: Ending) -> Outcome:
    verb, how = ending
    if verb == "complete":
        return outcomes.completed(job)
    if verb == "release":
        return outcomes.released(job, **how)
    if how.get("cancelled"):
        return outcomes.cancelled(job, "Cancelled while running.")
    return outcomes.failed(job, "refused", **how)
