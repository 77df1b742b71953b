"""What the embedded server is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.supervisor.leash import TUNABLES, spawn_server


@pytest.mark.parametrize(
    ("own", "found"), [(None, TUNABLES), ("glibc.malloc.check=1", "glibc.malloc.check=1")]
)
def test_the_server_keeps_freed_memory_at_hand_unless_somebody_says_otherwise(
    own: str | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    said = tmp_path / "said"

    server = spawn_server(["/bin/sh", "-c", f'printf %s "$GLIBC_TUNABLES" > "{said}"'])

    assert server.wait(timeout=10) == 0
    assert said.read_text() == found
