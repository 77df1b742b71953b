"""Without an SMTP server mail lies in a Maildir that any mail reader opens."""

from __future__ import annotations

import mailbox
import threading
from pathlib import Path

import pytest

from app.mail.mailbox import MailboxTransport
from app.queue.outcome import RetryLater
from tests.mail.support import EXAMPLE, MakeMailer, make_job


def test_a_mail_lies_readable_in_the_mailbox(make_mailer: MakeMailer, tmp_path: Path) -> None:
    job = make_job(EXAMPLE | {"subject": "Grüße", "bcc": "b@example.com"})
    result = make_mailer(data_dir=tmp_path / "data").send(job, job.data)

    [message] = mailbox.Maildir(tmp_path / "data" / "mailbox", create=False)
    assert message["Message-ID"] == result["message_id"]
    assert message["To"] == "user@example.com"
    assert message.get_payload().strip() == EXAMPLE["message"]
    assert "Bcc" not in message
    assert result == {
        "transport": "mailbox",
        "message_id": result["message_id"],
        "recipients": {"user@example.com": {"status": "sent"}, "b@example.com": {"status": "sent"}},
    }


def test_many_threads_deliver_into_one_mailbox(tmp_path: Path) -> None:
    transport = MailboxTransport(tmp_path / "mailbox")

    def deliver(thread: int) -> None:
        for number in range(20):
            transport.deliver(f"Subject: {thread}.{number}\r\n\r\nx\r\n".encode())

    threads = [threading.Thread(target=deliver, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    subjects = {message["Subject"] for message in mailbox.Maildir(tmp_path / "mailbox")}
    assert len(subjects) == 160
    assert list((tmp_path / "mailbox" / "tmp").iterdir()) == []


def test_a_mailbox_that_can_not_be_written_is_retried(
    make_mailer: MakeMailer, tmp_path: Path
) -> None:
    (tmp_path / "mailbox").write_text("in the way")
    mailer, job = make_mailer(data_dir=tmp_path), make_job()
    with pytest.raises(RetryLater) as raised:
        mailer.send(job, job.data)
    assert raised.value.result["recipients"]["user@example.com"]["status"] == "pending"
