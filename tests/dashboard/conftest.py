"""The same web application as the API's tests have."""

from tests.api.conftest import app, config, http, queue, submit

__all__ = ["app", "config", "http", "queue", "submit"]
