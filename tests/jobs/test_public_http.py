"""Only machines on the public internet are asked."""

from __future__ import annotations

import socket
import ssl

import pytest

from app.jobs.public_http import Answer, Forbidden, check_url, is_public, post
from tests.jobs.receiver import Receiver

TLS = ssl.create_default_context()


def post_to(url: str, *addresses: str, allow_private: bool = False) -> Answer:
    """As if the URL's host had these addresses."""
    return post(
        url,
        b"{}",
        {},
        allow_private=allow_private,
        tls=TLS,
        resolve=lambda host, port: [*addresses],
    )


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2001::1", "100::1"),
        *("2001:db8::1", "3fff::1", "5f00::1"),
    ],
)
def test_an_address_that_is_nobodys_on_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(Forbidden, match="not a public address"):
        post_to("https://hooks.example/", "8.8.8.8", address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"],
)
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example/", "ftp://hooks.example/", "//hooks.example/", "hooks.example"),
        *("https://", "https:///path", "https://user@hooks.example/", "https://:p@hooks.example/"),
        *(
            "https://hooks.example/#part",
            "https://hooks.example:0/",
            "https://hooks.example:99999/",
        ),
        *("https://hooks.example:http/", "https://hooks..example/", f"https://{'a' * 64}.example/"),
        *("https://bücher.example/", "https://hooks.example/a b", "https://hooks.example/\r\nX: y"),
        *("https://[::1/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/"),
        "https://hooks.example/" + "a" * 2000,
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_asking_anybody(url: str) -> None:
    with pytest.raises(ValueError, match="^Must "):
        check_url(url, allow_private=False)
    with pytest.raises(Forbidden, match="The URL can't be used"):
        post_to(url)


@pytest.mark.parametrize("url", ["https://hooks.example", "https://8.8.8.8:8443/a?b=c"])
def test_a_public_https_url_is_fine(url: str) -> None:
    assert check_url(url, allow_private=False).hostname


def test_what_is_allowed_may_be_private_and_plain() -> None:
    with Receiver() as receiver:
        answer = post_to(receiver.url, receiver.host, allow_private=True)
    assert answer.status == 204


def test_a_name_that_changes_its_address_is_reached_only_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, connected = [], []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ConnectionRefusedError):
        post("https://hooks.example/", b"", {}, allow_private=False, tls=TLS, resolve=rebinding)

    assert (asked, connected) == (["hooks.example"], [("8.8.8.8", 443)])


def test_the_host_header_is_the_name_and_not_the_address() -> None:
    with Receiver() as receiver:
        url = f"http://hooks.example:{receiver.port}/a?b=c"
        post_to(url, receiver.host, allow_private=True)
    [received] = receiver.received
    assert received.headers["host"] == f"hooks.example:{receiver.port}"
    assert received.path == "/a?b=c"


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with Receiver() as receiver:
        url = f"http://hooks.example:{receiver.port}/"
        answer = post_to(url, "127.0.0.2", receiver.host, allow_private=True)
    assert answer.status == 204


def test_a_name_without_an_address_is_no_answer() -> None:
    with pytest.raises(ConnectionError, match="no address"):
        post_to("https://hooks.example/")


def test_the_beginning_of_a_refusal_is_kept_and_no_more_is_read() -> None:
    with Receiver(500, body=b"x" * 10_000_000) as receiver:
        answer = post_to(receiver.url, receiver.host, allow_private=True)
    assert answer == Answer(500, "", b"x" * 1024)
