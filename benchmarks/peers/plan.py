"""How much of everything is measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.arena import OURS, Peer


@dataclass(frozen=True)
class Plan:
    """`share`: of the jobs and times that the full measurement takes."""

    others: tuple[Peer, ...]
    share: float = 1.0

    @property
    def peers(self) -> tuple[Peer, ...]:
        return (OURS, *self.others)

    def jobs(self, jobs: int, peer: Peer = OURS) -> int:
        return max(20, int(jobs * self.share * peer.jobs_share))

    def seconds(self, seconds: float) -> float:
        return max(0.5, seconds * self.share)
