"""Submission to a store with several shards, while more may be added."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from app.queue.errors import (
    IdempotencyConflict,
    LayoutChanging,
    QueueFull,
    QueueUnavailable,
)
from app.queue.jobqueue import IDEMPOTENCY_SECONDS, SUBMIT_MAX
from app.queue.layout import Era, Layout, shard_of_key
from app.queue.shards import Shards
from app.queue.submission import Packed, Submitted, digest_of

# How long a submission waits for shards that are being added; the API has 2 s in all.
PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.02

Answer = Submitted | IdempotencyConflict
Answers = dict[int, Answer | QueueUnavailable]  # by the place of the job
Step = tuple[int, list[int]]  # a shard, and which of the jobs go there


def submit_to_shards(
    shards: Shards,
    jobs: Sequence[Packed],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Answer]:
    """Submits the jobs, each shard's up to `SUBMIT_MAX` in one atomic step; answers in order.

    An idempotency key belongs to one shard; jobs without one go to the next in turn, together.
    Raises as `JobQueue.submit_many`; LayoutChanging when shards are being added for too long.
    """
    answers = submit_each_to_shards(shards, jobs, ahead=True, monotonic=monotonic, sleep=sleep)
    for answer in answers:
        if isinstance(answer, QueueUnavailable):
            raise answer
    return [answer for answer in answers if not isinstance(answer, QueueUnavailable)]


def submit_each_to_shards(
    shards: Shards,
    jobs: Sequence[Packed],
    *,
    ahead: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Answer | QueueUnavailable]:
    """The same, with the error in the place of each job that it is about: its shard is away, or
    LayoutChanging. It hides no answer of the others.

    `ahead`: one shard alone gets a step before the one before is answered. That is faster, but
    after an error one more may have been taken in than is answered (`Scripts.calls`).
    """
    answers: Answers = {}
    until = monotonic() + PATIENCE_SECONDS
    full: set[int] = set()
    while waiting := [at for at in range(len(jobs)) if at not in answers]:
        try:
            layout = shards.layout
            if layout.shards == 1:
                done = _submit_to_one(shards, layout.era, jobs, waiting, answers, ahead)
            else:
                done = _submit_to_several(shards, layout, jobs, waiting, answers, full)
            if done or shards.refresh():
                continue
            if monotonic() > until:
                raise LayoutChanging
            sleep(PAUSE_SECONDS)
        except QueueUnavailable as error:
            answers |= {at: error for at in waiting if at not in answers}
    return [answers[at] for at in range(len(jobs))]


def _submit_to_one(
    shards: Shards,
    era: Era,
    jobs: Sequence[Packed],
    waiting: Sequence[int],
    answers: Answers,
    ahead: bool,
) -> bool:
    """False: it has another era. Raises QueueUnavailable: what was answered before it stands."""
    places = list(_in_steps(waiting))
    steps = [[jobs[at] for at in at_once] for at_once in places]
    with shards.asking(0) as queue:
        one_by_one = (queue.submit_step(step, era) for step in steps)
        taken = queue.submit_steps(steps, era) if ahead else one_by_one
        try:
            for at_once, found in zip(places, taken, strict=True):
                answers.update(zip(at_once, found, strict=True))
        except LayoutChanging:
            return False
    return True


def _submit_to_several(
    shards: Shards,
    layout: Layout,
    jobs: Sequence[Packed],
    waiting: Sequence[int],
    answers: Answers,
    full: set[int],
) -> bool:
    """One round. False: a shard has another era, and the others took what is theirs all the same;
    what is not answered goes into the next round."""
    done = True
    for number, places in _steps(shards, layout, jobs, waiting, answers, full):
        step = [jobs[at] for at in places]
        try:
            with shards.asking(number) as queue:
                found = queue.submit_step(step, layout.era, number)
        except LayoutChanging:
            done = False
        except QueueUnavailable as error:
            if isinstance(error, QueueFull) and number not in full:
                full.add(number)  # it took nothing: what need not go there goes elsewhere
                if not any(map(digest_of, step)):
                    continue
            answers.update((at, error) for at in places)
        else:
            answers.update(zip(places, found, strict=True))
    return done


def _steps(
    shards: Shards,
    layout: Layout,
    jobs: Sequence[Packed],
    waiting: Sequence[int],
    answers: Answers,
    full: set[int],
) -> Iterator[Step]:
    """What goes where, of several shards. Answers itself what can't be told, for one is away."""
    keyed = {at: digest for at in waiting if (digest := digest_of(jobs[at]))}
    for at_once in _in_steps([at for at in waiting if at not in keyed]):
        yield shards.next_serving(but=full), at_once
    by_shard: dict[int, list[int]] = {}
    earlier = _known_earlier(shards, layout, set(keyed.values()))
    for at, digest in keyed.items():
        number = earlier.get(digest, shard_of_key(digest, layout.shards))
        if isinstance(number, QueueUnavailable):
            answers[at] = number
        else:
            by_shard.setdefault(number, []).append(at)
    for number, places in by_shard.items():
        for at_once in _in_steps(places):
            yield number, at_once


def _known_earlier(
    shards: Shards, layout: Layout, digests: set[str]
) -> dict[str, int | QueueUnavailable]:
    """The shards of those keys that an earlier era gave to another shard, and that are remembered;
    or why nobody knows.

    No shard takes anything of an earlier era once a later one is published, so what is not known
    there now never will be.
    """
    found: dict[str, int | QueueUnavailable] = {}
    if not digests or len(layout.eras) == 1:
        return found
    for era in layout.before(shards.now_ms() - IDEMPOTENCY_SECONDS * 1000):
        for number, some in _moved(era, layout, digests - found.keys()).items():
            for first in range(0, len(some), SUBMIT_MAX):
                at_once = some[first : first + SUBMIT_MAX]
                try:
                    with shards.asking(number) as queue:
                        known = queue.known_keys(at_once)
                except QueueUnavailable as error:
                    found |= dict.fromkeys(at_once, error)
                else:
                    found |= dict.fromkeys(known, number)
    return found


def _moved(era: Era, layout: Layout, digests: set[str]) -> dict[int, list[str]]:
    """The digests by their shard of that era, where it is not the one that they have now."""
    by_shard: dict[int, list[str]] = {}
    for digest in digests:
        number = shard_of_key(digest, era.shards)
        if number != shard_of_key(digest, layout.shards):
            by_shard.setdefault(number, []).append(digest)
    return by_shard


def _in_steps(places: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(places), SUBMIT_MAX):
        yield list(places[first : first + SUBMIT_MAX])
