"""Job types for the tests of the web application, loaded with JOB_MODULES."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from app.jobs import job_type


class Greeting(Schema):
    name = fields.String(required=True, validate=validate.Length(min=1))
    times = fields.Integer(strict=True)


@job_type("web_noop")
def noop(job: Any) -> None:
    pass


@job_type("web_greet", schema=Greeting, max_retries=7)
def greet(job: Any) -> str:
    return f"Hello {job.data['name']}"
