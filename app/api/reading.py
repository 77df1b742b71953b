"""The OpenAPI description as a person reads it: references followed, schemas as rows of a table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

Schema = dict[str, Any]
# What each says of a value, in the order of JSON Schema; `{}` is the bound.
_BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
    "pattern": "pattern {}",
    "default": "otherwise {}",
}


class Row(NamedTuple):
    """One value: its name (`data.id`, `tasks[].id`), type, whether it must be there, its meaning,
    and what is allowed."""

    name: str
    type: str
    required: bool
    description: str
    rules: list[str]


class Answer(NamedTuple):
    code: str
    description: str
    headers: list[Row]
    rows: list[Row]
    example: str


class Operation(NamedTuple):
    anchor: str
    method: str
    path: str
    summary: str
    description: list[str]
    parameters: dict[str, list[Row]]
    body: list[Row]
    curl: str
    answers: list[Answer]


class Group(NamedTuple):
    name: str
    description: str
    operations: list[Operation]


def groups(document: Schema, address: str) -> list[Group]:
    """All operations by tag; `address` is where the API is, for the curl lines."""
    reader = _Reader(document, address.rstrip("/"))
    return [
        Group(tag["name"], tag["description"], list(reader.operations(tag["name"])))
        for tag in document["tags"]
    ]


class _Reader:
    def __init__(self, document: Schema, address: str) -> None:
        self._document = document
        self._address = address

    def operations(self, tag: str) -> Iterator[Operation]:
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                if tag in operation["tags"]:
                    yield self._operation(method, path, operation)

    def _operation(self, method: str, path: str, operation: Schema) -> Operation:
        parameters: dict[str, list[Row]] = {}
        for parameter in map(self._follow, operation["parameters"]):
            row = self._named(parameter["name"], parameter, parameter.get("required", False))
            parameters.setdefault(parameter["in"], []).append(row)
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        return Operation(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            description=operation["description"].split("\n\n"),
            parameters=parameters,
            body=list(self._rows(body["schema"])) if body else [],
            curl=self._curl(method, path, operation, body.get("example")),
            answers=[
                self._answer(code, self._follow(answer))
                for code, answer in operation["responses"].items()
            ],
        )

    def _answer(self, code: str, answer: Schema) -> Answer:
        json_answer = answer["content"].get("application/json", {})
        example = json_answer.get("example")
        return Answer(
            code=code,
            description=answer["description"],
            headers=[
                self._named(name, self._follow(header), False)
                for name, header in answer.get("headers", {}).items()
            ],
            rows=list(self._rows(json_answer["schema"])) if json_answer else [],
            example="" if example is None else json.dumps(example, indent=2, ensure_ascii=False),
        )

    def _named(self, name: str, holder: Schema, required: bool) -> Row:
        """A parameter or header: its meaning may stand beside its schema."""
        row = self._row(name, holder["schema"], required)
        return row._replace(description=holder.get("description", row.description))

    def _rows(self, schema: Schema, within: str = "") -> Iterator[Row]:
        """Every value in an object, at every depth."""
        schema = self._follow(schema)
        for choice in schema.get("anyOf", ()):
            yield from self._rows(choice, within)
        if "items" in schema and within:
            yield from self._rows(schema["items"], f"{within.removesuffix('.')}[].")
        for name, value in schema.get("properties", {}).items():
            yield self._row(f"{within}{name}", value, name in schema.get("required", ()))
            yield from self._rows(value, f"{within}{name}.")

    def _row(self, name: str, schema: Schema, required: bool) -> Row:
        schema = self._follow(schema)
        rules = [said.format(schema[key]) for key, said in _BOUNDS.items() if key in schema]
        if "enum" in schema:
            rules.insert(0, "one of " + ", ".join(map(str, schema["enum"])))
        return Row(name, self._type(schema), required, schema.get("description", ""), rules)

    def _type(self, schema: Schema) -> str:
        schema = self._follow(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._type(choice) for choice in schema["anyOf"]))
        if "const" in schema:
            return json.dumps(schema["const"])
        found = schema.get("type", "string" if "enum" in schema else "anything")
        if found == "array":
            return f"array of {self._type(schema.get('items', {}))}"
        return " or ".join(found) if isinstance(found, list) else str(found)

    def _follow(self, schema: Schema) -> Schema:
        """What a reference leads to; what stands beside it holds too."""
        if "$ref" not in schema:
            return schema
        found = self._document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return self._follow(found) | beside

    def _curl(self, method: str, path: str, operation: Schema, body: Any) -> str:
        """A line for a shell that sends the example."""
        query = {}
        lines = []
        for parameter in map(self._follow, operation["parameters"]):
            example = parameter.get("example")
            if example is None:
                continue
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(str(example), safe="@"))
            elif parameter["in"] == "query":
                query[parameter["name"]] = example
            else:
                header = f"{parameter['name']}: {example}"
                lines.append(f"-H {shlex.quote(header)}")
        url = self._address + path + (f"?{urlencode(query)}" if query else "")
        if operation["security"]:
            lines.insert(0, '-H "Authorization: Bearer $MAILROOM_KEY"')
        if body is not None:
            lines.append("-H 'Content-Type: application/json'")
            lines.append(f"-d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}")
        verb = "" if method == "get" else f" -X {method.upper()}"
        return " \\\n  ".join([f"curl -s{verb} {shlex.quote(url)}", *lines])
