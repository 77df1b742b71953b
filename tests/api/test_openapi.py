from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate


def test_the_document_is_valid_openapi(http: FlaskClient) -> None:
    document = http.get("/api/openapi.json").json

    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_endpoint_is_documented_and_nothing_else(app: Flask, http: FlaskClient) -> None:
    routes = {
        (re.sub(r"<\w+>", "{id}", re.sub(r"<path:(\w+)>", r"{\1}", rule.rule)), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(("api.", "health."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    paths = http.get("/api/openapi.json").json["paths"]

    documented = {(path, method) for path, item in paths.items() for method in item}
    assert documented == routes - {("/api/openapi.json", "get"), ("/api/docs", "get")}


def test_the_known_job_types_and_bounds_are_published(http: FlaskClient) -> None:
    fields = http.get("/api/openapi.json").json["components"]["schemas"]["Submission"]

    assert {"web_greet", "web_noop"} <= set(fields["properties"]["job_type"]["enum"])
    assert fields["properties"]["delay_seconds"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 157_680_000,
    }
    assert fields["required"] == ["job_type", "payload"]
    assert fields["additionalProperties"] is False
