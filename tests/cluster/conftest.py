"""A real cluster, one for each test process. A test that fails a node over mends it again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.servers import Cluster, running_cluster


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    # Not pytest's folder: its path can be too long for a socket.
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-test-", dir="/tmp") as folder,
        running_cluster(Path(folder), masters=3, with_replica=[0]) as cluster,
    ):
        yield cluster


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Cluster:
    """Three masters, the first with a replica; empty."""
    for port in whole_cluster.ports:
        if whole_cluster.is_master(port):
            whole_cluster.command(port, "FLUSHALL")
    return whole_cluster
