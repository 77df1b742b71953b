"""Every setting, read once from the environment and `.env`. Nothing else reads the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from environs import Env, EnvValidationError

from app.settings.embedded_socket import socket_path
from app.settings.errors import ConfigError
from app.settings.rates import rate_or_off, rates
from app.settings.readers import (
    choice,
    flag,
    flag_on,
    names,
    number,
    optional_int,
    path,
    some_of,
    text,
)
from app.settings.secrets import (
    password_hash,
    secret,
    users,
    webhook_secret,
    webhook_secrets,
)
from app.settings.server_url import server_url
from app.settings.servers import is_loopback, master_name, redis_url, servers
from app.settings.together import ON_A_CLUSTER, check_together

__all__ = ["Config", "ConfigError"]


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. Field names are the variables' names in lower case; see `sample.env`."""

    host: str
    port: int
    data_dir: Path
    allow_insecure: bool
    secret_key: str
    dashboard_password_hash: str
    dashboard_viewer_password_hash: str
    dashboard_users: tuple[tuple[str, str, str], ...]  # name, role, password hash
    session_hours: float
    trusted_proxies: int
    api_rate_limit: tuple[int, int] | None  # requests, in so many seconds
    log_level: str
    log_format: str
    web_workers: int
    web_threads: int

    redis_url: str
    redis_host: str
    redis_port: int
    redis_password: str
    redis_ssl: bool
    redis_ssl_ca_file: str
    redis_sentinels: tuple[str, ...]  # host:port each
    redis_sentinel_master: str
    redis_sentinel_password: str
    redis_cluster: tuple[str, ...]  # host:port each
    redis_server_bin: str
    durability: str
    key_prefix: str
    queue_shards: int
    search_index: bool

    worker_processes: int
    worker_concurrency: int
    job_modules: tuple[str, ...]
    job_type_rate: tuple[tuple[str, float], ...]  # job type, attempts a second
    max_retries: int | None
    retry_base_seconds: float
    retry_max_seconds: float
    lease_seconds: float
    shutdown_seconds: float
    priority_head_start_seconds: float
    retention_success_days: float
    retention_failed_days: float
    retention_max_jobs: int
    retention_payload_days: float

    smtp_host: str
    smtp_port: int | None
    smtp_username: str
    smtp_password: str
    smtp_security: str
    smtp_allow_plaintext: bool
    smtp_ca_file: str
    smtp_helo_name: str
    smtp_max_messages_per_connection: int
    mail_from: str
    mail_allowed_from: tuple[str, ...]
    mail_domain_rate: tuple[tuple[str, float], ...]  # domain or "*", mails a second
    mail_dkim_domain: str
    mail_dkim_selector: str
    mail_dkim_key_file: str
    mail_suppression: bool

    webhook_url: str
    webhook_secret: str
    webhook_events: tuple[str, ...]
    webhook_allow_private: bool

    @classmethod
    def load(cls, env_file: str | None = ".env") -> Config:
        """Reads the environment, and `env_file` where the environment says nothing.

        Raises ConfigError with all errors at once.
        """
        env = Env(eager=False)
        if env_file and Path(env_file).is_file():
            # recurse=False: a `.env` of some parent folder is not ours.
            env.read_env(env_file, recurse=False)
        read = {name: reader(env, name.upper()) for name, reader in _READERS.items()}
        try:
            env.seal()
        except EnvValidationError as error:
            raise ConfigError(_one_line_each(error.error_messages)) from None
        values: dict[str, Any] = read
        if values["redis_cluster"]:
            values["key_prefix"] = values["key_prefix"] or ON_A_CLUSTER
        config = cls(**values)
        check_together(config)
        return config

    @property
    def uses_embedded_redis(self) -> bool:
        elsewhere = (self.redis_url, self.redis_host, self.redis_sentinels, self.redis_cluster)
        return not any(elsewhere)

    @property
    def replicas(self) -> int:
        """How many replicas must have a job before it is promised."""
        return int(self.durability == "replicated")

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach us: directly, or through a proxy in front of us."""
        return not is_loopback(self.host) or self.trusted_proxies > 0

    @property
    def has_login(self) -> bool:
        """Whether the dashboard asks for a password."""
        hashes = (self.dashboard_password_hash, self.dashboard_viewer_password_hash)
        return bool(any(hashes) or self.dashboard_users)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must stand in no log."""
        return (
            *(self.secret_key, self.redis_password, self.redis_sentinel_password),
            *(self.smtp_password, *webhook_secrets(self.webhook_secret)),
        )

    @property
    def server_url(self) -> str:
        """The Redis URL to connect to. May hold the password: never log it."""
        return server_url(self)

    @property
    def embedded_socket(self) -> Path:
        """Where the embedded server listens. The same path in every process with this DATA_DIR.

        Raises ConfigError when a folder of somebody else stands where the socket would be.
        """
        return socket_path(self.data_dir)


