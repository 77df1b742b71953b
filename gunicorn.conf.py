"""Settings of `gunicorn wsgi:app`, from the environment like everything else."""

import sys

from gunicorn.glogging import Logger

from app.config import Config, ConfigError
from app.logs import settings
from app.security.exposure import check_start

try:
    _config = Config.load()
    check_start(_config)
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(2)

_host = _config.host.strip("[]")
bind = f"[{_host}]:{_config.port}" if ":" in _host else f"{_host}:{_config.port}"
workers = _config.web_workers
threads = _config.web_threads
worker_class = "app.security.slow_clients.PatientWorker"
# A listening socket for each worker: the kernel shares connections out, none wakes them all.
reuse_port = True
graceful_timeout = max(1, int(_config.shutdown_seconds))
# Whom to believe about the caller's address and scheme is TRUSTED_PROXIES' business alone.
forwarded_allow_ips = ""
# Two copies of one user would share it.
control_socket_disable = True
loglevel = "warning" if _config.log_level == "INFO" else _config.log_level.lower()
logconfig_dict = settings(_config.log_level, _config.log_format, _config.secrets) | {
    # Its own lines are those of the root logger then: one format for all.
    "loggers": {"gunicorn.error": {"level": loglevel.upper(), "handlers": [], "propagate": True}},
}
accesslog = None


class logger_class(Logger):  # noqa: N801  gunicorn's name for the setting
    """Writes no line for a request: app/requests.py does. Without this one would be made all the
    same, and thrown away, for there is a `logconfig_dict`."""

    access_log_enabled = False


max_requests = 0
preload_app = False
