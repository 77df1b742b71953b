"""Behind nginx, with our own file for it: login, keys, and who gets nowhere."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import redis

from app.queue.audit import Audit
from app.security.api_keys import ApiKeys
from tests.conftest import RedisServer
from tests.deploy.proxy import NAME, Proxy, nginx
from tests.security.conftest import PASSWORD, bearer, hashed
from tests.start.running import running_copy, wait_for

MAIL = {"to": "a@example.com", "subject": "s", "message": "m"}


class Connection(http.client.HTTPSConnection):
    """To this machine, whatever the name, which no DNS knows."""

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


@dataclass
class Browser:
    """What speaks TLS to the proxy, each request on a connection of its own, and keeps cookies."""

    proxy: Proxy
    cookie: str = ""

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = Connection(NAME, self.proxy.port, timeout=30, context=self.proxy.tls)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, given | {"Cookie": self.cookie})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        for name, morsel in SimpleCookie(answer.headers["Set-Cookie"] or "").items():
            self.cookie = f"{name}={morsel.value}"
        return answer, text

    def log_in(self) -> http.client.HTTPResponse:
        _, page = self.ask("GET", "/login")
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found
        form = {"csrf_token": found[1], "name": "operator", "password": PASSWORD}
        # As a browser fills it in: with the port, where it is not 443.
        origin = f"https://{NAME}:{self.proxy.port}"
        content_type = "application/x-www-form-urlencoded"
        answer, _ = self.ask(
            *("POST", "/login", urlencode(form)),
            **{"Content_Type": content_type, "Origin": origin, "Referer": f"{origin}/login"},
        )
        return answer

    def submit(self, payload: Any, **headers: str) -> tuple[http.client.HTTPResponse, str]:
        body = json.dumps({"job_type": "send_email", "payload": payload})
        return self.ask(
            "POST", "/api/process_query", body, Content_Type="application/json", **headers
        )


@pytest.fixture
def key(client: redis.Redis) -> str:
    _, text = ApiKeys(client).create("t", scopes=("submit", "read"), by="tests", now=1.0)
    return text


@pytest.fixture
def browser(tmp_path: Path, server: RedisServer, key: str) -> Iterator[Browser]:
    settings = {
        "REDIS_URL": server.url,
        "TRUSTED_PROXIES": "1",
        "DASHBOARD_PASSWORD_HASH": hashed(PASSWORD),
    }
    command = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with running_copy(tmp_path / "data", command, **settings) as copy:
        wait_for(copy.answers, copy)
        with nginx(tmp_path / "nginx", copy.port) as proxy:
            yield Browser(proxy)


def test_it_is_deployed_as_the_documentation_says(
    browser: Browser, client: redis.Redis, key: str
) -> None:
    answer, _ = browser.ask("GET", "/dashboard")
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    answer = browser.log_in()
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert browser.ask("GET", "/dashboard")[0].status == 200
    answer, text = browser.submit(MAIL, X_Request_ID="order-7", **bearer(key))
    assert answer.status == 200 and json.loads(text)["data"]["request_id"] == "order-7"
    assert browser.ask("GET", "/metrics", **bearer(key))[0].status == 200
    assert browser.ask("GET", "/metrics")[0].status == 401
    [entry] = Audit(client).recent()
    assert entry.who == "dashboard operator 127.0.0.1"


def test_a_stranger_gets_nowhere(browser: Browser, client: redis.Redis, key: str) -> None:
    forged = {"X_Forwarded_For": "127.0.0.1", "X_Forwarded_Host": "localhost", "Via": "x"}
    assert browser.submit(MAIL, **forged)[0].status == 401
    assert browser.submit(MAIL, **bearer("mr_00000000_" + "0" * 64))[0].status == 401
    assert browser.submit(MAIL, Sec_Fetch_Site="cross-site", **bearer(key))[0].status == 403
    assert browser.submit("x" * 18_000_000, **bearer(key))[0].status == 413
    assert browser.ask("POST", "/api/queue/pause", **bearer(key))[0].status == 403
    connection = http.client.HTTPConnection("127.0.0.1", browser.proxy.plain_port, timeout=30)
    connection.request("GET", "/dashboard", headers={"Host": NAME})
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 301 and answer.headers["Location"] == f"https://{NAME}/dashboard"
    assert client.zcard("Mail_queue") == 0 and Audit(client).recent() == []
