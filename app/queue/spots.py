"""Where jobs stand in a list that lies in several shards, and what a shard shows of its part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Compares as jobs are ordered upwards: 0 or 1, for those without the value that is sorted by stand
# last in either direction; the value; then 0, the id, 0, or, in a tie that its shard does not put
# in order of ids, 1, the shard, the rank there. Behind that id and shard, for those who read it.
Spot = tuple[int, Any, int, int, int, int, int]
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Slice:
    """What a shard shows of its `total` spots: those from rank `first` on, as the page has them.
    Around a place: `rank` spots come before it."""

    total: int
    first: int
    spots: list[Spot]
    rank: int = 0

    def nearest(self, rank: int) -> int:
        """The rank nearest to this one of those that are shown."""
        return max(self.first, min(rank, self.first + len(self.spots) - 1))
