"""The key that signs cookies: given, or made once and kept for all processes."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import Config, ConfigError
from app.security.secret_key import secret_key


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config.load(env_file=None), data_dir=tmp_path / "data", secret_key="")


def test_a_key_of_one_s_own_is_used_and_nothing_written(config: Config) -> None:
    assert secret_key(replace(config, secret_key="k" * 32)) == "k" * 32
    assert not config.data_dir.exists()


def test_a_key_is_made_once_and_kept_for_us_alone(config: Config) -> None:
    made = secret_key(config)

    assert len(made) == 64
    assert secret_key(config) == made
    [file] = config.data_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.data_dir.stat().st_mode) == 0o700


def test_copies_have_keys_of_their_own(config: Config, tmp_path: Path) -> None:
    assert secret_key(config) != secret_key(replace(config, data_dir=tmp_path / "other"))


def test_processes_that_start_at_once_agree_on_one_key(config: Config) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: secret_key(config), range(64)))
    finally:
        sys.setswitchinterval(interval)

    assert len(keys) == 1
    assert [path.name for path in config.data_dir.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("content", ["", "short", "ä" * 64])
def test_a_damaged_key_stops_the_start_with_a_line_that_says_how(
    config: Config, content: str
) -> None:
    config.data_dir.mkdir()
    (config.data_dir / "secret_key").write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match="^SECRET_KEY: "):
        secret_key(config)


def test_a_folder_that_cannot_be_written_stops_the_start(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(ConfigError, match=r"^SECRET_KEY: .*DATA_DIR"):
        secret_key(replace(config, data_dir=file / "below"))
