"""How a store gets its shards: at once when it is empty, or more of them while the system runs.

Adding shards writes a new era into every shard, and into home last: that publishes it. From its
own moment on a shard takes nothing of the era before, and before home's it takes nothing of the
new one, as nobody knows of it. Whoever is stopped half-way starts again from the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.queue.errors import ServerUnsuitable
from app.queue.jobqueue import JobQueue
from app.queue.layout import SHARDS_MAX, Era, Layout
from app.queue.shards import Shards

# Ids that may be given in the old era while the new one is written to one shard after the other.
MARGIN = 10_000
TRIES = 6  # each with ten times the margin


def ensure_layout(shards: Shards) -> str | None:
    """Makes the layout of an empty store; a warning when it has others than the settings want.

    Raises ServerUnsuitable when the store would have to get more shards first, QueueUnavailable.
    """
    shards.refresh()
    layout, wanted = shards.layout, shards.wanted
    if wanted > layout.shards and _is_new(shards, layout):
        try:
            grow(shards, wanted)
        except ServerUnsuitable:
            shards.refresh()
            if shards.layout == layout:  # else somebody else was faster, with another number
                raise
        layout = shards.layout
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
    layout = shards.layout
    if not layout.shards <= wanted <= SHARDS_MAX:
        raise ServerUnsuitable(
            f"The store has {layout.shards} shards: {layout.shards} to {SHARDS_MAX} are allowed. "
            "There can't be fewer, as jobs and their ids belong to the shards there are."
        )
    queues = shards.opened(wanted)
    for queue in queues:
        queue.ensure_home(queues[0].keys.prefix)
    if wanted == layout.shards:
        _repeat(queues, layout)
        return layout
    for tried in range(TRIES):
        first_id = _first_id(queues, layout, wanted, MARGIN * 10**tried)
        if _begin(queues, layout, Era(first_id, wanted)):
            break
    else:
        raise ServerUnsuitable("Ids are given too fast to add shards now. Try again later.")
    shards.refresh()
    queues[0].wake(queues[0].keys.wake)  # who is idle hears of the others
    queues[0].wake(queues[0].keys.wake_due)
    return shards.layout


def _is_new(shards: Shards, layout: Layout) -> bool:
    return layout == Layout() and not shards.home.shard_facts().last_id


def _first_id(queues: Sequence[JobQueue], layout: Layout, wanted: int, margin: int) -> int:
    last_id = max(queue.shard_facts().last_id for queue in queues)
    if not last_id and layout == Layout():
        return 0
    least = max(last_id, layout.era.first_id) + margin
    return least + -least % wanted


def _begin(queues: Sequence[JobQueue], layout: Layout, era: Era) -> bool:
    """False: by now an id was given above the era's first one."""
    earlier = layout.text() if era.first_id else ""
    for number in reversed(range(len(queues))):
        answer = queues[number].begin_era(era, earlier=earlier if number == 0 else None)
        if answer.startswith("era"):
            shards = answer.rpartition(":")[2]
            raise ServerUnsuitable(
                f"Somebody else takes the store to {shards} shards, or was interrupted doing so. "
                f"Look with `flask queue shards`; `flask queue shards {shards}` finishes it."
            )
        if answer != "ok":
            return False
    return True


def _repeat(queues: Sequence[JobQueue], layout: Layout) -> None:
    """Shards where something else was written after all take on what home has."""
    for queue in queues[1:]:
        queue.begin_era(layout.era, earlier=None, published=True)
    if queues[0].shard_facts().era != layout.era.mark:
        queues[0].begin_era(layout.era, earlier=None, published=True)
