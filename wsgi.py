"""`gunicorn wsgi:app`: the API and the dashboard."""

import sys

from app import create_app
from app.config import ConfigError

# gunicorn stops at this status; after any other it starts the worker again and again.
APP_LOAD_ERROR = 4

try:
    app = create_app()
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(APP_LOAD_ERROR)
