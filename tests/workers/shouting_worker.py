"""A worker of a user's own."""

from __future__ import annotations

from typing import Any

from app.queue.job import Job
from workers.startup import run
from workers.worker_base import Worker


class ShoutingWorker(Worker):
    def process_job(self, job: Job) -> Any:
        return {"shouted": super().process_job(job)}


if __name__ == "__main__":
    run(lambda config: ShoutingWorker(config).run())
