"""schemathesis against the application's own OpenAPI document, all endpoints, with a key and open.

SCHEMATHESIS_EXAMPLES=2000 tries as many requests of each operation, in place of 60."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import fakeredis
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from app import create_app
from app.config import Config
from tests.api.conftest import source_for_fakeredis

EXAMPLES_PER_ENDPOINT = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "60"))
JOBS = 60

SETTINGS = SchemathesisConfig.from_dict(
    {
        "seed": 20_250_601,
        # What a payload must hold depends on the job type: no schema says so.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
        "operations": [
            # A bad job of a batch is answered in its place, with 200.
            {
                "include-path": "/api/jobs/batch",
                "checks": {"negative_data_rejection": {"enabled": False}},
            }
        ],
    }
)


def app_with_jobs() -> Flask:
    config = replace(
        Config.load(env_file=None),
        job_modules=("tests.api.job_types",),
        secret_key="of the tests " * 3,
        api_rate_limit=None,
        allow_insecure=True,
    )
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    app = create_app(config, client=client, source=source_for_fakeredis)
    http = app.test_client()
    for _ in range(JOBS):
        http.post("/api/process_query", json={"job_type": "web_noop", "payload": {}})
    return app


# Made at import: schemathesis 4.32 can't make one test for each endpoint from a fixture under
# pytest 9.2.
app = app_with_jobs()
_, KEY = app.extensions["api_keys"].create("tests", scopes=["admin"], by="tests", now=1.0)
schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, config=SETTINGS)
# No key was ever made here, so that none is asked for; schemathesis calls from no address.
open_app = app_with_jobs()
open_schema = schemathesis.openapi.from_wsgi("/api/openapi.json", open_app, config=SETTINGS)


@open_schema.hook
@schema.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Texts that happen to be JSON are too rare: makes the payloads of one length in two JSON."""
    jobs = body["jobs"] if isinstance(body, dict) and isinstance(body.get("jobs"), list) else [body]
    for job in jobs:
        if isinstance(job, dict) and isinstance(job.get("payload"), str):
            text = job["payload"]
            job["payload"] = json.dumps(text) if len(text) % 2 else text
    return body


@open_schema.hook
@schema.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """Nearly all numbers name no job: makes one in two name one of the first."""
    job_id = (path_parameters or {}).get("id")
    if isinstance(job_id, int) and job_id > JOBS and job_id % 2:
        path_parameters["id"] = job_id % JOBS + 1
    return path_parameters


thorough = settings(
    max_examples=EXAMPLES_PER_ENDPOINT,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@thorough
def test_the_api_does_what_its_document_says(case: schemathesis.Case[Any]) -> None:
    keep_a_worker(app)

    case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})


@open_schema.parametrize()
@thorough
def test_it_does_so_where_no_key_is_asked_for(case: schemathesis.Case[Any]) -> None:
    keep_a_worker(open_app)

    case.call_and_validate()


def keep_a_worker(app: Flask) -> None:
    """Or /readyz answers 503."""
    app.extensions["queue"].renew("worker-1", [], {"role": "main"})
