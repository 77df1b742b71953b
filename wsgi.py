"""`gunicorn wsgi:app`: the API and the dashboard. The `flask` command finds its commands here."""

import sys

import click

from app import create_app
from app.config import ConfigError
from app.security.exposure import check_start

# gunicorn stops at this status; after any other it starts the worker again and again.
APP_LOAD_ERROR = 4

try:
    app = create_app()
    command = click.get_current_context(silent=True)
    # A command serves nobody, and the one that makes the first key must run.
    if command is None or "run" in (command.info_name, *command.protected_args):
        check_start(app.extensions["config"])
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(APP_LOAD_ERROR)
