"""A hypothesis state machine that does everything to a queue that workers and people can do.

hypothesis turns some rules off in each example, so there are few of them, and each has its choices.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.queue.job import FINAL, Job, Priority, Status
from app.queue.operations import Action
from app.queue.query import JobQuery
from app.queue.submission import NewJob
from tests.queue.pair import COMPLETE, ENDINGS, GIVE_UP, LEASE_MS, LIMIT, RELEASE, Pair

# A server's clock may be set back.
TIMES_MS = [1, 400, 1_000, 3_000, LEASE_MS // 4, LEASE_MS // 2 + 1, LEASE_MS + 1, -700]
ACTS = {
    "retry": ("failed", "permanently_failed", "cancelled"),
    "cancel": ("pending", "scheduled", "failed", "processing"),
    "delete": (*FINAL, "pending"),
}

TWICE = st.booleans()
MOSTLY = st.sampled_from([True, True, True, False])
LIMITS = st.sampled_from([LIMIT, LIMIT, 1])
ENDS = st.sampled_from([COMPLETE, *ENDINGS])
NEW_JOBS = st.builds(
    NewJob,
    job_type=st.sampled_from(["noop", "send_email"]),
    payload=st.sampled_from(["{}", '{"n": 1}']),
    priority=st.sampled_from(Priority),
    delay_ms=st.sampled_from([None, None, None, 0, 500, 3_000]),
    tags=st.sampled_from([(), (), ("a",), ("a", "b")]),
    idempotency_key=st.sampled_from([None, None, None, "k1", "k2"]),
    title=st.sampled_from([None, "Hello", "Grüße"]),
    people=st.sampled_from([(), ("Ann@b.c",), ("ann@b.c", "bob@b.c")]),
)
QUERIES = st.builds(
    JobQuery,
    status=st.sampled_from([None, *Status]),
    job_type=st.sampled_from([None, "noop"]),
    tag=st.sampled_from([None, "a"]),
    q=st.sampled_from([None, "#b"]),
)


class QueueMachine(RuleBasedStateMachine):
    def __init__(
        self,
        client: redis.Redis,
        source: Callable[[str], str] | None = None,
        pair: Callable[..., Pair] = Pair,
    ) -> None:
        super().__init__()
        self.pair = pair(client, source)

    @invariant()
    def the_store_is_as_it_should_be(self) -> None:
        self.pair.check()

    @precondition(lambda self: self.pair.reference.jobs)
    @rule(ms=st.sampled_from(TIMES_MS))
    def time_passes(self, ms: int) -> None:
        self.pair.advance(ms)

    @precondition(lambda self: self.pair.reference.count("pending") < 6)
    @rule(jobs=st.lists(NEW_JOBS, min_size=1, max_size=4), twice=TWICE)
    def submit(self, jobs: list[NewJob], twice: bool) -> None:
        self.pair.submit(*jobs, twice=twice)

    @precondition(lambda self: self.pair.reference.last_id)
    @rule(data=st.data(), verb=st.sampled_from(sorted(ACTS)), fitting=MOSTLY, twice=TWICE)
    def act(self, data: st.DataObject, verb: str, fitting: bool, twice: bool) -> None:
        """A person retries, cancels or deletes a job, mostly one that allows it."""
        jobs = self.pair.reference.jobs.values()
        ids = [job.id for job in jobs if job.status in ACTS[verb]] if fitting else []
        last_id = self.pair.reference.last_id
        some_ids = st.sampled_from(ids) if ids else st.integers(1, last_id + 1)
        self.pair.act(verb, data.draw(some_ids, label="job"), twice=twice)

    @precondition(lambda self: self.pair.reference.jobs)
    @rule(
        action=st.sampled_from(sorted(ACTS)),
        query=QUERIES,
        limit=st.sampled_from([1, 2, LIMIT]),
        twice=TWICE,
    )
    def operate(self, action: Action, query: JobQuery, limit: int, twice: bool) -> None:
        """A person does the same to everything that matches."""
        self.pair.operate(action, query, limit, twice=twice)

    @precondition(lambda self: self.pair.leases and self.pair.reference.count("pending"))
    @rule(paused=st.booleans(), data=st.data())
    def pause(self, paused: bool, data: st.DataObject) -> None:
        """While the queue is paused, workers ask in vain, and settle what they hold."""
        self.pair.pause(paused)
        if paused:
            self.pair.claim(2)
            if held := self.pair.held():
                ended = data.draw(st.sampled_from(held)), data.draw(ENDS)
                self.pair.turn([ended], 1)
            if self.pair.unanswered:
                self.pair.claim_again(0)
            self.pair.pause(False)

    @precondition(lambda self: self.pair.reference.count("pending"))
    @rule(
        worker=st.sampled_from(["w1", "w2"]),
        wanted=st.integers(1, 4),
        twice=TWICE,
        answered=MOSTLY,
    )
    def claim(self, worker: str, wanted: int, twice: bool, answered: bool) -> None:
        self.pair.claim(wanted, worker, twice=twice, answered=answered)

    @precondition(lambda self: self.pair.unanswered or self.pair.acted)
    @rule(data=st.data(), claims=st.booleans())
    def send_again(self, data: st.DataObject, claims: bool) -> None:
        """A call whose answer was lost comes again, late."""
        earlier = self.pair.unanswered if claims else self.pair.acted
        if earlier:
            at = len(earlier) - data.draw(st.integers(1, min(6, len(earlier))), label="call")
            (self.pair.claim_again if claims else self.pair.send_again)(at)

    @precondition(lambda self: self.pair.leases)
    @rule(data=st.data(), of_held=MOSTLY, ending=ENDS, twice=TWICE)
    def settle(self, data: st.DataObject, of_held: bool, ending: tuple, twice: bool) -> None:
        jobs = (self.pair.held() if of_held else self.pair.lost()) or self.pair.leases[-8:]
        self.pair.settle(data.draw(st.sampled_from(jobs), label="job"), ending, twice=twice)

    @precondition(lambda self: self.pair.lost())
    @rule(data=st.data(), ending=ENDS)
    def a_zombie_settles(self, data: st.DataObject, ending: tuple) -> None:
        self.pair.settle(data.draw(st.sampled_from(self.pair.lost()), label="job"), ending)

    @precondition(lambda self: self.pair.leases)
    @rule(data=st.data(), wanted=st.integers(0, 2), twice=TWICE)
    def settle_several_and_claim(self, data: st.DataObject, wanted: int, twice: bool) -> None:
        ended = st.tuples(st.sampled_from(self.pair.leases[-8:]), ENDS)
        ends = data.draw(st.lists(ended, min_size=1, max_size=3), label="ends")
        self.pair.turn(ends, wanted, twice=twice)

    @precondition(lambda self: self.pair.leases)
    @rule(data=st.data(), sending=st.booleans(), twice=TWICE, dies=st.booleans())
    def renew(self, data: st.DataObject, sending: bool, twice: bool, dies: bool) -> None:
        """A worker renews leases, or tells that the child with its job begins or died."""
        some_job = st.sampled_from(self.pair.leases[-8:])
        if dies:
            lost = self.pair.lost()
            job = data.draw(st.sampled_from(lost) if lost and not sending else some_job)
            if sending:
                self.pair.mark_begun(job, twice=twice)
            self.pair.abandon(job)
        else:
            jobs = data.draw(st.lists(some_job, max_size=3), label="jobs")
            self.pair.renew(jobs, sending=sending, twice=twice)

    @rule(limit=LIMITS, twice=TWICE, promotes=st.booleans(), reaps=st.booleans())
    def keep_house(self, limit: int, twice: bool, promotes: bool, reaps: bool) -> None:
        if promotes:
            self.pair.promote(limit, twice=twice)
        if reaps:
            self.pair.reap(limit, twice=twice)

    @precondition(lambda self: self.pair.held())
    @rule(data=st.data(), ending=ENDS)
    def cancel_in_hand(self, data: st.DataObject, ending: tuple) -> None:
        """Somebody asks to cancel a job that a worker holds, who renews it, and ends it somehow."""
        job = data.draw(st.sampled_from(self.pair.held()), label="job")
        self.pair.act("cancel", job.id)
        self.pair.renew([job], sending=True)
        self.pair.check()
        self.pair.settle(job, ending)

    @precondition(lambda self: self.pair.held())
    @rule(
        times=st.integers(1, 3),
        mark=st.sampled_from(["", "begun", "sending"]),
        again=st.booleans(),
        cancels=st.booleans(),
        data=st.data(),
    )
    def workers_die(
        self, times: int, mark: str, again: bool, cancels: bool, data: st.DataObject
    ) -> None:
        """One after the other, each with what it had begun. Others may get the jobs; then one of
        the dead wakes up."""
        dead: list[Job] = []
        for time in range(times):
            if time:
                self.pair.claim(1)
            held = self.pair.held()
            dead += held
            if mark == "sending":
                self.pair.renew(held, sending=True)
            for job in held if mark == "begun" else ():
                self.pair.mark_begun(job)
            self.pair.let_leases_run_out()
        if again:
            for job in self.pair.claim(4):
                self.pair.settle(job, data.draw(st.sampled_from([RELEASE, COMPLETE, GIVE_UP])))
        job = data.draw(st.sampled_from(dead), label="wakes up")
        if cancels:
            self.pair.act("cancel", job.id)
        self.pair.settle(job, COMPLETE)

    @precondition(lambda self: self.pair.reference.finished())
    @rule(max_jobs=st.integers(0, 6), limit=LIMITS, success_ms=st.sampled_from([0, LEASE_MS]))
    def trim(self, max_jobs: int, limit: int, success_ms: int) -> None:
        if max_jobs:
            self.pair.trim_by_count(max_jobs, limit)
        else:
            self.pair.trim_by_age(success_ms, LEASE_MS * 2)
        self.pair.repair()
