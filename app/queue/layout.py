"""Which shard of a store has a job: the layout, a list of eras.

The store holds it, at home, which is shard 0. Shards are only ever added: then a new era begins,
with ids above all that were given before, and what older ids say stays true.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARDS_MAX = 64
CLOSED = ":closed"  # behind the mark of an era that a shard has begun, and takes nothing of yet


@dataclass(frozen=True, slots=True)
class Era:
    """While it lasts, jobs go to `shards` shards and get ids above `first_id`; the remainder of an
    id by `shards` is the number of its shard."""

    first_id: int = 0  # a multiple of `shards`; itself never given
    shards: int = 1
    since_ms: int = 0  # by the clock of home; 0: since the store was made

    @property
    def mark(self) -> str:
        """What a shard knows it by, and every submission names (`lua/submit.lua`)."""
        return f"{self.first_id}:{self.shards}"

    @classmethod
    def from_mark(cls, mark: str) -> Era:
        """As a shard has it, open or closed."""
        return cls(*map(int, mark.removesuffix(CLOSED).split(":")))

    def comes_after(self, other: Era) -> bool:
        """The order in which shards take eras on (`lua/grow.lua`)."""
        return (self.first_id, self.shards) > (other.first_id, other.shards)


@dataclass(frozen=True, slots=True)
class Layout:
    eras: tuple[Era, ...] = (Era(),)  # oldest first

    @property
    def era(self) -> Era:
        """The one that lasts."""
        return self.eras[-1]

    @property
    def shards(self) -> int:
        return self.era.shards

    def shard_of(self, job_id: int) -> int:
        """The number of the shard that has this job, if there is such a job."""
        for era in reversed(self.eras):
            if job_id >= era.first_id:
                return job_id % era.shards
        return 0  # no id

    def before(self, since_ms: float) -> list[Era]:
        """Those that ended since then, latest first."""
        pairs = zip(self.eras, self.eras[1:], strict=False)
        return [era for era, following in pairs if following.since_ms > since_ms][::-1]

    def with_era(self, first_id: int, shards: int) -> Layout:
        """With a new era. One that begins at 0, in an empty store, takes the place of the first."""
        return Layout((*(self.eras if first_id else ()), Era(first_id, shards)))

    def text(self) -> str:
        """As the store has it."""
        return ",".join(f"{era.mark}:{era.since_ms}" for era in self.eras)

    @classmethod
    def from_text(cls, text: str | None) -> Layout:
        """A store without one has one shard."""
        if not text:
            return cls()
        return cls(tuple(Era(*map(int, part.split(":"))) for part in text.split(",")))


def shard_prefix(key_prefix: str, number: int) -> str:
    """What stands before the keys of a shard. `key_prefix` is home's."""
    if number == 0:
        return key_prefix
    if "{mr0}" in key_prefix:
        return key_prefix.replace("{mr0}", f"{{mr{number}}}")
    return f"{key_prefix}{{mr{number}}}"


def shard_of_key(digest: str, shards: int) -> int:
    """The shard of an idempotency key, by the digest that is kept of it."""
    return int(digest, 16) % shards
