from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.dashboard.mail_reading import READ_MAX_BYTES
from app.mail.mailbox import MailboxTransport
from tests.api.conftest import source_for_fakeredis
from tests.dashboard.hostile import HOSTILE

Deliver = Callable[[bytes], None]


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    return replace(config, data_dir=tmp_path, smtp_host="")


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    return tmp_path / "mailbox"


@pytest.fixture
def deliver(mailbox: Path) -> Deliver:
    return MailboxTransport(mailbox).deliver


def mail(subject: str = "Hello", text: str = "Good morning\n", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Shop <shop@example.com>"
    message["To"] = "ada@example.com"
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def name_of_the_only(mailbox: Path) -> str:
    [path] = (mailbox / "new").iterdir()
    return path.name


def test_an_empty_mailbox_says_when_mail_comes(http: FlaskClient) -> None:
    page = http.get("/dashboard/mailbox").text

    assert "No mail yet" in page
    assert "SMTP_HOST" in page


def test_with_a_mail_server_there_is_no_mailbox(
    config: Config, fake_client: redis.Redis, deliver: Deliver
) -> None:
    deliver(mail().as_bytes())
    with_server = replace(config, smtp_host="mail.example.com", smtp_security="tls")
    app: Flask = create_app(with_server, client=fake_client, source=source_for_fakeredis)

    for path in ("", "/x", "/x/mail.eml", "/x/mail.html"):
        response = app.test_client().get(f"/dashboard/mailbox{path}")
        assert response.status_code == 404
        assert "There is no local mailbox" in response.text


def test_mails_are_listed_newest_first(http: FlaskClient, mailbox: Path, deliver: Deliver) -> None:
    for subject in ("alpha", "beta", "gamma"):
        deliver(mail(subject).as_bytes())

    page = http.get("/dashboard/mailbox").text

    assert page.index("gamma") < page.index("beta") < page.index("alpha")
    assert "1–3 of 3 mails" in page


def test_pages_read_the_heads_of_their_own_mails_only(
    http: FlaskClient, mailbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mailbox / "new").mkdir(parents=True)
    for number in range(120):
        (mailbox / "new" / f"17000{number:05}.M1P1Q1.host").write_bytes(
            mail(f"number {number}.").as_bytes()
        )
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        "app.dashboard.maildir.os.open",
        lambda path, flags: (opened.append(str(path)), real(path, flags))[1],
    )

    first, last = http.get("/dashboard/mailbox").text, http.get("/dashboard/mailbox?page=3").text

    assert len(opened) == 50 + 20
    assert "number 119." in first and "number 70." in first and "number 69." not in first
    assert "number 19." in last and "number 0." in last
    assert "There is no page 4" in http.get("/dashboard/mailbox?page=4").text
    assert http.get("/dashboard/mailbox?page=0").status_code == 400


