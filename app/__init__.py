"""The web application's wiring. Workers import this package too, so Flask loads in `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis
    from flask import Flask

    from app.config import Config
    from app.queue.jobqueue import JobQueue

# Redis away must be answered within 2 s: one connect, or one call on a connection that hangs.
CONNECT_TIMEOUT_SECONDS = 1.0
TIMEOUT_SECONDS = 1.5

# Must answer whatever the store is like.
_WITHOUT_STORE = frozenset(
    {
        *(None, "static", "health.healthz", "health.metrics", "health.readyz"),
        *("api.openapi_json", "api.docs"),
        *("login.log_in", "login.try_to_log_in", "login.log_out"),
    }
)


def create_app(
    config: Config | None = None,
    *,
    client: redis.Redis | None = None,
    source: Callable[[str], str] | None = None,
) -> Flask:
    """The web application: JSON API and dashboard.

    `client` and `source` (the text of a script, by name) are for tests on another server.
    Raises ConfigError, with one line for each setting that can't be used.
    """
    from flask import Flask

    from app.api import register as register_api
    from app.cli import register as register_cli
    from app.config import Config, ConfigError
    from app.dashboard import register as register_dashboard
    from app.dashboard.error_page import error_page
    from app.jobs import JobModuleError, load_job_types
    from app.queue.audit import Audit
    from app.queue.opening import Store
    from app.queue.scripts import script_source
    from app.queue.server_clock import ServerClock
    from app.queue.suppressions import Suppressions
    from app.requests import LoggedRequests
    from app.security import register as register_security
    from app.security.headers import SecureHeaders

    config = config or Config.load()
    try:
        load_job_types(config)
    except JobModuleError as error:
        raise ConfigError(str(error)) from error

    app = Flask(__name__, template_folder="../templates", static_folder="../static")
    app.extensions["config"] = config

    def know_shards() -> None:
        app.extensions["inspector"] = store.inspector()
        app.extensions["operations"] = store.operations()

    store = Store(
        config,
        name="mailroom-web",
        on_change=know_shards,
        client=client,
        source=source or script_source,
        timeout_seconds=TIMEOUT_SECONDS,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        # A thread uses one at a time; one that fell out of use must not make a request wait.
        max_connections=2 * config.web_threads + 8,
    )
    know_shards()
    client = store.client
    app.extensions["store"] = store
    app.extensions["queue"] = store.queue
    app.extensions["clock"] = ServerClock(store.queue.now)
    app.extensions["audit"] = Audit(client, prefix=config.key_prefix)
    app.extensions["suppressions"] = Suppressions(client, prefix=config.key_prefix)
    register_api(app, error_page)
    register_dashboard(app)
    register_security(app, config, client)
    app.before_request(_ensure_schema)
    register_cli(app)
    app.wsgi_app = LoggedRequests(SecureHeaders(app.wsgi_app))  # type: ignore[assignment, method-assign]
    return app


def _ensure_schema() -> None:
    """Raises ServerUnsuitable, QueueUnavailable: answered by the blueprint that was asked."""
    from flask import current_app, request

    if request.endpoint not in _WITHOUT_STORE:
        queue: JobQueue = current_app.extensions["queue"]
        queue.ensure_schema()
        queue.follow()
