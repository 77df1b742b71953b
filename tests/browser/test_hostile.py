"""Whatever a stranger writes into any field is shown as text, and does nothing."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from app.mail.mailbox import MailboxTransport
from app.queue.audit import Audit
from app.queue.errors import InvalidJob
from app.queue.inspector import JobQuery
from app.queue.operations import Operations
from app.queue.outcome import failed
from app.queue.submission import TAG, NewJob
from app.queue.suppressions import Suppression, Suppressions
from tests.browser.conftest import Complaints, Site
from tests.dashboard.hostile import HOSTILE, INVISIBLE, letters

# Attributes and addresses that run something, and elements that no page of ours has.
ACTIVE = """[...document.querySelectorAll('*')].filter(element =>
    [...element.attributes].some(({name, value}) => name.startsWith('on')
        || (['href', 'src', 'action', 'formaction'].includes(name) && /^javascript:/i.test(value)))
    || element.matches('main script, img, main h1 ~ h1, main b b, [onload]')
).map(element => element.outerHTML.slice(0, 100))"""


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """A page on which no script of a stranger opens a dialog."""
    opened: list[str] = []
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    yield page
    assert opened == []


def read(page: Page, address: str, code: int = 200) -> str:
    """Opens the address with all its details; the letters of the page. Nothing on it is active."""
    answer = page.goto(address)
    assert answer and answer.status == code, address
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
    return letters_of(page)


def letters_of(page: Page) -> str:
    text = page.locator("main").inner_text()
    assert page.evaluate(ACTIVE) == []
    assert not INVISIBLE.search(text + page.title())
    assert "1234321" not in text, "a template was run"
    expect(page.locator("h1")).to_have_count(1)
    return letters(text)


def shown(name: str, text: str) -> str:
    """How the letters of a field look that was filled with `name` and this text."""
    return letters(f"{name}~{text}")


def marked(text: str, *names: str) -> dict[str, str]:
    return {name: f"{name}~{text}" for name in names}


def missing(page_letters: str, text: str, *names: str) -> list[str]:
    # A status is shown as a word, with a capital letter.
    found = page_letters.casefold()
    return [name for name in names if shown(name, text).casefold() not in found]


# ── A job ───────────────────────────────────────────────────────────────────────────────────────

JOB_FIELDS = ("title", "person", "worker", "error", "reply", "status", "to", "subject", "body")
MORE_JOB_FIELDS = ("key", "value", "file", "from", "messageid", "resultkey")


def submit_and_fail(site: Site, text: str) -> int:
    said = marked(text, *JOB_FIELDS, *MORE_JOB_FIELDS)
    payload = {
        "to": said["to"],
        "from": said["from"],
        "subject": said["subject"],
        "message": said["body"],
        "attachments": [{"filename": said["file"], "content": "eA=="}],
        said["key"]: said["value"],
    }
    job_id = site.queue.submit(
        "send_email", json.dumps(payload), title=said["title"], people=(said["person"],)
    )
    [job] = site.queue.claim(said["worker"])
    recipient = {"status": said["status"], "code": 550, "reply": said["reply"]}
    result = {
        "recipients": {said["person"]: recipient},
        "message_id": said["messageid"],
        said["resultkey"]: 1,
    }
    outcome = failed(job, said["error"], retry_in_ms=None, smtp_code=550, result=result)
    site.queue.turn(said["worker"], [outcome], 0)
    return job_id


def test_in_each_field_of_a_job(page: Page, site: Site) -> None:
    jobs = {submit_and_fail(site, text): text for text in HOSTILE}

    table = read(page, f"{site.url}/dashboard")
    absent = {text: missing(table, text, "title", "person", "error") for text in HOSTILE}
    for job_id, text in jobs.items():
        found = read(page, f"{site.url}/dashboard/jobs/{job_id}")
        absent[text] += missing(found, text, *JOB_FIELDS, "from", "file", "messageid")
        # In JSON, quotation marks and line ends have backslashes before them.
        if not set('"\n') & set(text):
            absent[text] += missing(found, text, "key", "value", "resultkey")

    assert {text: names for text, names in absent.items() if names} == {}


def test_in_a_payload_of_one_megabyte(page: Page, site: Site) -> None:
    payload = {"to": "ada@example.com", "note": "".join(HOSTILE[:7]) * 5_000}
    text = json.dumps(payload)
    assert len(text) > 1_000_000
    job_id = site.queue.submit("send_email", text)

    before = read(page, f"{site.url}/dashboard/jobs/{job_id}")
    page.get_by_role("link", name=re.compile("^Show all")).click()
    expect(page.locator("#payload pre")).to_contain_text("<script>alert(1)</script>")

    assert len(before) < 10_000
    assert len(letters_of(page)) > 900_000
    assert len(read(page, f"{site.url}/dashboard/jobs/{job_id}/payload")) > 900_000


def test_tags_and_job_types_hold_no_such_text(page: Page, site: Site) -> None:
    for text in HOSTILE:
        with pytest.raises(InvalidJob, match="job_type"):
            site.queue.submit_many([NewJob(text)])
        with pytest.raises(InvalidJob, match="tags"):
            site.queue.submit_many([NewJob("noop", tags=(text,))])
    tags = ("javascript:alert", "ünï.@+-", "\u0627\u0644")
    assert all(TAG.fullmatch(tag) for tag in tags)
    job_id = site.queue.submit("noop", tags=tags)

    found = read(page, f"{site.url}/dashboard/jobs/{job_id}")

    assert all(letters(tag) in found for tag in tags)


def test_in_what_a_worker_says_of_itself(page: Page, site: Site) -> None:
    names = ("host", "pid", "version", "type", "breaker")
    for number, text in enumerate(HOSTILE):
        said = marked(text, *names)
        presence = {
            "role": "main",
            **{name: said[name] for name in names[:3]},
            "jobs": [{"id": 1, "job_type": said["type"]}],
            "breaker": {"reason": said["breaker"], "since": "?", "next_probe_at": text},
        }
        site.queue.renew(f"worker-{number}", [], presence)
    site.queue.submit("send_email", "{}")

    workers = read(page, f"{site.url}/dashboard/workers")
    jobs = read(page, f"{site.url}/dashboard")
    job = read(page, f"{site.url}/dashboard/jobs/1")

    absent = {text: missing(workers, text, *names[:4]) for text in HOSTILE}
    for text in HOSTILE:
        absent[text] += missing(jobs, text.rstrip(". "), "breaker")
        absent[text] += missing(job, text.rstrip(". "), "breaker")
    assert {text: lost for text, lost in absent.items() if lost} == {}


# ── A mail, a suppression, an operation ─────────────────────────────────────────────────────────

MAIL_FIELDS = ("subject", "from", "to", "header", "body", "file")


def deliver(folder: Path, text: str) -> None:
    said = marked(text, *MAIL_FIELDS)

    def word(name: str) -> str:
        return f"=?utf-8?b?{base64.b64encode(said[name].encode()).decode()}?="

    mail = (
        f"Subject: {word('subject')}\r\nFrom: {word('from')} <a@example.com>\r\n"
        f"To: {word('to')} <b@example.com>\r\nX-Shop: {word('header')}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=part\r\n\r\n"
        f"--part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{said['body']}\r\n"
        "--part\r\nContent-Type: application/pdf\r\n"
        f"Content-Disposition: attachment; filename*=utf-8''{quote(said['file'])}\r\n\r\nx\r\n"
        "--part--\r\n"
    )
    MailboxTransport(folder).deliver(mail.encode())


def test_in_each_part_of_a_mail(page: Page, site: Site) -> None:
    folder: Path = site.app.extensions["config"].data_dir / "mailbox"
    mails = {}
    for text in HOSTILE:
        for path in folder.glob("*/*"):
            path.unlink()
        deliver(folder, text)
        [path] = (folder / "new").iterdir()
        one = read(page, f"{site.url}/dashboard/mailbox/{path.name}")
        mails[text] = missing(one, text, *MAIL_FIELDS)
        listed = read(page, f"{site.url}/dashboard/mailbox")
        mails[text] += missing(listed, text[:20], "subject", "from", "to")

    assert {text: lost for text, lost in mails.items() if lost} == {}


def test_in_a_suppression(page: Page, site: Site) -> None:
    store: Suppressions = site.app.extensions["suppressions"]
    lines = [" ".join(text.split()) for text in HOSTILE]  # an address is one
    for line in lines:
        said = marked(line, "address", "reason", "by")
        store.add(Suppression(said["address"], said["reason"], time.time(), said["by"]))

    found = read(page, f"{site.url}/dashboard/suppressions")

    absent = {line: missing(found, line, "address", "reason", "by") for line in lines}
    assert {text: lost for text, lost in absent.items() if lost} == {}


def test_in_the_audit_log(page: Page, site: Site) -> None:
    log: Audit = site.app.extensions["audit"]
    for text in HOSTILE:
        said = marked(text, "who", "action", "subject")
        log.write(said["who"], said["action"], said["subject"])

    found = read(page, f"{site.url}/dashboard/audit")

    absent = {text: missing(found, text, "who", "action", "subject") for text in HOSTILE}
    assert {text: lost for text, lost in absent.items() if lost} == {}


@pytest.mark.parametrize("text", HOSTILE)
def test_in_the_form_of_a_suppression(page: Page, site: Site, text: str) -> None:
    line = " ".join(text.split())
    page.goto(f"{site.url}/dashboard/suppressions")
    form = page.get_by_role("form", name="Add an address")
    form.get_by_label("Address to add").fill(line)
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#flashes")).to_contain_text("Nothing was added.")
    letters_of(page)

    form.get_by_label("Address to add").fill("ada@example.com")
    form.get_by_label("Reason").fill(line)
    form.get_by_role("button", name="Add").click()

    expect(page.locator("#flashes")).to_contain_text("No mail is sent to ada@example.com")
    assert letters(line) in letters_of(page)


def test_in_the_filter_of_an_operation(page: Page, site: Site) -> None:
    operations: Operations = site.app.extensions["operations"]
    names = ("type", "tag", "search", "by")
    started = {}
    for text in HOSTILE:
        said = marked(text, *names)
        query = JobQuery(job_type=said["type"], tag=said["tag"], q=said["search"])
        started[operations.start("cancel", query, said["by"])] = text

    listed = read(page, f"{site.url}/dashboard/operations")
    absent = {text: missing(listed, text, *names) for text in HOSTILE}
    for operation_id, text in started.items():
        found = read(page, f"{site.url}/dashboard/operations/{operation_id}")
        absent[text] += missing(found, text, *names)

    assert {text: lost for text, lost in absent.items() if lost} == {}


# ── An address ──────────────────────────────────────────────────────────────────────────────────


def test_in_a_filter_that_comes_with_an_address(page: Page, site: Site) -> None:
    site.queue.submit("noop")
    for text in HOSTILE:
        value = quote(text)
        read(page, f"{site.url}/dashboard?job_type={value}&tag={value}&q={value}")
        line = " ".join(text.split())  # a text field holds one line
        assert letters(page.get_by_role("searchbox").input_value()) == letters(line)
        chosen = page.get_by_label("Job type", exact=True).locator("option:checked")
        assert letters(chosen.inner_text()) == letters(text)
        read(page, f"{site.url}/dashboard/suppressions?q={value}")


def test_in_an_address_that_leads_nowhere(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected.append("the server responded with a status of 40[04]")
    for text in HOSTILE:
        value = quote(text, safe="")
        read(page, f"{site.url}/dashboard?status={value}", 400)
        assert letters(text) in read(page, f"{site.url}/dashboard?{value}=1", 400)
        for path in ("", "jobs/", "mailbox/", "operations/"):
            read(page, f"{site.url}/dashboard/{path}{value}", 404)
