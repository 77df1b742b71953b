"""How one operation of the OpenAPI description is put together."""

from __future__ import annotations

from typing import Any

from app.api.openapi_examples import EXAMPLES
from app.api.openapi_refusals import REQUEST_ID, references, with_request_id
from app.api.openapi_words import WORDS
from app.api.submission import IDEMPOTENCY_HEADER

_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": IDEMPOTENCY_HEADER,
    "description": "The same key with the same content answers the same job for 24 hours, so that "
    "a request can be repeated. In a batch it holds for each job, with its index.",
    "example": "order-4711-confirmation",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
REQUEST_ID_PARAMETER = {
    "in": "header",
    "name": "X-Request-ID",
    "description": "An id of your own for the logs, and for the job's `request_id`: 1 to 64 of "
    "A–Z a–z 0–9 _ . : -. Another, or none, is replaced.",
    "schema": {"type": "string"},
}
REQUEST_ID_ANSWER = {
    "description": "The request's id, as the logs of the API and the workers have it.",
    "schema": {"type": "string"},
}


def operation(
    summary: str,
    answer: str,
    *refusals: int,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    codes = {*refusals, 503, *((400, 403, 413, 415, 422) if body else ())}
    made: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": response("Done", answer)} | references(*codes),
    }
    if parameters:
        made["parameters"] = parameters
    if body:
        made["parameters"] = [_IDEMPOTENCY_KEY]
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return made


def response(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


def described(method: str, path: str, found: dict[str, Any]) -> dict[str, Any]:
    """The operation with its group, its words and its example."""
    words, example = WORDS[method, path], EXAMPLES[method, path]
    made = found | {
        "tags": [words.tag],
        "operationId": words.operation_id,
        "description": words.description,
        "parameters": [
            *found.get("parameters", ()),
            REQUEST_ID,  # apispec makes it a reference
        ],
    }
    made["responses"]["200"] = with_request_id(made["responses"]["200"])
    if example.answer is not None:
        made["responses"]["200"]["content"]["application/json"]["example"] = example.answer
    if example.body is not None:
        made["requestBody"]["content"]["application/json"]["example"] = example.body
    return made


def give_examples(method: str, path: str, made: dict[str, Any]) -> None:
    """Adds the example's values to the parameters of an operation that apispec has written out."""
    example = EXAMPLES[method, path]
    known = example.path | example.query
    for parameter in made["parameters"]:
        if parameter.get("name") in known:
            parameter["example"] = known[parameter["name"]]
