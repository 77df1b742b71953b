"""The page in place of one that isn't there, or that could not be made."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

# What is loaded into a page of ours, and not looked at by itself.
_PARTS = ("/dashboard/partials/", "/static/")


def error_page(error: HTTPException) -> HTTPException | Response:
    """For Flask's own errors; an unexpected exception comes here as a 500, already logged."""
    if request.path.startswith(_PARTS):
        return error
    code = error.code or 500
    heading, text = _WORDS.get(code, _OTHERWISE)
    response = make_response(
        render_template("dashboard/error.html", code=code, heading=heading, text=text), code
    )
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


_WORDS = {
    404: ("There is no such page", "The address is mistyped or cut off, or the page has moved."),
    405: ("This is not a page", "The address belongs to a button. Nothing was changed."),
    413: ("Too much was sent", "Nothing was done. The form holds more than is allowed."),
    500: ("Something went wrong here", "It is not your doing, and it is written in the log."),
}
_OTHERWISE = ("This can't be done", "The request was not understood. Nothing was changed.")
