"""Nothing is open to other machines unless somebody said so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from app.config import Config, ConfigError
from app.security.api_keys import ApiKeys
from app.security.exposure import check_password, check_start
from tests.conftest import RedisServer
from tests.security.conftest import PASSWORD, bearer, hashed, log_in
from tests.start.running import environment_without_settings

ROOT = Path(__file__).parents[2]
SUBMIT = {"job_type": "web_noop", "payload": {}}
EXPOSED = [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "mail.example"}, {"trusted_proxies": 1}]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"])
def test_a_loopback_address_needs_nothing(config: Config, host: str) -> None:
    check_start(replace(config, host=host))


@pytest.mark.parametrize("settings", EXPOSED)
def test_without_a_password_the_start_is_refused(config: Config, settings: Any) -> None:
    exposed = replace(config, **settings)
    with pytest.raises(ConfigError, match="^(HOST|TRUSTED_PROXIES): .*DASHBOARD_PASSWORD_HASH"):
        check_password(exposed)
    with pytest.raises(ConfigError, match="ALLOW_INSECURE=1"):
        check_start(replace(exposed, dashboard_viewer_password_hash=hashed(PASSWORD)))
    check_start(replace(exposed, allow_insecure=True))


def test_without_a_key_the_start_is_refused(
    config: Config, client: redis.Redis, server: RedisServer
) -> None:
    exposed = replace(
        config, host="0.0.0.0", redis_url=server.url, dashboard_password_hash=hashed(PASSWORD)
    )
    check_password(exposed)
    with pytest.raises(ConfigError, match="No API key was made.*flask keys create"):
        check_start(exposed)
    keys = ApiKeys(client)
    key, _ = keys.create("x", by="tests", now=1.0)
    check_start(exposed)
    keys.revoke(key.id, now=2.0)
    check_start(exposed)  # the API stays closed


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ([sys.executable, "-m", "app"], 2),
        ([sys.executable, "-m", "gunicorn", "wsgi:app"], 2),
        ([sys.executable, "-c", "import wsgi"], 4),
        ([sys.executable, "-m", "flask", "run", "--port", "0"], 4),
    ],
    ids=["supervisor", "gunicorn", "wsgi", "flask run"],
)
def test_every_way_to_start_refuses(command: list[str], status: int, tmp_path: Path) -> None:
    environment = environment_without_settings() | {
        "HOST": "0.0.0.0",
        "DATA_DIR": str(tmp_path),
        "PORT": "1",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stderr
    assert "HOST: 0.0.0.0 can be reached from other machines." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_that_makes_a_password_always_runs(tmp_path: Path) -> None:
    environment = environment_without_settings() | {"HOST": "0.0.0.0", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "password", "--password", PASSWORD],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout[:7]) == (0, "scrypt:"), done.stderr


STRANGERS = [
    {"environ_overrides": {"REMOTE_ADDR": "192.0.2.1"}},
    {"environ_overrides": {"REMOTE_ADDR": ""}},
    {"environ_overrides": {"REMOTE_ADDR": "::ffff:192.0.2.1"}},
    {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    {"headers": {"Forwarded": "for=127.0.0.1"}},
    {"headers": {"Via": "1.1 proxy"}},
    {"headers": {"Host": "evil.example"}},
    {"headers": {"Host": "localhost.evil.example:8000"}},
    {"headers": {"Host": "192.0.2.1"}},
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_open_is_so_for_this_machine_alone(app: Flask, stranger: Any) -> None:
    """Whatever HOST says: `gunicorn --bind` goes before it, and so does a proxy in front."""
    http = app.test_client()
    assert http.post("/api/process_query", json=SUBMIT, **stranger).status_code == 401
    assert http.get("/api/tasks", **stranger).status_code == 401
    page = http.get("/dashboard", **stranger)
    assert page.status_code == 403
    assert "DASHBOARD_PASSWORD_HASH" in page.text
    assert http.get("/healthz", **stranger).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "mail.localhost"]
)
def test_this_machine_has_several_names(app: Flask, host: str) -> None:
    http = app.test_client()
    assert http.get("/dashboard", headers={"Host": host}).status_code == 200
    assert http.get("/api/tasks", headers={"Host": host}).status_code == 200


def test_who_allows_it_gets_it_open(make_app: Callable[..., Flask]) -> None:
    http = make_app(host="0.0.0.0", allow_insecure=True).test_client()
    for stranger in STRANGERS:
        assert http.get("/api/tasks", **stranger).status_code == 200
        assert http.get("/dashboard", **stranger).status_code == 200


def test_once_a_key_was_made_the_api_stays_closed(
    make_app: Callable[..., Flask], make_key: Callable[..., str], app: Flask
) -> None:
    text = make_key("read")
    for settings in ({}, {"allow_insecure": True}, {"host": "0.0.0.0", "allow_insecure": True}):
        http = make_app(**settings).test_client()
        assert http.get("/api/tasks").status_code == 401
        assert http.get("/api/tasks", headers=bearer(text)).status_code == 200
    keys = app.extensions["api_keys"]
    [(key, _)] = keys.list()
    keys.revoke(key.id, now=2.0)
    assert make_app().test_client().get("/api/tasks").status_code == 401
    # The dashboard has no keys; on this machine it stays as it was.
    assert make_app().test_client().get("/dashboard").status_code == 200


def test_a_password_closes_the_api_as_well(make_app: Callable[..., Flask]) -> None:
    """Else anybody could get around the login with curl."""
    app = make_app(dashboard_password_hash=hashed(PASSWORD))
    assert app.test_client().get("/api/tasks").status_code == 401
    assert log_in(app).get("/dashboard").status_code == 200


def test_a_wrong_key_is_refused_where_none_is_needed(app: Flask) -> None:
    response = app.test_client().get("/api/tasks", headers=bearer("mr_00000000_" + "0" * 64))
    assert response.status_code == 401
    basic = {"Authorization": "Basic YTpi"}  # a proxy's login, not ours
    assert app.test_client().get("/api/tasks", headers=basic).status_code == 200


def test_a_trusted_proxy_tells_who_calls_and_how(make_app: Callable[..., Flask]) -> None:
    app = make_app(trusted_proxies=1, dashboard_password_hash=hashed(PASSWORD))
    # What the caller wrote stands left of what the proxy added.
    headers = {"X-Forwarded-For": "10.9.9.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    headers |= {"X-Forwarded-Host": "evil.example", "Referer": "https://localhost/login"}
    http = log_in(app, headers=headers)
    [entry] = app.extensions["audit"].recent()
    assert entry.who == "dashboard operator 192.0.2.7"
    assert "Secure" in http.get("/login", headers=headers).headers.get("Set-Cookie", "Secure")
    for path in ("/login", "/healthz", "/nowhere", "/api/tasks", "/static/app.css"):
        answer = http.get(path, headers=headers)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        answer.close()


def test_without_a_trusted_proxy_nobody_forges_an_address(guarded: Flask) -> None:
    forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    http = log_in(guarded, headers=forged)
    assert "Strict-Transport-Security" not in http.get("/login", headers=forged).headers
    [entry] = guarded.extensions["audit"].recent()
    assert entry.who == "dashboard operator 127.0.0.1"


def test_when_redis_is_away_nobody_is_let_in(config: Config, closed_redis: str) -> None:
    from app import create_app

    http = create_app(replace(config, redis_url=closed_redis)).test_client()
    response = http.get("/api/tasks", headers=bearer("mr_00000000_" + "0" * 64))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
