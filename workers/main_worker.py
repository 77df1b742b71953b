"""`python -m workers.main_worker`: runs jobs."""

from __future__ import annotations

from workers.startup import run
from workers.worker_base import Worker

if __name__ == "__main__":
    run(lambda config: Worker(config).run())
