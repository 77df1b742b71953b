"""Which trouble with the server is "away", "full" or "unsuitable", and what each URL does."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from redis._parsers import BaseParser

from app.embedded import find_server_binary, socket_url
from app.queue.connection import connect, unavailable_as_queue_error
from app.queue.errors import QueueFull, QueueUnavailable, ServerUnsuitable
from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.conftest import RedisServer, running_server
from tests.mail.certificates import Certificates, make_certificates
from tests.queue.steps import claim_one

Start = Callable[..., int]


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """An embedded server that a test may spoil."""
    with running_server(find_server_binary()) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the system's redis-server with these options and returns the port."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(_debian_server(tmp_path, options))


@contextmanager
def _debian_server(folder: Path, options: tuple[str, ...]) -> Iterator[int]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no redis-server on PATH (Debian: apt-get install redis-server)")
    port = _free_port()
    data = folder / str(port)
    data.mkdir()
    plain = () if "--tls-port" in options else ("--port", str(port))
    options = tuple(str(port) if option == "PORT" else option for option in options)
    command = [binary, "--bind", "127.0.0.1", "--save", "", "--dir", str(data), *plain, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_until_open(process, port)
        yield port
    finally:
        process.kill()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, f"the server ended with status {process.returncode}"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)


def queue_at(url: str, **options: float) -> JobQueue:
    return JobQueue(connect(url, name="tests", **options))


def works(queue: JobQueue) -> bool:
    job_id = queue.submit("noop", {"name": "Zoë"})
    job = claim_one(queue)
    return job.id == job_id and queue.complete(job) == "ok"


# ── Full ────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_server_refuses_new_jobs_and_lets_everything_else_go_on(
    own_server: RedisServer,
) -> None:
    client = connect(own_server.url, name="tests")
    queue, inspector = JobQueue(client), Inspector(client)
    queue.submit_many([NewJob("noop")] * 6)
    first, second, third, fourth = queue.claim("w1", 4)
    client.config_set("maxmemory", "1")

    with pytest.raises(QueueFull, match="no memory left for new jobs"):
        queue.submit("noop")

    assert queue.complete(first, {"sent": True}) == "ok"
    assert queue.fail(second, "451 later", retry_in_ms=1) == "ok"
    assert queue.release(third) == "ok"
    assert queue.renew("w1", [fourth], {"pid": 1}).ok == [fourth.id]
    assert [job.id for job in queue.claim("w1", 2)] == [third.id, 5]
    queue.cancel(6)
    queue.retry(6)
    queue.delete(6)
    queue.pause()
    queue.resume()
    queue.abandon(fourth)
    assert queue.reap().requeued == [fourth.id]
    queue.promote()
    assert queue.trim(max_jobs=1) == 0
    assert queue.repair() == []
    assert sum(inspector.counts().values()) == 5

    client.config_set("maxmemory", "0")
    assert queue.submit("noop") == 7
    client.close()


# ── Away ────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_was_killed_is_away_at_once(own_server: RedisServer) -> None:
    queue = queue_at(own_server.url, timeout_seconds=100, connect_timeout_seconds=100)
    queue.submit("noop")
    own_server.process.kill()
    own_server.process.wait(timeout=10)

    started = time.monotonic()
    for call in (
        lambda: queue.submit("noop"),
        lambda: queue.claim("w1", 1),
        queue.repair,
        queue.check_writable,
        lambda: queue.wake(queue.keys.wake),
    ):
        with pytest.raises(QueueUnavailable, match="Redis is away"):
            call()
    assert time.monotonic() - started < 50, "no time-out was waited for"


def test_a_server_that_hangs_is_away_after_the_time_out(own_server: RedisServer) -> None:
    queue = queue_at(own_server.url, timeout_seconds=2)
    queue.submit("noop")
    own_server.process.send_signal(signal.SIGSTOP)
    try:
        # It ends at all, and not for another reason.
        with pytest.raises(QueueUnavailable, match="(?i)time"):
            queue.submit("noop")
    finally:
        own_server.process.send_signal(signal.SIGCONT)
    assert queue_at(own_server.url).submit("noop") > 1


def test_a_port_where_nobody_listens_is_away() -> None:
    with pytest.raises(QueueUnavailable):
        queue_at(f"redis://127.0.0.1:{_free_port()}/0").submit("noop")


def test_a_socket_that_does_not_exist_is_away(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable):
        queue_at(socket_url(tmp_path / "s")).submit("noop")


@pytest.mark.needs_redis_server
def test_a_replica_that_can_only_be_read_is_away_for_writers(start: Start) -> None:
    master = start()
    replica = start("--replicaof", "127.0.0.1", str(master))
    client = connect(f"redis://127.0.0.1:{replica}/0", name="tests")

    with pytest.raises(QueueUnavailable):
        JobQueue(client).submit("noop")
    with pytest.raises(QueueUnavailable):
        JobQueue(client).check_writable()
    client.close()


@pytest.mark.parametrize(
    "text",
    [
        "MISCONF Redis is configured to save RDB snapshots, but it can't write",
        "BUSY Redis is busy running a script",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "READONLY You can't write against a read only replica.",
        "NOREPLICAS Not enough good replicas to write.",
        "UNBLOCKED the server changed its role",
    ],
)
def test_a_server_that_lives_but_cannot_serve_is_away(text: str) -> None:
    with pytest.raises(QueueUnavailable), unavailable_as_queue_error():
        raise _parsed(text)


@pytest.mark.parametrize(
    ("text", "what_to_do"),
    [
        ("MOVED 8091 127.0.0.1:41755", "REDIS_CLUSTER.*cluster://"),
        ("ERR SELECT is not allowed in cluster mode", "REDIS_CLUSTER.*cluster://"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "REDIS_CLUSTER.*cluster://"),
        (
            "ERR Script attempted to access keys that do not hash to the same slot script: on @x",
            "REDIS_CLUSTER.*cluster://",
        ),
        ("ERR DB index is out of range", "has no database of the number"),
    ],
)
def test_a_url_that_names_what_can_not_serve_says_what_to_do(text: str, what_to_do: str) -> None:
    with pytest.raises(ServerUnsuitable, match=what_to_do), unavailable_as_queue_error():
        raise _parsed(text)


def test_a_database_that_is_not_there_is_unsuitable(own_server: RedisServer) -> None:
    with pytest.raises(ServerUnsuitable, match="0 to 15"):
        queue_at(f"{own_server.url}?db=77").submit("noop")


@pytest.mark.parametrize(
    "text", ["ERR Error running script: attempt to index nil", "WRONGTYPE Operation against a key"]
)
def test_a_fault_of_ours_is_not_hidden(text: str) -> None:
    with pytest.raises(redis.ResponseError), unavailable_as_queue_error():
        raise _parsed(text)


def _parsed(text: str) -> Exception:
    """The exception that redis-py makes of this answer."""
    error: Exception = BaseParser.parse_error(text)
    return error


# ── Unsuitable ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.needs_redis_server
@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:secret@"])
def test_a_wrong_login_is_unsuitable(start: Start, login: str) -> None:
    port = start("--requirepass", "secret")

    with pytest.raises(ServerUnsuitable, match="refuses the login"):
        queue_at(f"redis://{login}127.0.0.1:{port}/0").submit("noop")


@pytest.mark.needs_redis_server
def test_a_password_of_any_characters_works(start: Start) -> None:
    password = "p@ss:w/rd %é?#"
    port = start("--requirepass", password)

    assert works(queue_at(f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"))


@pytest.mark.needs_redis_server
def test_a_user_without_the_rights_is_unsuitable(start: Start) -> None:
    port = start()
    admin = connect(f"redis://127.0.0.1:{port}/0", name="tests")
    admin.acl_setuser("reader", enabled=True, passwords=["+x"], commands=["+get"], keys=["*"])
    admin.close()

    with pytest.raises(ServerUnsuitable):
        queue_at(f"redis://reader:x@127.0.0.1:{port}/0").submit("noop")


# ── URLs ────────────────────────────────────────────────────────────────────────────────────────


def test_a_unix_socket_works(own_server: RedisServer) -> None:
    assert own_server.url.startswith("unix://")
    assert works(queue_at(own_server.url))


@pytest.mark.needs_redis_server
def test_tcp_works_and_the_client_has_a_name(start: Start) -> None:
    client = connect(f"redis://127.0.0.1:{start()}/0", name="mailroom:tests")

    assert works(JobQueue(client))
    assert [found["name"] for found in client.client_list()] == ["mailroom:tests"]
    client.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A throw-away authority, and a certificate for 127.0.0.1 and localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on PATH")
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_port(start: Start, certificates: Certificates) -> int:
    return start(
        *("--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificates.certificate_file)),
        *("--tls-key-file", str(certificates.key_file)),
        *("--tls-ca-cert-file", str(certificates.ca_file)),
    )


@pytest.mark.needs_redis_server
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_works_with_the_authority_that_signed(
    tls_port: int, certificates: Certificates, host: str
) -> None:
    authority = quote(str(certificates.ca_file))

    assert works(queue_at(f"rediss://{host}:{tls_port}/0?ssl_ca_certs={authority}"))


@pytest.mark.needs_redis_server
def test_tls_with_an_unknown_authority_is_refused(tls_port: int) -> None:
    with pytest.raises(QueueUnavailable, match="(?i)certificate"):
        queue_at(f"rediss://127.0.0.1:{tls_port}/0").submit("noop")


@pytest.mark.needs_redis_server
def test_plain_text_to_a_tls_port_is_away(tls_port: int) -> None:
    with pytest.raises(QueueUnavailable):
        queue_at(f"redis://127.0.0.1:{tls_port}/0").submit("noop")


# ── Sent again ──────────────────────────────────────────────────────────────────────────────────


def test_a_script_that_the_server_forgot_is_loaded_again(client: redis.Redis) -> None:
    queue = JobQueue(client)
    for _ in range(2):
        assert works(queue)
        client.script_flush()
    assert queue.reap().requeued == []


def test_a_script_that_nobody_sends_anew_is_away_and_no_fault_of_ours(client: redis.Redis) -> None:
    with pytest.raises(QueueUnavailable, match="script"), unavailable_as_queue_error():
        client.evalsha("0" * 40, 0)


def test_a_connection_that_was_cut_is_made_anew(own_server: RedisServer) -> None:
    queue = queue_at(own_server.url)
    queue.submit("noop")
    _cut("tests", own_server)

    assert queue.submit("noop") == 2


def test_a_blocking_call_whose_connection_is_cut_is_not_sent_again(own_server: RedisServer) -> None:
    client = connect(own_server.url, name="blocked", resend=False, timeout_seconds=100)

    def block() -> None:
        with unavailable_as_queue_error():
            client.bzpopmin("Wake", timeout=90)

    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(block)
        _cut("blocked", own_server, command="bzpopmin")
        with pytest.raises(QueueUnavailable):
            blocked.result(timeout=60)
    client.close()


def _cut(name: str, server: RedisServer, command: str = "") -> None:
    """Cuts the connections of this name, once one has sent `command`."""
    killer = connect(server.url, name="killer")
    deadline = time.monotonic() + 10
    found: list[str] = []
    while not found:
        assert time.monotonic() < deadline, f"there is no connection of {name}"
        found = [
            one["id"]
            for one in killer.client_list()
            if one["name"] == name and command in one["cmd"]
        ]
    for client_id in found:
        killer.client_kill_filter(_id=client_id)
    killer.close()