# One line for each setting, in the order of the dataclass and of `sample.env`.
_READERS: dict[str, Callable[[Env, str], Any]] = {
    "host": text("127.0.0.1"),
    "port": number(8000, 1, 65535, int),
    "data_dir": path("data"),
    "allow_insecure": flag,
    "secret_key": secret,
    "dashboard_password_hash": password_hash,
    "dashboard_viewer_password_hash": password_hash,
    "dashboard_users": users,
    "session_hours": number(12, 0.1, 720),
    "trusted_proxies": number(0, 0, 10, int),
    "api_rate_limit": rate_or_off("6000/min"),
    "log_level": choice("INFO", "DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": choice("text", "text", "json"),
    "web_workers": number(2, 1, 64, int),
    "web_threads": number(8, 1, 256, int),
    "redis_url": redis_url,
    "redis_host": text(),
    "redis_port": number(6379, 1, 65535, int),
    "redis_password": text(),
    "redis_ssl": flag,
    "redis_ssl_ca_file": text(),
    "redis_sentinels": servers(26379, "sentinel-1.example.com:26379"),
    "redis_sentinel_master": master_name,
    "redis_sentinel_password": text(),
    "redis_cluster": servers(6379, "node-1.example.com:6379"),
    "redis_server_bin": text(),
    "durability": choice("local", "local", "replicated"),
    "key_prefix": text(),
    "queue_shards": number(1, 1, 64, int),
    "search_index": flag_on,
    "worker_processes": number(1, 0, 64, int),
    "worker_concurrency": number(16, 1, 250, int),
    "job_modules": names(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "the name of a Python module"),
    "job_type_rate": rates("send_email=14/s", "a job type", str),
    "max_retries": optional_int(0, 1000),
    "retry_base_seconds": number(30, 0.001, 86_400),
    "retry_max_seconds": number(14_400, 0.001, 604_800),
    "lease_seconds": number(60, 0.2, 86_400),
    "shutdown_seconds": number(25, 0, 3_600),
    "priority_head_start_seconds": number(3_600, 0, 31_536_000),
    "retention_success_days": number(30, 0, 36_500),
    "retention_failed_days": number(90, 0, 36_500),
    "retention_max_jobs": number(0, 0, 10**12, int),
    "retention_payload_days": number(0, 0, 36_500),
    "smtp_host": text(),
    "smtp_port": optional_int(1, 65535),
    "smtp_username": text(),
    "smtp_password": text(),
    "smtp_security": choice("starttls", "starttls", "tls", "none"),
    "smtp_allow_plaintext": flag,
    "smtp_ca_file": text(),
    "smtp_helo_name": text(),
    "smtp_max_messages_per_connection": number(100, 1, 100_000, int),
    "mail_from": text("Mailroom <mailroom@localhost>"),
    "mail_allowed_from": names(r"[^\s@,]*@?[^\s@,]+", "an address or a domain"),
    "mail_domain_rate": rates("gmail.com=20/s", "a domain or *", str.lower),
    "mail_dkim_domain": text(),
    "mail_dkim_selector": text(),
    "mail_dkim_key_file": text(),
    "mail_suppression": flag_on,
    "webhook_url": text(),
    "webhook_secret": webhook_secret,
    "webhook_events": some_of("sent", "deferred", "bounced", "failed"),
    "webhook_allow_private": flag,
}
assert list(_READERS) == [f.name for f in fields(Config)]


def _one_line_each(errors: Any) -> str:
    return "\n".join(f"{name}: {' '.join(messages)}" for name, messages in sorted(errors.items()))
