"""A store of one server is copied onto a cluster, given shards, and goes on there."""

from __future__ import annotations

from pathlib import Path

import redis

from app.queue import copying
from app.queue.connection import connect
from app.queue.growth import grow
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.submission import NewJob
from tests.cluster.servers import Cluster
from tests.cluster.shards import HOME, SHARDS, sharded_system
from tests.conftest import RedisServer
from tests.workers.processes import wait_until

JOBS = 600


def test_its_jobs_keys_and_history_go_on_over_all_shards(
    server: RedisServer, client: redis.Redis, cluster: Cluster, tmp_path: Path
) -> None:
    earlier = JobQueue(client)
    earlier.ensure_schema()
    jobs = [NewJob("noop", idempotency_key=f"order-{number}") for number in range(JOBS)]
    ids = [answer.job_id for answer in earlier.submit_many(jobs)]
    for job in earlier.claim("w1", 100):
        earlier.complete(job)
    source = connect(server.url, name="test", text_errors=copying.LOSSLESS)
    home = connect(cluster.url, name="test", slot_key=HOME)

    list(copying.copy_store(source, Keys(), home, Keys(HOME)))

    with sharded_system(cluster, tmp_path, shards=1) as one:
        grow(one.queue.shards, SHARDS)
    with sharded_system(cluster, tmp_path) as system:
        again = system.queue.submit_many([*jobs, *[NewJob("noop")] * JOBS])
        assert [answer.job_id for answer in again[:JOBS]] == ids
        assert min(answer.job_id for answer in again[JOBS:]) > ids[-1]
        assert system.statuses()["success"] == 100
        system.start()
        wait_until(lambda: system.statuses() == {"success": 2 * JOBS}, "all are done")
    for opened in (source, home):
        opened.close()
