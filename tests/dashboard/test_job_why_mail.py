"""Why a mail waits, told from what the real gate of the real mailer said when it gave it back."""

from __future__ import annotations

import json
import random
import re
import time
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.config import Config
from app.mail.mailer import Mailer
from app.mail.pacing import Pacing
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.mail.conftest import make_mailer
from tests.mail.scripted import ScriptedServer
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, Clock, MakeMailer, make_job
from workers.attempt import attempt

__all__ = ["make_mailer"]

WORKER = "w1"


def submit_mail(queue: JobQueue, **fields: Any) -> int:
    return queue.submit("send_email", json.dumps(EXAMPLE | fields))


def run_all(queue: JobQueue, mailer: Mailer, config: Config) -> None:
    """As a worker does, which says at the end what it says with each heartbeat."""
    for job in queue.claim(WORKER, 10):
        job.data = make_job(json.loads(job.payload)).data
        outcome = attempt(job, lambda job: mailer.send(job, job.data), config, random.Random(1))
        queue.turn(WORKER, [outcome], 0)
    said = {"role": "main", "concurrency": 4, "busy": 0, "breaker": mailer.breaker}
    queue.renew(WORKER, [], said)


def why(http: FlaskClient, job_id: int) -> list[str]:
    """The sentences on the job's page, without markup."""
    page = http.get(f"/dashboard/jobs/{job_id}").text
    [part] = re.findall(r'<div class="why">(.*?)</div>', page, re.DOTALL) or [""]
    return [
        " ".join(unescape(re.sub(r"<[^>]+>", "", text)).split())
        for text in re.findall(r"<p.*?>(.*?)</p>", part, re.DOTALL)
    ]


def test_a_mail_that_its_domains_rate_holds_up_says_which_and_when(
    http: FlaskClient, queue: JobQueue, config: Config, make_mailer: MakeMailer
) -> None:
    first, second = (submit_mail(queue, to=f"{name}@slow.example") for name in "ab")
    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        mailer.pace(Pacing([("slow.example", 0.01)], queue.take))  # one in 100 s
        run_all(queue, mailer, config)

    assert why(http, first) == []
    [sentence] = why(http, second)
    assert re.fullmatch(
        r"Why is it not running\? Its turn has not come: mail to slow\.example keeps to a rate "
        r"\(MAIL_DOMAIN_RATE\)\. That cost it no attempt, and it is due in (1 min|\d\d s)\.",
        sentence,
    )


@pytest.mark.parametrize("is_given_back", [True, False])
def test_a_mail_that_waits_while_no_mail_can_go_out_says_why(
    http: FlaskClient,
    queue: JobQueue,
    config: Config,
    make_mailer: MakeMailer,
    is_given_back: bool,
) -> None:
    given_back = submit_mail(queue)
    with ScriptedServer({"AUTH": "535 5.7.8 No"}, extensions=("AUTH PLAIN",)) as server:
        mailer = make_mailer(server, smtp_username="me", clock=Clock(time.time()))
        run_all(queue, mailer, config)
        assert mailer.breaker is not None
    job_id = given_back if is_given_back else submit_mail(queue)

    sentences = why(http, job_id)

    held = sentences[-1]
    assert "No mail can go out now (" in held
    assert mailer.breaker["reason"].rstrip(".") in held
    assert re.search(r"Waiting costs it no attempt\. The next probe is due in \d\d s\.$", held)
    if is_given_back:
        assert sentences[0].startswith(
            f"Why is it not running? It was given back without an attempt "
            f"({mailer.breaker['reason'].rstrip('.')}) and is due in "
        )
    else:
        assert len(sentences) == 1  # nothing about being the next one


def test_a_mail_given_back_by_an_open_breaker_repeats_its_reason(
    http: FlaskClient, queue: JobQueue, config: Config, make_mailer: MakeMailer
) -> None:
    with ScriptedServer({"AUTH": "535 5.7.8 No"}, extensions=("AUTH PLAIN",)) as server:
        mailer = make_mailer(server, smtp_username="me", clock=Clock(time.time()))
        submit_mail(queue)
        run_all(queue, mailer, config)
        later = submit_mail(queue)
        run_all(queue, mailer, config)

    assert "given back without an attempt (No mail can go out now: " in why(http, later)[0]


def test_when_mail_goes_out_again_nothing_is_said_of_it(
    http: FlaskClient, queue: JobQueue, config: Config, make_mailer: MakeMailer
) -> None:
    with SmtpSink() as sink:
        run_all(queue, make_mailer(sink), config)
    job_id = submit_mail(queue)

    [sentence] = why(http, job_id)

    assert "It is the next one" in sentence
    assert queue.claim(WORKER, 1)[0].status == Status.PROCESSING
