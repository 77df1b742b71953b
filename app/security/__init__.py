"""What keeps strangers out of the web application. Flask is loaded by `register` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis
    from flask import Flask

    from app.config import Config

# A form has no use for more. The API has its own limits, and sets them itself.
FORM_MAX_BYTES = 1024 * 1024


def register(app: Flask, config: Config, client: redis.Redis) -> None:
    """Raises ConfigError when there is no secret key and none can be kept."""
    from werkzeug.middleware.proxy_fix import ProxyFix

    from app.security import access, broken_requests, csrf, login
    from app.security.api_keys import ApiKeys
    from app.security.cookies import Cookies
    from app.security.limits import DailyQuota, LoginThrottle, RequestRate
    from app.security.people import Users
    from app.security.secret_key import secret_key

    prefix = config.key_prefix
    app.extensions["api_keys"] = ApiKeys(client, prefix=prefix)
    app.extensions["request_rate"] = RequestRate(client, config.api_rate_limit, prefix=prefix)
    app.extensions["daily_quota"] = DailyQuota(client, prefix=prefix)
    app.extensions["login_throttle"] = LoginThrottle(client, prefix=prefix)
    app.extensions["users"] = Users(config)
    app.config.update(
        SECRET_KEY=secret_key(config),
        # Cookies know no ports: two copies on one host must not overwrite each other's.
        SESSION_COOKIE_NAME=f"mailroom_{config.port}",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        MAX_CONTENT_LENGTH=FORM_MAX_BYTES,
    )
    app.session_interface = Cookies()
    if config.trusted_proxies:
        # Not X-Forwarded-Host: a proxy that does not set it hands on what the caller wrote.
        count = config.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0
        )
    # Before CSRF: who is not let in learns nothing else.
    access.register(app)
    csrf.register(app)
    login.register(app)
    broken_requests.register(app)
