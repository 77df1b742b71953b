"""What a page's polls get: 304 while nothing changed (htmx's `hx-ptag`)."""

from __future__ import annotations

import zlib
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


def tag_of(*shown: object) -> str:
    """A tag that changes with what is shown, whatever its type: by its `repr`."""
    return f"{zlib.crc32(repr(shown).encode()):x}"
