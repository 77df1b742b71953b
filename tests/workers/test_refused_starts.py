"""What a person can mend is one clear line, and exit code 2."""

from __future__ import annotations

import pytest

from tests.workers.own_server import OwnServer
from tests.workers.processes import MAIN, RETRY, System


@pytest.mark.parametrize("module", [MAIN, RETRY])
def test_wrong_settings_are_named_with_what_is_allowed(system: System, module: str) -> None:
    worker = system.start(module, WORKER_CONCURRENCY="many", LEASE_SECONDS="0")

    assert worker.exit_code() == 2

    first, second = worker.log().splitlines()
    assert first.startswith("LEASE_SECONDS: ")
    assert second == "WORKER_CONCURRENCY: Must be a whole number from 1 to 250."


@pytest.mark.parametrize("module", [MAIN, RETRY])
@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (None, "ModuleNotFoundError: No module named 'my_jobs'"),
        ("def broken(:", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('not here')", "SystemExit: not here"),
    ],
)
def test_job_types_that_can_not_be_loaded_are_named_with_the_cause(
    system: System, module: str, source: str | None, cause: str
) -> None:
    if source is not None:
        (system.folder / "my_jobs.py").write_text(source)
    worker = system.start(module, JOB_MODULES="my_jobs")

    assert worker.exit_code() == 2

    [line] = worker.log().splitlines()
    assert line.startswith(f"Job types of my_jobs can't be loaded: {cause}")


@pytest.mark.parametrize("module", [MAIN, RETRY])
def test_a_wrong_password_is_named(
    mortal_system: System, own_server: OwnServer, module: str
) -> None:
    mortal_system.client.config_set("requirepass", "right")
    url = own_server.url.replace("unix://", "unix://:wrong@")
    worker = mortal_system.start(module, REDIS_URL=url)

    assert worker.exit_code() == 2

    log = worker.log()
    assert log.splitlines()[-1].startswith("Redis refuses the login: ")
    assert "Traceback" not in log
    assert "wrong@" not in log


@pytest.mark.parametrize("module", [MAIN, RETRY])
def test_a_store_of_a_newer_version_is_left_alone(system: System, module: str) -> None:
    job_id = system.queue.submit("noop")
    system.client.hset("Meta", "schema", 99)
    worker = system.start(module)

    assert worker.exit_code() == 2

    last = worker.log().splitlines()[-1]
    assert last.startswith("The store was written by a newer version (schema 99;")
    assert system.job(job_id).status == "pending"