def test_a_mail_shows_its_headers_parts_and_the_job_that_wrote_it(
    http: FlaskClient, mailbox: Path, deliver: Deliver
) -> None:
    message = mail("Grüße", Message_ID=f"<42.{'a' * 32}@shop.example>", X_Shop="yes")
    message.add_alternative("<h1>Good morning</h1>", subtype="html")
    message.add_attachment(b"12345", maintype="application", subtype="pdf", filename="réf.pdf")
    deliver(message.as_bytes())
    url = f"/dashboard/mailbox/{name_of_the_only(mailbox)}"

    page = http.get(url).text

    for text in ("Grüße", "Good morning", "réf.pdf", "application/pdf, 5 bytes", "X-Shop"):
        assert text in page
    assert 'href="/dashboard/jobs/42"' in page
    assert "<h1>Good morning" not in page
    html = http.get(f"{url}/mail.html")
    assert "<h1>Good morning</h1>" in html.text
    [policy] = html.headers.getlist("Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and policy.endswith("; sandbox")


def test_the_download_is_the_mail_byte_for_byte(
    http: FlaskClient, mailbox: Path, deliver: Deliver
) -> None:
    content = b"Subject: raw\r\n\r\n\x00\xff\r\n"
    deliver(content)
    stored = next((mailbox / "new").iterdir()).read_bytes()

    with http.get(f"/dashboard/mailbox/{name_of_the_only(mailbox)}/mail.eml") as response:
        assert response.data == stored
        assert response.mimetype == "message/rfc822"
        assert response.content_length == len(stored)
        assert response.headers["Content-Disposition"].startswith("attachment")


def test_a_mail_that_a_reader_moved_is_found(
    http: FlaskClient, mailbox: Path, deliver: Deliver
) -> None:
    deliver(mail("moved").as_bytes())
    name = name_of_the_only(mailbox)
    os.rename(mailbox / "new" / name, mailbox / "cur" / f"{name}:2,S")

    assert "moved" in http.get("/dashboard/mailbox").text
    assert "moved" in http.get(f"/dashboard/mailbox/{name}").text


@pytest.mark.parametrize(
    "name", ["..", ".", ".hidden", "%2e%2e%2fsecret", "..%2f..%2fsecret", "%00", "nothing", "a:b"]
)
def test_a_name_leads_to_nothing_outside_the_mailbox(
    http: FlaskClient, mailbox: Path, deliver: Deliver, name: str
) -> None:
    deliver(mail().as_bytes())
    for folder in (mailbox, mailbox.parent):
        (folder / "secret").write_text("Subject: hunter2\n\n")
    (mailbox / "new" / ".hidden").write_text("Subject: hunter2\n\n")

    for ending in ("", "/mail.eml", "/mail.html"):
        response = http.get(f"/dashboard/mailbox/{name}{ending}")
        assert "hunter2" not in response.text
        assert response.status_code == 404


def test_links_pipes_and_folders_are_no_mails(
    http: FlaskClient, mailbox: Path, deliver: Deliver, tmp_path: Path
) -> None:
    deliver(mail("the only one").as_bytes())
    (tmp_path / "secret").write_text("Subject: hunter2\n\n")
    os.symlink(tmp_path / "secret", mailbox / "new" / "1700000000.link")
    os.mkfifo(mailbox / "new" / "1700000000.pipe")
    (mailbox / "new" / "1700000000.folder").mkdir()

    page = http.get("/dashboard/mailbox").text

    assert "1–1 of 1 mail<" in page
    for name in ("1700000000.link", "1700000000.pipe", "1700000000.folder"):
        assert http.get(f"/dashboard/mailbox/{name}").status_code == 404
        assert http.get(f"/dashboard/mailbox/{name}/mail.eml").status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x00" * 1000,
        b"no headers at all",
        b"Subject: =?utf-8?b?!!!?=\nTo: \xff\xfe\n\n\xff",
        b"Subject: =?nonsense?q?abc?=\nContent-Type: text/plain; charset=nonsense\n\nhi",
        b"Content-Type: text/plain; charset=idna\n\n\xff\xff",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!",
        b"Content-Type: message/rfc822\n\nSubject: inner\n\ninner text",
        b'Content-Disposition: attachment; filename="../../etc/passwd"\n\nx',
        b"From: " + b"<" * 5000 + b"\n\nx",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(900)
        ),
        b"X-Long: " + b"x" * 200_000 + b"\n\nbody",
    ],
)
def test_a_broken_mail_has_a_page_and_a_row(
    http: FlaskClient, mailbox: Path, deliver: Deliver, content: bytes
) -> None:
    deliver(content)
    url = f"/dashboard/mailbox/{name_of_the_only(mailbox)}"

    assert http.get("/dashboard/mailbox").status_code == 200
    assert http.get(url).status_code == 200
    with http.get(f"{url}/mail.eml") as download:
        assert download.status_code == 200


def test_a_huge_mail_is_offered_for_download_only(
    http: FlaskClient, mailbox: Path, deliver: Deliver
) -> None:
    deliver(mail("huge", "x").as_bytes())
    name = name_of_the_only(mailbox)
    with open(mailbox / "new" / name, "r+b") as file:
        file.truncate(READ_MAX_BYTES + 1)

    page = http.get(f"/dashboard/mailbox/{name}").text

    assert "huge" in page
    assert "too large to be shown" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_a_mail_shows_as_text(
    http: FlaskClient, mailbox: Path, deliver: Deliver, text: str
) -> None:
    line = text.encode().replace(b"\x07", b"")
    deliver(
        b"Subject: %b\nFrom: %b\nTo: %b\nX-%b: %b\n" % ((line,) * 5)
        + b'Content-Type: multipart/mixed; boundary="b"\n\n'
        + b'--b\nContent-Type: text/plain; charset="utf-8"\n\n%b\n' % text.encode()
        + b'--b\nContent-Disposition: attachment; filename="%b"\n\nx\n--b--\n' % line
    )
    url = f"/dashboard/mailbox/{name_of_the_only(mailbox)}"

    for page in (http.get("/dashboard/mailbox").text, http.get(url).text):
        main = page.split("<main", 1)[1]
        for raw in ("<script>alert", "<img src=x", "<svg/onload", "<!--", "1234321"):
            assert raw not in main
        assert not set("\u202e\u200b\ufeff\x07\x1b") & set(main)
