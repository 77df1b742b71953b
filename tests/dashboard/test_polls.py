"""What a poll costs, and when it is answered with "nothing changed"."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import redis
from flask import Flask, template_rendered
from flask.testing import FlaskClient
from jinja2 import Template

from app import create_app
from app.config import Config
from app.queue.connection import connect
from app.queue.inspector import JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.sharded_jobqueue import ShardedJobQueue
from tests.conftest import RedisServer

TABLE, COUNTS = "/dashboard/partials/jobs-table", "/dashboard/partials/counts"
WORKERS, OPERATIONS = "/dashboard/partials/workers", "/dashboard/partials/operations"
OPERATION, JOB = "/dashboard/partials/operation/1", "/dashboard/partials/job/1"
CHARTS = "/dashboard/partials/charts"
ALL = pytest.mark.parametrize("url", [TABLE, COUNTS, WORKERS, OPERATIONS, OPERATION, JOB, CHARTS])
PARTIALS = pytest.mark.parametrize("url", [TABLE, COUNTS])


@pytest.fixture
def real_app(server: RedisServer, client: redis.Redis, tmp_path: Path) -> Flask:
    """The application on a real server, which counts commands."""
    config = replace(Config.load(env_file=None), redis_url=server.url, data_dir=tmp_path)
    return create_app(config, client=connect(server.url, name="web"))


@pytest.fixture
def web(real_app: Flask) -> FlaskClient:
    queue: JobQueue = real_app.extensions["queue"]
    queue.submit("noop")
    return real_app.test_client()


def tag_of(web: FlaskClient, url: str) -> str:
    response = web.get(url)
    assert response.status_code == 200
    return response.headers["HX-PTag"]


def commands_of(client: redis.Redis) -> dict[str, int]:
    """How often each command was called since the count was reset."""
    stats = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): int(found["calls"])
        for name, found in stats.items()
        if name not in ("cmdstat_info", "cmdstat_config|resetstat")
    }


@ALL
def test_a_poll_that_finds_nothing_new_costs_one_command_and_renders_nothing(
    web: FlaskClient,
    real_app: Flask,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_000.0)
    # Nor is it asked once a second whether shards were added.
    monkeypatch.setattr(ShardedJobQueue, "follow", lambda _queue: None)
    real_app.extensions["operations"].start("retry", JobQuery(), "a test")
    tag = tag_of(web, url)
    rendered: list[str] = []

    def note(_: Flask, template: Template, **others: object) -> None:
        rendered.append(str(template.name))

    client.config_resetstat()
    with template_rendered.connected_to(note, real_app):
        response = web.get(url, headers={"HX-PTag": tag})

    assert (response.status_code, response.data) == (304, b"")
    assert commands_of(client) == {"zrange" if url == WORKERS else "hget": 1}
    assert rendered == []


@PARTIALS
def test_any_change_of_the_queue_makes_a_new_answer(
    web: FlaskClient, real_app: Flask, url: str
) -> None:
    tag = tag_of(web, url)

    real_app.extensions["queue"].cancel(1)
    response = web.get(url, headers={"HX-PTag": tag})

    assert response.status_code == 200
    assert response.headers["HX-PTag"] != tag
    assert "Cancelled" in response.text


def test_a_heartbeat_makes_a_new_answer_and_so_does_silence(
    web: FlaskClient, real_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_000.0)
    tag = tag_of(web, WORKERS)

    real_app.extensions["queue"].renew("w1", [], {"role": "main", "host": "mail-7"})
    spoke = web.get(WORKERS, headers={"HX-PTag": tag})
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_016.0)
    later = web.get(WORKERS, headers={"HX-PTag": spoke.headers["HX-PTag"]})

    assert "mail-7" in spoke.text
    assert later.status_code == 200


def test_an_operation_that_stops_makes_a_new_answer(web: FlaskClient, real_app: Flask) -> None:
    operations = real_app.extensions["operations"]
    operations.start("retry", JobQuery(), "a test")
    tags = {url: tag_of(web, url) for url in (OPERATIONS, OPERATION)}

    operations.stop(1)

    for url, tag in tags.items():
        assert "Stopped" in web.get(url, headers={"HX-PTag": tag}).text


@pytest.mark.parametrize("url", ["/dashboard/workers", "/dashboard/operations"])
def test_a_page_comes_with_the_tag_of_its_first_poll(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_000.0)
    part = url.replace("/dashboard", "/dashboard/partials")

    assert f'hx-ptag="{tag_of(web, part)}"' in web.get(url).text


@PARTIALS
def test_the_tag_of_one_filter_is_not_that_of_another(web: FlaskClient, url: str) -> None:
    tag = tag_of(web, url)

    response = web.get(f"{url}?status=success", headers={"HX-PTag": tag})

    assert response.status_code == 200


def test_notices_are_looked_at_again_without_a_change_of_the_queue(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_000.0)
    tag = tag_of(web, COUNTS)
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_016.0)

    assert web.get(COUNTS, headers={"HX-PTag": tag}).status_code == 200


def test_a_part_is_one_element_and_what_it_brings_along(web: FlaskClient) -> None:
    """Blanks around it would pile up in the page with every swap."""
    table, counts = web.get(TABLE).text, web.get(COUNTS).text

    assert table.startswith('<section class="sheet" id="jobs-table"')
    assert table.endswith("</section>")
    assert counts.startswith('<div id="counts"')
    assert '</div><div class="notices" id="notices"' in counts
    assert 'hx-swap-oob="outerMorph"' in counts
    assert counts.endswith("</div>")


def test_page_and_partial_show_the_same_table(web: FlaskClient) -> None:
    page, part = web.get("/dashboard?priority=low").text, web.get(f"{TABLE}?priority=low").text

    rows = part[part.index("<tbody>") : part.index("</tbody>")]

    assert "<tr id=j1>" in rows
    assert _without_ages(rows) in _without_ages(page)
    assert f'hx-get="{TABLE}?priority=low"' in page


def test_a_part_is_503_without_a_page_around_it_while_redis_is_away(tmp_path: Path) -> None:
    config = replace(Config.load(env_file=None), data_dir=tmp_path)
    nowhere = connect(f"unix://{tmp_path}/nobody.sock", name="web")
    web = create_app(config, client=nowhere).test_client()

    part, page = web.get(TABLE), web.get("/dashboard")

    assert (part.status_code, part.data) == (503, b"")
    assert page.status_code == 503
    assert "Redis is away" in page.text
    assert 'hx-get="/dashboard?"' in page.text  # it loads itself again


def test_counts_obey_the_filters_that_can_be_counted(web: FlaskClient, real_app: Flask) -> None:
    real_app.extensions["queue"].submit("other", priority=Priority.HIGH)

    high = web.get(f"{COUNTS}?priority=high").text
    searched = web.get(f"{COUNTS}?q=%23tag").text

    assert "All <b>1</b>" in high
    assert "<b>" not in searched[: searched.index("notices")]
    assert Status.PENDING.value in searched


def _without_ages(html: str) -> str:
    return "".join(part.partition("<")[2] for part in html.split("Z>"))
