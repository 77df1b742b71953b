"""What the embedded server is started with."""

from __future__ import annotations

from pathlib import Path

from app.supervisor.leash import TUNABLES, spawn_server


def test_the_server_keeps_freed_memory_at_hand(tmp_path: Path) -> None:
    said = tmp_path / "said"

    server = spawn_server(["/bin/sh", "-c", f'printf %s "$GLIBC_TUNABLES" > "{said}"'])

    assert server.wait(timeout=10) == 0
    assert said.read_text() == TUNABLES
