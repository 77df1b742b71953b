"""How a store gets its shards: at once when it is empty, or more of them while the system runs.

Adding shards closes all but home for a new era, publishes it at home, and then opens the others.
So no shard takes anything of the era before once another has some of the new one, and none takes
any of that before home, and its replicas where there must be some, have it for good. Whoever is
stopped half-way starts again from the beginning, with a later era if need be: a shard never goes
back to an earlier one, so nobody who comes late undoes what another did.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from app.queue.answers import ShardFacts
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.jobqueue import JobQueue
from app.queue.layout import CLOSED, SHARDS_MAX, Era, Layout
from app.queue.shards import Shards

# Ids that may be given in the old era while the new one is written to one shard after the other.
MARGIN = 10_000
TRIES = 6  # with ten times the margin where that was too small

# How a try ended: done; the era would begin below an id that was given; others did something.
Ended = Literal["done", "ids", "others"]


def ensure_layout(shards: Shards) -> str | None:
    """Makes the layout of an empty store; a warning when it has others than the settings want.

    Raises ServerUnsuitable when the store would have to get more shards first, QueueUnavailable.
    """
    shards.refresh()
    layout, wanted = shards.layout, shards.wanted
    if wanted > layout.shards and _is_new(shards, layout):
        _begin_first(shards, wanted)
        layout = shards.layout
    _open_closed(shards)
    if wanted == layout.shards:
        return None
    if wanted in {era.shards for era in layout.eras}:
        # What was started before shards were added goes on, and may be started again.
        return f"QUEUE_SHARDS: the store has {layout.shards} shards by now: set it to that."
    if wanted < layout.shards:
        raise ServerUnsuitable(
            f"QUEUE_SHARDS: the store has {layout.shards} shards, and can't have fewer: jobs "
            f"lie in all of them. Set QUEUE_SHARDS={layout.shards}."
        )
    raise ServerUnsuitable(
        f"QUEUE_SHARDS: the store has {layout.shards} shards, not {wanted}. Add the others with "
        f"`flask queue shards {wanted}`, which may be done while the system runs "
        f"(docs/scaling.md), or set QUEUE_SHARDS={layout.shards}."
    )


def grow(shards: Shards, wanted: int) -> Layout:
    """Takes the store to `wanted` shards; the same number again finishes what was interrupted.

    Raises ServerUnsuitable when that can't be, QueueUnavailable (then do it again).
    """
    shards.refresh()
    _refuse_fewer(shards.layout, wanted)
    margin = MARGIN
    for _ in range(TRIES):
        ended = _grow_once(shards, wanted, margin)
        if ended == "done":
            break
        if ended == "ids":
            margin *= 10
    else:
        why = "Ids are given too fast" if ended == "ids" else "Others add shards, too"
        raise ServerUnsuitable(f"{why}: none can be added now. Try again later.")
    _refuse_fewer(shards.layout, wanted)  # somebody else added more meanwhile
    home = shards.home
    home.wake(home.keys.wake)  # who is idle hears of the others
    home.wake(home.keys.wake_due)
    return shards.layout


def _is_new(shards: Shards, layout: Layout) -> bool:
    return layout == Layout() and not shards.home.shard_facts().last_id


def _begin_first(shards: Shards, wanted: int) -> None:
    """Gives way to whoever was faster, with this number or another."""
    _own(shards, wanted)
    try:
        ended = _begin(shards, Layout(), Era(0, wanted))
    except ServerUnsuitable:
        ended = "others"
    shards.refresh()
    if ended != "done":
        grow(shards, shards.layout.shards)  # what was closed here may be in their way


def _open_closed(shards: Shards) -> None:
    """What home has for long and whoever began it did not get to. Shards that are away wait."""
    layout = shards.layout
    closed = False
    for number in range(1, layout.shards):
        with suppress(QueueUnavailable), shards.asking(number) as queue:
            closed |= queue.shard_facts().era == layout.era.mark + CLOSED
    if closed:
        with suppress(QueueUnavailable):
            _begin(shards, layout, layout.era)


def _refuse_fewer(layout: Layout, wanted: int) -> None:
    if not layout.shards <= wanted <= SHARDS_MAX:
        raise ServerUnsuitable(
            f"The store has {layout.shards} shards: {layout.shards} to {SHARDS_MAX} are allowed. "
            "There can't be fewer, as jobs and their ids belong to the shards there are."
        )


def _grow_once(shards: Shards, wanted: int, margin: int) -> Ended:
    """An era that home had forgotten comes first: then it is to be tried again."""
    shards.refresh()
    layout = shards.layout
    facts = _facts(shards, max(wanted, layout.shards))
    forgotten = _forgotten(layout, facts)
    era = forgotten or _next_era(layout, facts, max(wanted, layout.shards), margin)
    ended = _begin(shards, layout, era)
    shards.refresh()
    return "others" if ended == "done" and shards.layout.shards < wanted else ended


def _own(shards: Shards, number: int) -> list[JobQueue]:
    """So many shards. Raises ServerUnsuitable where one is another store's, before anything is
    written there."""
    queues = shards.opened(number)
    for queue in queues:
        queue.ensure_home(shards.home.keys.prefix)
    return queues


def _facts(shards: Shards, number: int) -> list[ShardFacts]:
    """Of so many shards, and of all that the eras found there name."""
    facts = [queue.shard_facts() for queue in _own(shards, number)]
    others = _own(shards, _latest(facts).shards)[number:]
    return facts + [queue.shard_facts() for queue in others]


def _latest(facts: Sequence[ShardFacts]) -> Era:
    eras = (Era.from_mark(one.era) for one in facts)
    return max(eras, key=lambda era: (era.first_id, era.shards))


def _forgotten(layout: Layout, facts: Sequence[ShardFacts]) -> Era | None:
    """An era in which shards gave ids, although home does not have it: its server failed over to
    one that had not heard of it."""
    era = _latest(facts)
    taking = [one for one in facts if one.era == era.mark]
    others = [one for one in facts if one.era != era.mark]
    least = max(era.first_id, 1)
    if not era.comes_after(layout.era) or any(one.last_id >= least for one in others):
        return None
    return era if any(one.last_id >= least for one in taking) else None


def _next_era(layout: Layout, facts: Sequence[ShardFacts], wanted: int, margin: int) -> Era:
    """The one that lasts, if there are as many shards and no shard has begun a later one; or the
    one that somebody has begun, with as many: two that leapt over each other would never end."""
    latest = _latest(facts)
    if wanted == layout.shards and not latest.comes_after(layout.era):
        return layout.era
    last_id = max(one.last_id for one in facts)
    if wanted == latest.shards and last_id < max(latest.first_id, 1):
        return latest
    first = Era(0, wanted)
    if layout == Layout() and not last_id and not latest.comes_after(first):
        return first
    least = max(last_id, latest.first_id, layout.era.first_id) + margin
    return Era(least + -least % wanted, wanted)


def _begin(shards: Shards, layout: Layout, era: Era) -> Ended:
    """Raises ServerUnsuitable when somebody else begins an era of another number of shards."""
    home, *others = shards.opened(era.shards)
    if era != layout.era:
        for queue in reversed(others):
            answer = queue.begin_era(era, "close")
            number = answer.rpartition(":")[2]
            if answer.startswith("era") and number != str(era.shards):
                raise ServerUnsuitable(
                    f"Somebody else takes the store to {number} shards, or was interrupted doing "
                    f"so. Look with `flask queue shards`; `flask queue shards {number}` finishes "
                    "it."
                )
            if answer != "ok":
                return _why_not(answer)
    answer = home.begin_era(era, "publish", earlier=layout.text() if era.first_id else "")
    if answer != "ok":
        return _why_not(answer)
    _pause_as_home(home, others)
    opened = [queue.begin_era(era, "open") for queue in others]
    return "done" if set(opened) <= {"ok"} else "others"


def _why_not(answer: str) -> Ended:
    return "others" if answer.startswith("era") else "ids"


def _pause_as_home(home: JobQueue, queues: Sequence[JobQueue]) -> None:
    """Until home says the same before and after. Who pauses or resumes it later than that sees the
    new shards, and does so with them (`ShardedJobQueue.pause`)."""
    paused = not home.shard_facts().paused
    while paused != (said := home.shard_facts().paused):
        paused = said
        for queue in queues:
            if queue.shard_facts().paused != paused:
                queue.pause() if paused else queue.resume()
