"""How much a caller may ask for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask import Flask

from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.security.api_keys import ApiKey
from app.security.limits import DailyQuota, LoginThrottle, RequestRate
from app.security.refusals import TooMany
from tests.security.conftest import bearer

KEY = ApiKey("k1", "tests", "", ("submit",), (), None, 0.0, "tests")
OTHER = ApiKey("k2", "tests", "", ("submit",), (), None, 0.0, "tests")
NOON = 12 * 3600.0


def granted(rate: RequestRate, tries: int, *, key: ApiKey = KEY, now: float = 60.0) -> int:
    count = 0
    for _ in range(tries):
        try:
            rate.count(key, now=now)
            count += 1
        except TooMany:
            pass
    return count


@pytest.mark.parametrize("limit", [1, 7, 50, 99, 1_000])
def test_a_key_makes_as_many_requests_as_it_may(store: redis.Redis, limit: int) -> None:
    rate = RequestRate(store, (limit, 60), prefix="p:")
    assert granted(rate, limit + 20) == limit
    assert granted(rate, 5, key=OTHER) == min(5, limit)
    assert granted(rate, 5, now=119.9) == 0
    assert granted(rate, 5, now=120.0) == min(5, limit)
    assert all(0 < store.ttl(name) <= 120 for name in store.scan_iter("p:Requests:*"))


def test_all_processes_together_never_grant_more(store: redis.Redis) -> None:
    processes = [RequestRate(store, (1_000, 60)) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda n: granted(processes[n % 4], 300), range(8)))
    assert 1_000 - 4 * 20 <= sum(counts) <= 1_000


def test_most_requests_ask_redis_nothing(store: redis.Redis) -> None:
    rate = RequestRate(store, (5_000, 60))
    granted(rate, 1_000)
    assert int(store.get("Requests:k1:1") or 0) == 1_000  # ten shares of a hundred


def test_the_refusal_says_when_to_come_back(store: redis.Redis) -> None:
    rate = RequestRate(store, (1, 3600))
    rate.count(KEY, now=3600.0)
    with pytest.raises(TooMany, match="1 requests in 3600 s") as caught:
        rate.count(KEY, now=3700.5)
    assert caught.value.headers == {"Retry-After": "3500"}


def test_without_a_rate_nothing_is_counted(store: redis.Redis) -> None:
    assert granted(RequestRate(store, None), 100) == 100
    assert store.dbsize() == 0


def test_a_quota_holds_from_midnight_to_midnight(store: redis.Redis) -> None:
    quota = DailyQuota(store, prefix="p:")
    key = _with_quota(10)
    with quota.charged(key, 8, now=NOON):
        pass
    with pytest.raises(TooMany, match="10 jobs a day .*; 2 are left") as caught:
        quota.charged(key, 3, now=NOON).__enter__()
    assert caught.value.headers == {"Retry-After": str(12 * 3600)}
    with quota.charged(key, 2, now=NOON):
        pass
    with pytest.raises(TooMany):
        quota.charged(key, 1, now=2 * NOON - 1).__enter__()
    with quota.charged(key, 10, now=2 * NOON):
        pass


def test_what_was_not_submitted_is_given_back(store: redis.Redis) -> None:
    quota, key = DailyQuota(store), _with_quota(3)
    with pytest.raises(RuntimeError), quota.charged(key, 3, now=NOON):
        raise RuntimeError
    with quota.charged(key, 3, now=NOON) as not_new:
        not_new += [1, 1]  # their idempotency key was known
    with quota.charged(key, 2, now=NOON):
        pass
    with pytest.raises(TooMany, match="0 are left"):
        quota.charged(key, 1, now=NOON).__enter__()


def test_tries_from_one_network_count_together(store: redis.Redis) -> None:
    throttle = LoginThrottle(store)
    assert [throttle.count(f"2001:db8::{n}") for n in range(5)] == [0] * 5
    assert 0 < throttle.count("2001:db8::ffff:1") <= 60
    assert throttle.count("2001:db8:0:1::1") == 0
    assert throttle.count("not an address") == 0


def test_when_redis_is_away_no_key_is_counted_and_none_gets_by() -> None:
    away = connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2)
    with pytest.raises(QueueUnavailable):
        RequestRate(away, (5, 60)).count(KEY, now=1.0)
    with pytest.raises(QueueUnavailable):
        DailyQuota(away).charged(_with_quota(3), 1, now=NOON).__enter__()


# Over HTTP.


def test_too_many_requests_are_429(
    make_app: Callable[..., Flask], make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All in one hour.
    monkeypatch.setattr("app.security.access.time.time", lambda: 1_800_000_000.0)
    key, other = bearer(make_key("read")), bearer(make_key("read"))
    http = make_app(api_rate_limit=(3, 3600)).test_client()
    assert [http.get("/api/stats", headers=key).status_code for _ in range(3)] == [200] * 3

    refused = http.get("/api/stats", headers=key)

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert refused.json["message"].startswith("The API key may make 3 requests in 3600 s")
    assert http.get("/api/stats", headers=other).status_code == 200


def test_a_daily_quota_over_http(app: Flask, make_key: Callable[..., str]) -> None:
    key, http = bearer(make_key("submit", daily_quota=3)), app.test_client()
    job: dict[str, Any] = {"job_type": "web_noop", "payload": {}}

    def submit(**headers: str) -> int:
        return http.post("/api/process_query", json=job, headers=key | headers).status_code

    # A repeat makes no job, nor does a refused one.
    assert [submit(**{"Idempotency-Key": "a"}) for _ in range(3)] == [200] * 3
    assert http.post("/api/process_query", json={}, headers=key).status_code == 422
    batch = http.post("/api/jobs/batch", json={"jobs": [job, {}, job]}, headers=key)
    assert (batch.json["accepted"], batch.json["rejected"]) == (2, 1)
    refused = http.post("/api/process_query", json=job, headers=key)
    assert refused.status_code == 429
    assert refused.json["message"] == "The API key may submit 3 jobs a day (UTC); 0 are left"
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert submit(**{"Idempotency-Key": "a"}) == 429


def test_a_key_sends_as_those_it_may(app: Flask, make_key: Callable[..., str]) -> None:
    key = bearer(make_key("submit", senders=["shop.example", "ann@bücher.example"]))
    http = app.test_client()

    def send(**fields: Any) -> Any:
        mail = {"to": "user@example.com", "message": "Hello"} | fields
        body = {"job_type": "send_email", "payload": mail}
        return http.post("/api/process_query", json=body, headers=key)

    for allowed in ("Shop <a@SHOP.example>", "ann@bücher.example", "ann@xn--bcher-kva.example"):
        assert send(**{"from": allowed}).status_code == 200, allowed
    refusal = ["This API key may not send as this. Allowed: shop.example, ann@bücher.example."]
    for refused in ("a@sub.shop.example", "bob@bücher.example", "a@shop.example.evil.example"):
        response = send(**{"from": refused})
        assert response.status_code == 422, refused
        assert response.json["errors"] == {"payload": {"from": refusal}}
    # Without `from` it would be from MAIL_FROM, which is not on the list either.
    assert send().json["errors"] == {"payload": {"from": refusal}}
    for field in ("reply_to", "envelope_from"):
        response = send(**{"from": "a@shop.example", field: "x@evil.example"})
        assert response.json["errors"] == {"payload": {field: refusal}}
    other = {"job_type": "web_noop", "payload": {"from": "x@evil.example"}}
    mail = {"job_type": "send_email", "payload": {"to": "u@example.com", "message": "x"}}
    batch = http.post("/api/jobs/batch", json={"jobs": [other, mail]}, headers=key)
    assert batch.json["results"][1] == {"query_id": None, "errors": {"payload": {"from": refusal}}}
    assert batch.json["accepted"] == 1


def test_a_key_stands_in_the_audit_log(app: Flask, make_key: Callable[..., str]) -> None:
    key = bearer(make_key("admin"))
    app.test_client().post("/api/queue/pause", headers=key)
    [entry] = app.extensions["audit"].recent()
    key_id = key["Authorization"].split("_")[1]
    assert (entry.who, entry.action) == (f"api key {key_id} (tests) 127.0.0.1", "pause")


def test_no_key_and_no_password_is_logged(
    app: Flask, make_key: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    text = make_key("submit")
    caplog.set_level("DEBUG")
    http = app.test_client()
    payload = {"password": "hunter2", "text": "for one reader"}
    body = {"job_type": "web_noop", "payload": payload}
    assert http.post("/api/process_query", json=body, headers=bearer(text)).status_code == 200
    assert http.post("/api/process_query", json=body, headers=bearer(text[:-1])).status_code == 401
    assert http.get("/api/tasks", headers=bearer(text)).status_code == 403
    assert "process_query" in caplog.text
    for secret in (text, text[12:40], "hunter2", "for one reader"):
        assert secret not in caplog.text


def _with_quota(quota: int) -> ApiKey:
    return ApiKey("k3", "tests", "", ("submit",), (), quota, 0.0, "tests")
