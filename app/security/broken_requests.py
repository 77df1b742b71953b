"""A request whose body turns out to be broken while it is read: chunks that are none."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import BadRequest


def register(app: Flask) -> None:
    def refused(error: Exception) -> ResponseReturnValue:
        """400, in the manner of the face that was asked."""
        return app.handle_http_exception(BadRequest())

    # gunicorn raises them through whoever reads. It closes the connection afterwards.
    app.register_error_handler(ParseException, refused)
    app.register_error_handler(NoMoreData, refused)
