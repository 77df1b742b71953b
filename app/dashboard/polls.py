"""What a page's polls get: 304 while nothing changed (htmx's `hx-ptag`)."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, make_response, request

HEADER = "HX-PTag"


def unless_seen(tag: str, render: Callable[[], str]) -> Response:
    """The rendered partial, or 304 when the browser shows the one with this tag already."""
    if request.headers.get(HEADER) == tag:
        return Response(status=304)
    response = make_response(render())
    response.headers[HEADER] = tag
    return response
