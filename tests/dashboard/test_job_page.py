from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.outcome import completed, failed
from tests.dashboard.hostile import HOSTILE

Submit = Callable[..., int]


def submit_mail(queue: JobQueue, **payload: Any) -> int:
    mail = {"to": "ada@example.com", "subject": "Hello", "message": "Good morning"} | payload
    return queue.submit("send_email", mail, title=str(mail["subject"]), people=("ada@example.com",))


def test_the_page_shows_what_is_known_of_a_job(http: FlaskClient, queue: JobQueue) -> None:
    job_id = queue.submit("web_noop", {"path": "a.png"}, tags=("shop",), title="Avatar")
    [job] = queue.claim("worker-1")
    queue.fail(job, "451 Greylisted", retry_in_ms=60_000, smtp_code=451)

    page = http.get(f"/dashboard/jobs/{job_id}").text

    for text in (
        "web_noop",
        "worker-1",
        "451 Greylisted",
        "SMTP code 451",
        "1, 1 failed",
        "at most 3",
        "Avatar",
    ):
        assert text in page
    assert "It waits for its 2nd attempt, due <time" in page
    assert 'href="/dashboard?tag=shop"' in page
    assert "&#34;path&#34;: &#34;a.png&#34;" in page


def test_page_and_partial_show_the_same(
    http: FlaskClient, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_750_000_000.0)
    job_id = submit()

    page = http.get(f"/dashboard/jobs/{job_id}").text
    partial = http.get(f"/dashboard/partials/job/{job_id}").text

    def live(text: str) -> str:
        part = text[text.index('id="job"') : text.index('id="job-content"')]
        return re.sub(r'name="csrf_token" value="[^"]*"', "", part)

    assert live(page) == live(partial)


def test_a_poll_is_answered_304_until_something_changes(
    http: FlaskClient, queue: JobQueue, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_750_000_000.0)
    url = f"/dashboard/partials/job/{submit()}"
    tag = http.get(url).headers["HX-PTag"]

    unchanged = http.get(url, headers={"HX-PTag": tag})
    queue.claim("worker-1")
    changed = http.get(url, headers={"HX-PTag": tag})

    assert (unchanged.status_code, unchanged.text) == (304, "")
    assert changed.status_code == 200
    assert "Attempt 1 is running" in changed.text


