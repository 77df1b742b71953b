"""The API's description: for programs, and the same for people, without a script."""

from __future__ import annotations

import json
import re
from functools import cache

from flask import Response, render_template, request
from markupsafe import Markup

from app.api import openapi, reading
from app.api.views import bp

# Stands in the kept text for where the API is, which each caller may know by another name.
_SOMEWHERE = "https://mailroom.invalid"
# What means nothing in HTML and to a shell: the Host header is whatever the caller wrote.
_ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?/")
_USUAL_ADDRESS = "http://127.0.0.1:8000/"


@bp.get("/openapi.json")
def openapi_json() -> Response:
    return Response(openapi.document(), mimetype="application/json")


@bp.get("/docs")
def docs() -> str:
    found = request.host_url
    address = found if _ADDRESS.fullmatch(found) else _USUAL_ADDRESS
    operations = _operations(openapi.document()).replace(_SOMEWHERE, address.rstrip("/"))
    return render_template("api/docs.html", operations=Markup(operations))


@cache
def _operations(text: bytes) -> str:
    """The HTML of all operations, made once: it takes longer than a hundred other requests."""
    document = json.loads(text)
    return render_template(
        "api/_operations.html",
        description=document["info"]["description"].split("\n\n"),
        groups=reading.groups(document, _SOMEWHERE),
    )
