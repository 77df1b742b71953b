"""The whole system, started as a person starts it, used over HTTP, watched from outside."""

from __future__ import annotations

import mailbox
from collections import Counter
from pathlib import Path

from tests.e2e.api import MAIL, call, count, finished, job, submit, submit_many
from tests.mail.certificates import make_certificates
from tests.mail.sink import SmtpSink
from tests.start.running import RunningCopy, running_copy, wait_for

JOBS = 1_000
FAST = {"RETRY_BASE_SECONDS": "0.05", "LEASE_SECONDS": "2"}


def test_a_submitted_mail_lies_in_the_mailbox(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        done = finished(copy, submit(copy, "send_email", MAIL, priority="high"))

        assert done["status"] == "success", done
        assert done["result"]["recipients"]["user@example.com"]["status"] == "sent"
        [mail] = mailbox.Maildir(copy.data_dir / "mailbox")
        assert (mail["To"], mail["Subject"]) == ("user@example.com", "Test Email")
        assert mail.get_payload(decode=True).strip() == b"This is a test email."


def test_a_submitted_mail_arrives_at_an_smtp_server_over_tls_with_a_login(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "tls")
    with SmtpSink(tls="starttls", certificates=certificates, auth=("app", "s3cret")) as sink:
        settings = smtp(sink) | {
            "SMTP_SECURITY": "starttls",
            "SMTP_CA_FILE": str(certificates.ca_file),
            "SMTP_USERNAME": "app",
            "SMTP_PASSWORD": "s3cret",
        }
        with running_copy(tmp_path / "data", **settings) as copy:
            copy.wait_until_running()
            done = finished(copy, submit(copy, "send_email", MAIL))

            assert done["status"] == "success", done
            [mail] = sink.wait_for(1)
            assert mail.recipients == ["user@example.com"]
            assert (mail.encrypted, mail.username) == (True, "app")
            assert mail.message["Subject"] == "Test Email"


def test_550_ends_at_once_and_451_is_retried_until_it_succeeds(tmp_path: Path) -> None:
    replies: dict[str, str | list[str]] = {
        "gone@example.com": "550 5.1.1 No such user",
        "busy@example.com": ["451 4.7.1 Try again", "451 4.7.1 Try again"],
    }
    with (
        SmtpSink(replies=replies) as sink,
        running_copy(tmp_path / "data", **smtp(sink), **FAST) as copy,
    ):
        copy.wait_until_running()
        gone = finished(copy, submit(copy, "send_email", MAIL | {"to": "gone@example.com"}))
        busy = finished(copy, submit(copy, "send_email", MAIL | {"to": "busy@example.com"}))

        assert (gone["status"], gone["attempts"]) == ("permanently_failed", 1), gone
        assert "550" in gone["last_error"]
        assert (busy["status"], busy["retry_count"], busy["attempts"]) == ("success", 2, 3), busy
        _, history = call(copy, "GET", f"/api/job/{busy['id']}/attempts")
        outcomes = [(one["outcome"], one["smtp_code"]) for one in history["data"]]
        assert outcomes == [("failed", 451), ("failed", 451), ("success", None)]
        assert [mail.recipients for mail in sink.mails] == [["busy@example.com"]]


def test_kill_9_of_a_worker_in_the_middle_of_1000_mails_loses_none(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data", **FAST) as copy:
        copy.wait_until_running()
        total = done = 0
        while done == total:  # or all was done before the test could look
            submit_many(copy, [numbered_mail(total + n) for n in range(JOBS)])
            wait_for(lambda before=total: count(copy, "success") > before, copy)
            total += JOBS
            done = count(copy, "success")
        copy.kill("workers.main_worker")

        assert_all_sent_and_counted(copy, total)


def test_kill_9_of_the_server_in_the_middle_of_1000_mails_loses_none(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data", **FAST) as copy:
        copy.wait_until_running()
        submit_many(copy, [numbered_mail(n) for n in range(JOBS)])
        # What was written to a killed process's file is kept; only the machine's end could take
        # the last second, for which `appendfsync always` is there.
        worker = copy.pid_of("workers.main_worker")
        copy.kill("valkey-server")

        assert_all_sent_and_counted(copy)
        assert copy.pid_of("workers.main_worker") == worker, "the worker did not resume by itself"


def test_jobs_survive_a_stop_and_a_new_start(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        call(copy, "POST", "/api/queue/pause")
        waiting = submit(copy, "send_email", MAIL)
        later = submit(copy, "send_email", MAIL, delay_seconds=3600)
        copy.process.terminate()
        assert copy.ended() == 0

    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        assert job(copy, waiting)["status"] == "pending", "it is still paused"
        call(copy, "POST", "/api/queue/resume")
        assert finished(copy, waiting)["status"] == "success"
        assert job(copy, later)["status"] == "scheduled"


def test_a_stop_in_the_middle_of_mails_charges_no_attempt_and_sends_none_twice(
    tmp_path: Path,
) -> None:
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        submit_many(copy, [numbered_mail(n) for n in range(JOBS)])
        wait_for(lambda: count(copy, "success") > 0, copy)
        copy.process.terminate()
        assert copy.ended() == 0

    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        assert_all_sent_and_counted(copy)
        _, stats = call(copy, "GET", "/api/stats")
        totals = stats["data"]["totals"]
        assert (totals.get("failed", 0), totals.get("died", 0)) == (0, 0), totals
        assert max(subjects(copy).values()) == 1


def smtp(sink: SmtpSink) -> dict[str, str]:
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.port), "SMTP_SECURITY": "none"}


def numbered_mail(number: int) -> dict[str, object]:
    return {"job_type": "send_email", "payload": MAIL | {"subject": f"Mail {number}"}}


def assert_all_sent_and_counted(copy: RunningCopy, total: int = JOBS) -> None:
    wait_for(lambda: count(copy, "success") == total, copy)
    assert set(subjects(copy)) == {f"Mail {n}" for n in range(total)}


def subjects(copy: RunningCopy) -> Counter[str]:
    return Counter(mail["Subject"] for mail in mailbox.Maildir(copy.data_dir / "mailbox"))