def test_a_poll_is_answered_again_when_a_worker_may_have_fallen_silent(
    http: FlaskClient, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_750_000_000.0
    monkeypatch.setattr("app.dashboard.clock.now", lambda: now)
    url = f"/dashboard/partials/job/{submit()}"
    tag = http.get(url).headers["HX-PTag"]

    now += 10

    assert http.get(url, headers={"HX-PTag": tag}).status_code == 200


@pytest.mark.parametrize("job_id", ["7", "0", "-1", "x", "９", "1" * 16, "1" * 400, "%00"])
def test_an_unknown_id_is_404_with_a_page(http: FlaskClient, job_id: str) -> None:
    response = http.get(f"/dashboard/jobs/{job_id}")

    assert response.status_code == 404
    assert "No such job" in response.text


def test_a_job_deleted_while_somebody_looks_at_it_says_so(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    job_id = submit()
    queue.delete(job_id)

    response = http.get(f"/dashboard/partials/job/{job_id}")

    assert response.status_code == 200
    assert 'id="job"' in response.text
    assert "This job is gone" in response.text
    assert "data-poll" not in response.text


def test_a_large_payload_is_loaded_on_demand(http: FlaskClient, queue: JobQueue) -> None:
    job_id = queue.submit("web_noop", {"text": "x" * 1_000_000, "password": "hunter2"})

    page = http.get(f"/dashboard/jobs/{job_id}").text
    partial = http.get(f"/dashboard/partials/job/{job_id}/payload").text
    full = http.get(f"/dashboard/jobs/{job_id}/payload").text

    assert len(page) < 30_000
    assert "Show all 976.6 KB" in page
    for text in (partial, full):
        assert "x" * 1_000_000 in text
        assert "hunter2" not in text


def test_the_live_part_never_reads_the_payload(http: FlaskClient, queue: JobQueue) -> None:
    job_id = queue.submit("web_noop", {"text": "seldom"})

    assert "seldom" not in http.get(f"/dashboard/partials/job/{job_id}").text


def test_a_mail_is_previewed_with_its_recipients(http: FlaskClient, queue: JobQueue) -> None:
    attachment = {"filename": "a.pdf", "content": "aGVsbG8="}
    job_id = submit_mail(
        queue,
        cc={"email": "bob@example.com", "name": "Bob"},
        html="<p>Hi",
        attachments=[attachment],
    )
    [job] = queue.claim("w")
    result = {
        "message_id": "<1.ab@example.com>",
        "recipients": {
            "ada@example.com": {"status": "sent", "code": 250, "reply": "2.0.0 Ok"},
            "bob@example.com": {"status": "bounced", "code": 550, "reply": "5.1.1 No such user"},
        },
    }
    queue.turn("w", [completed(job, result)], 0)

    page = http.get(f"/dashboard/jobs/{job_id}").text

    for text in ("Good morning", "Bob &lt;bob@example.com&gt;", "a.pdf", "5 bytes", "Bounced"):
        assert text in page
    assert "550 5.1.1 No such user" in page
    assert "&lt;1.ab@example.com&gt;" in page
    [frame] = re.findall(r"<iframe [^>]*>", page)
    assert " sandbox " in frame
    assert f'src="/dashboard/jobs/{job_id}/mail.html"' in frame


def test_the_html_of_a_mail_has_a_policy_of_its_own(http: FlaskClient, queue: JobQueue) -> None:
    html = '<p>Hi</p><LINK rel=preconnect href="https://tracker.example">'
    job_id = submit_mail(queue, html=html)

    response = http.get(f"/dashboard/jobs/{job_id}/mail.html")

    assert response.headers.getlist("Content-Security-Policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'; sandbox"
    ]
    assert response.text == '<p>Hi</p><x-LINK rel=preconnect href="https://tracker.example">'
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_only_a_mail_has_a_mail_to_show(http: FlaskClient, queue: JobQueue) -> None:
    other = queue.submit("web_noop", {"html": "<p>Hi"})
    plain = submit_mail(queue)

    assert http.get(f"/dashboard/jobs/{other}/mail.html").status_code == 404
    assert http.get(f"/dashboard/jobs/{plain}/mail.html").status_code == 404


@pytest.mark.parametrize(
    "payload", ["[]", "null", '{"to": 7, "attachments": 5, "html": []}', '{"to": {"x": 1}}', "{"]
)
def test_any_payload_of_a_mail_has_a_page(http: FlaskClient, queue: JobQueue, payload: str) -> None:
    job_id = queue.submit("send_email", payload)

    assert http.get(f"/dashboard/jobs/{job_id}").status_code == 200


def test_many_attempts_are_folded(http: FlaskClient, queue: JobQueue, submit: Submit) -> None:
    job_id = submit()
    for _ in range(25):
        [job] = queue.claim("w")
        queue.turn("w", [failed(job, "No", retry_in_ms=0)], 0)
        queue.promote()

    page = http.get(f"/dashboard/jobs/{job_id}").text

    assert "5 older attempts" in page
    assert page.count("<b>Attempt ") == 25


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_shows_as_text_in_every_field(
    http: FlaskClient, queue: JobQueue, text: str
) -> None:
    payload = {"to": text, "subject": text, "message": text, "html": text, text: text}
    attachments = [{"filename": text, "content": ""}]
    job_id = queue.submit(
        "send_email",
        json.dumps(payload | {"attachments": attachments}),
        title=text,
        people=(text,),
    )
    [job] = queue.claim(text)
    reply = {"status": text, "code": 250, "reply": text}
    result = {"recipients": {text: reply}, "message_id": text}
    queue.turn(text, [failed(job, text, retry_in_ms=None, result=result)], 0)

    page = http.get(f"/dashboard/jobs/{job_id}").text

    assert queue_status(http, job_id) == Status.PERMANENTLY_FAILED
    for raw in ("<script>alert", "<img src=x", "<svg/onload", "</title><!--", "1234321"):
        assert raw not in page.split("<main", 1)[1]
    assert not set("\u202e\u200b\ufeff\x07\x1b") & set(page)


def queue_status(http: FlaskClient, job_id: int) -> str:
    response = http.get(f"/api/job/status/{job_id}")
    return str(response.get_json()["data"]["status"])


@pytest.mark.parametrize("ended", ["success", "permanently_failed"])
def test_a_mail_that_may_have_gone_twice_says_so(
    http: FlaskClient, queue: JobQueue, ended: str
) -> None:
    job_id = submit_mail(queue)
    [job] = queue.claim("w1")
    result = {"transport": "smtp", "unconfirmed": True}
    outcome = (
        completed(job, result)
        if ended == "success"
        else failed(job, "ambiguous: no answer", retry_in_ms=None, result=result)
    )
    queue.turn("w1", [outcome], 0)

    page = http.get(f"/dashboard/jobs/{job_id}").text

    assert "<b>Unconfirmed.</b>" in page
    assert ("may have arrived twice" in page) == (ended == "success")
    assert ("a retry sends it again" in page) == (ended != "success")


def test_a_confirmed_mail_is_not_called_unconfirmed(http: FlaskClient, queue: JobQueue) -> None:
    job_id = submit_mail(queue)
    [job] = queue.claim("w1")
    queue.turn("w1", [completed(job, {"transport": "smtp"})], 0)

    assert "Unconfirmed" not in http.get(f"/dashboard/jobs/{job_id}").text
