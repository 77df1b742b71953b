"""Events on their way to a receiver, over real HTTP on loopback."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from app.jobs import find
from app.jobs.silent_hosts import HOSTS_MAX, SILENT_SECONDS, TIMEOUTS_IN_A_ROW, SilentHosts
from app.jobs.webhook import DELAYS_SECONDS, MAX_RETRIES, deliver, signatures
from app.queue.job import Job, Priority, Status
from app.queue.outcome import PermanentFailure, RetryLater
from tests.jobs.conftest import Configure
from tests.jobs.receiver import SECRET, Receiver
from tests.mail.certificates import make_certificates

WEBHOOKS_MD = Path(__file__).parents[2] / "docs" / "webhooks.md"
NOW = 1_748_783_995.842
EVENT = {"type": "mail.sent", "timestamp": "2026-06-01T12:00:00.000Z", "data": {"subject": "Grüße"}}


def send(url: str, failures: int = 0, **options: Any) -> dict[str, Any]:
    data = {"url": url, "id": "evt_1", "event": EVENT}
    return deliver(data, failures, **({"now": NOW} | options))


def test_an_event_arrives_signed(configure: Configure) -> None:
    configure()
    with Receiver(202) as receiver:
        assert send(receiver.url) == {"status": 202}

    [received] = receiver.received
    assert received.event == EVENT
    assert received.path == "/hook?a=b"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "evt_1"
    assert received.headers["webhook-timestamp"] == "1748783995"
    received.check_signature(SECRET)


def test_the_signature_is_that_of_the_specification() -> None:
    # The example that the reference libraries test themselves with.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("between", [" ", ",", " , ", "\t"])
def test_each_of_several_secrets_signs(configure: Configure, between: str) -> None:
    newer = "whsec_" + base64.b64encode(b"the receivers get this now").decode()
    configure(webhook_secret=f"{newer}{between}{SECRET}")
    with Receiver() as receiver:
        send(receiver.url)

    [received] = receiver.received
    signed = received.headers["webhook-signature"].split(" ")
    assert len(set(signed)) == 2
    for secret, signature in zip((newer, SECRET), signed, strict=True):
        received.headers["webhook-signature"] = signature
        received.check_signature(secret)


def test_a_receiver_that_reads_the_documentation_believes_either_secret(
    configure: Configure,
) -> None:
    code = re.findall(r"```python\n(.*?)```", WEBHOOKS_MD.read_text("utf-8"), re.S)[0]
    space: dict[str, Any] = {}
    exec(code, space)
    newer = "whsec_" + base64.b64encode(b"the receivers get this now").decode()
    configure(webhook_secret=f"{newer} {SECRET}")
    with Receiver() as receiver:
        send(receiver.url, now=time.time())

    [received] = receiver.received
    for secret in (newer, SECRET):
        assert space["is_genuine"](secret, received.headers, received.body)
    unknown = "whsec_" + base64.b64encode(b"nobody has ever seen this").decode()
    assert not space["is_genuine"](unknown, received.headers, received.body)
    assert not space["is_genuine"](SECRET, received.headers, received.body + b" ")


def test_the_job_type_runs_it(configure: Configure) -> None:
    configure()
    with Receiver() as receiver:
        payload = json.dumps({"url": receiver.url, "id": "evt_7", "event": EVENT})
        job = Job(1, "webhook", payload, Priority.LOW, NOW, Status.PROCESSING)
        job_type = find("webhook")
        job.data = job_type.validate(payload, strict=False)
        before = int(time.time())
        assert job_type.run(job) == {"status": 204}

    [received] = receiver.received
    assert before <= int(received.headers["webhook-timestamp"]) <= time.time()
    received.check_signature(SECRET)


def test_a_retry_is_the_same_event_at_another_time(configure: Configure) -> None:
    configure()
    with Receiver(500, 204) as receiver:
        with pytest.raises(RetryLater):
            send(receiver.url)
        send(receiver.url, 1, now=NOW + 300)

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    second.check_signature(SECRET)


@pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 500, 502, 503])
def test_a_refusal_is_tried_again(configure: Configure, status: int) -> None:
    configure()
    with Receiver(status, body=b"Not\r\nnow\x00") as receiver, pytest.raises(RetryLater) as raised:
        send(receiver.url)
    assert str(raised.value) == f"The receiver answered {status}: Not now"


def test_410_ends_it(configure: Configure) -> None:
    configure()
    with Receiver(410) as receiver, pytest.raises(PermanentFailure, match="no more events"):
        send(receiver.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_ends_it(configure: Configure, status: int) -> None:
    configure()
    refused = pytest.raises(PermanentFailure, match=f"{status}, a redirect")
    with Receiver() as other:
        headers = {"Location": other.url}
        with Receiver(status, headers=headers) as receiver, refused:
            send(receiver.url)
    assert other.received == []


def test_a_private_address_is_asked_only_when_allowed(configure: Configure) -> None:
    configure(webhook_allow_private=False)
    with Receiver() as receiver:
        with pytest.raises(PermanentFailure, match="https://"):
            send(receiver.url)
        with pytest.raises(PermanentFailure, match="leads to 127.0.0.1"):
            send("https://hooks.example/", resolve=lambda host, port: ["127.0.0.1"])
    assert receiver.received == []


def test_localhost_by_name_is_private(configure: Configure) -> None:
    configure(webhook_allow_private=False)
    with pytest.raises(PermanentFailure, match="localhost leads to "):
        send("https://localhost/")


def test_a_name_that_does_not_resolve_is_tried_again(configure: Configure) -> None:
    configure()

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(RetryLater, match="No answer: .*not known"):
        send("https://hooks.example/", resolve=unknown)


def test_a_closed_port_is_tried_again(configure: Configure) -> None:
    configure()
    with Receiver() as receiver:
        url = receiver.url
    with pytest.raises(RetryLater, match="No answer: .*refused"):
        send(url)


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200]
)
def test_what_is_no_http_is_tried_again(configure: Configure, answer: bytes) -> None:
    configure()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        with pytest.raises(RetryLater, match="^No answer: "):
            send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(10)


def test_a_server_that_drips_is_cut_off(configure: Configure) -> None:
    configure()
    with Receiver(hold=True) as receiver:
        began = time.monotonic()
        with pytest.raises(RetryLater, match="No answer: .*timed out"):
            send(receiver.url, total_seconds=0.5)
        assert 0.5 <= time.monotonic() - began < 10


def test_a_receiver_that_never_answers_does_not_keep_all_workers_waiting(
    configure: Configure,
) -> None:
    configure()
    silent_hosts = SilentHosts()
    with Receiver(hold=True) as receiver:
        for _ in range(TIMEOUTS_IN_A_ROW):
            with pytest.raises(RetryLater, match="timed out"):
                send(receiver.url, total_seconds=0.05, silent_hosts=silent_hosts)
        with pytest.raises(RetryLater, match="Not tried"):
            send(receiver.url, silent_hosts=silent_hosts)
    with Receiver() as other:
        send(other.url, silent_hosts=silent_hosts)


def test_a_silent_host_is_tried_again_by_one_after_a_minute() -> None:
    hosts = SilentHosts()
    for now in (0.0, 1.0, 2.0):
        assert hosts.may_try("hooks.example", now)
        hosts.timed_out("hooks.example", now)

    assert not hosts.may_try("hooks.example", 2.0 + SILENT_SECONDS - 0.1)
    assert hosts.may_try("hooks.example", 2.0 + SILENT_SECONDS)
    assert not hosts.may_try("hooks.example", 2.0 + SILENT_SECONDS)
    hosts.answered("hooks.example")
    assert hosts.may_try("hooks.example", 2.0 + SILENT_SECONDS)


def test_hosts_that_were_silent_are_not_remembered_without_bound() -> None:
    hosts = SilentHosts()
    for number in range(2 * HOSTS_MAX + 1):
        hosts.timed_out(f"host{number}.example", 0.0)
    assert len(hosts._hosts) <= HOSTS_MAX


def test_over_tls_the_name_is_asked_for_and_checked(configure: Configure, tmp_path: Path) -> None:
    configure()
    certificates = make_certificates(tmp_path, names="DNS:hooks.example")
    names: list[str] = []
    server_side = certificates.context()
    server_side.sni_callback = lambda sock, name, context: names.append(name)
    trusting = ssl.create_default_context(cafile=certificates.ca_file)
    with Receiver(tls=server_side) as receiver:

        def here(host: str, port: int) -> list[str]:
            return [receiver.host]

        url = f"https://hooks.example:{receiver.port}/"
        assert send(url, resolve=here, tls=trusting) == {"status": 204}
        with pytest.raises(RetryLater, match="certificate"):
            send(url.replace("hooks", "other"), resolve=here, tls=trusting)
        with pytest.raises(RetryLater, match="certificate"):
            send(url, resolve=here)
    assert names[:2] == ["hooks.example", "other.example"]
    assert len(receiver.received) == 1


def test_without_a_secret_nothing_is_sent(configure: Configure) -> None:
    configure(webhook_secret="")
    with Receiver() as receiver, pytest.raises(PermanentFailure, match="WEBHOOK_SECRET"):
        send(receiver.url)
    assert receiver.received == []


def test_the_waits_grow_and_are_scaled(configure: Configure) -> None:
    assert len(DELAYS_SECONDS) == MAX_RETRIES - 1
    for base in (30.0, 3.0):
        configure(retry_base_seconds=base)
        with Receiver(500) as receiver:
            for failures, usual in enumerate([*DELAYS_SECONDS, DELAYS_SECONDS[-1]]):
                with pytest.raises(RetryLater) as raised:
                    send(receiver.url, failures)
                scaled = usual * base / 30
                assert 0.8 * scaled <= raised.value.delay_seconds <= 1.2 * scaled


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [("3600", 3600, 3600), ("9" * 30, 86_400, 86_400), ("1", 4, 6), ("soon", 4, 6), ("²", 4, 6)],
)
def test_a_receiver_may_ask_for_more_time(
    configure: Configure, said: str, low: float, high: float
) -> None:
    configure()
    headers = {"Retry-After": said}
    with Receiver(429, headers=headers) as receiver, pytest.raises(RetryLater) as raised:
        send(receiver.url)
    assert low <= raised.value.delay_seconds <= high
