from __future__ import annotations

import subprocess
import sys

# gunicorn.arbiter.Arbiter.APP_LOAD_ERROR
STATUS_THAT_STOPS_GUNICORN = 4


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_shared_queue_module_loads_no_flask() -> None:
    done = run("import sys, app.queue.jobqueue; print('flask' in sys.modules)")

    assert done.stdout == "False\n", done.stderr


def test_wrong_settings_stop_the_application_with_a_line_each() -> None:
    done = run("import wsgi", PORT="none", WORKER_CONCURRENCY="0")

    assert done.returncode == STATUS_THAT_STOPS_GUNICORN
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["PORT", "WORKER_CONCURRENCY"]


def test_a_job_module_that_is_missing_stops_the_application_with_one_line() -> None:
    done = run("import wsgi", JOB_MODULES="no_such_module")

    assert done.returncode == STATUS_THAT_STOPS_GUNICORN
    [line] = done.stderr.splitlines()
    assert "no_such_module" in line
