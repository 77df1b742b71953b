"""Every setting, read once from the environment and `.env`. Nothing else reads the environment."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from environs import Env, EnvValidationError, validate
from marshmallow import ValidationError

# The longest path that a unix socket can have on Linux (unix(7)); macOS has 104 with the NUL.
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103

# The hash tag of the first shard's keys: what stands in braces chooses the slot of a cluster.
ON_A_CLUSTER = "{mr0}"


class ConfigError(Exception):
    """The settings can't be used. The message has one line for each wrong setting."""


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
        _check_together(config)
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
            *(self.smtp_password, *re.split(r"[\s,]+", self.webhook_secret)),
        )

    @property
    def server_url(self) -> str:
        """The Redis URL to connect to. May hold the password: never log it."""
        if self.redis_url:
            return self.redis_url
        login = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        ca_file = {"ssl_ca_certs": self.redis_ssl_ca_file} if self.redis_ssl else {}
        if self.redis_sentinels:
            sentinels = ",".join(self.redis_sentinels)
            more = {"sentinel_password": self.redis_sentinel_password, **ca_file}
            scheme = "sentinels" if self.redis_ssl else "sentinel"
            return f"{scheme}://{login}{sentinels}/{self.redis_sentinel_master}{_query(more)}"
        if self.redis_cluster:
            scheme = "clusters" if self.redis_ssl else "cluster"
            return f"{scheme}://{login}{','.join(self.redis_cluster)}{_query(ca_file)}"
        if not self.redis_host:
            return f"unix://{quote(str(self.embedded_socket))}"
        scheme = "rediss" if self.redis_ssl else "redis"
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"{scheme}://{login}{host}:{self.redis_port}/0{_query(ca_file)}"

    @property
    def embedded_socket(self) -> Path:
        """Where the embedded server listens. The same path in every process with this DATA_DIR.

        Raises ConfigError when a folder of somebody else stands where the socket would be.
        """
        in_data_dir = self.data_dir.resolve() / "redis.sock"
        if len(os.fsencode(in_data_dir)) <= _SOCKET_PATH_MAX_BYTES:
            return in_data_dir
        # Not the temporary folder of the environment: it may differ from process to process.
        folder = _private_folder(Path("/tmp") / f"mailroom-{os.getuid()}")
        return folder / f"{hashlib.sha256(os.fsencode(in_data_dir)).hexdigest()[:32]}.sock"


def _given(env: Env, name: str) -> str:
    """What the environment, or else `.env`, has. Left empty means the default, so does unset."""
    return env.str(name, "").strip()


def _text(default: str = "") -> Callable[[Env, str], Any]:
    return lambda env, name: _given(env, name) or default


def _number(
    default: float, low: float, high: float, kind: type[int] | type[float] = float
) -> Callable[[Env, str], Any]:
    return _number_or(kind(default), low, high, kind)


def _optional_int(low: int, high: int) -> Callable[[Env, str], Any]:
    return _number_or(None, low, high, int)


def _number_or(
    default: float | None, low: float, high: float, kind: type[int] | type[float]
) -> Callable[[Env, str], Any]:
    allowed = f"Must be a {'whole ' if kind is int else ''}number from {low} to {high}."
    errors = {"invalid": allowed, "special": allowed, "too_large": allowed}

    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return default
        # environs' types don't know that it hands `error_messages` on to marshmallow.
        reader: Any = env.int if kind is int else env.float
        in_range = validate.Range(low, high, error=allowed)
        return reader(name, validate=in_range, error_messages=errors)

    return read


def _flag(env: Env, name: str) -> Any:
    if not _given(env, name):
        return False
    read: Any = env.bool
    return read(name, error_messages={"invalid": "Must be 1 (on) or 0 (off)."})


def _flag_on(env: Env, name: str) -> Any:
    return _flag(env, name) if _given(env, name) else True


def _choice(default: str, *allowed: str) -> Callable[[Env, str], Any]:
    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return default
        return env.str(name, validate=validate.OneOf(allowed, error="Must be one of: {choices}."))

    return read


def _names(pattern: str, what: str) -> Callable[[Env, str], Any]:
    def check(values: Any) -> None:
        for value in values:
            if not re.fullmatch(pattern, value):
                raise ValidationError(f"{value!r} is not {what}.")

    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        return tuple(parts or ())

    return read


_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:([1-9]\d{0,4}))?")


def _servers(default_port: int, example: str) -> Callable[[Env, str], Any]:
    """`host` or `host:port`, separated by commas; each as `host:port`."""

    def check(values: Any) -> None:
        for value in values:
            match = _SERVER.fullmatch(value)
            if not match or int(match[3] or 1) > 65535:
                raise ValidationError(f"{value!r} is not like {example}.")

    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        matches = [match for part in parts or () if (match := _SERVER.fullmatch(part))]
        return tuple(f"{match[1]}:{match[3] or default_port}" for match in matches)

    return read


def _master_name(env: Env, name: str) -> Any:
    allowed = validate.Regexp(r"[\w.-]+\Z", error="May have letters, digits, '_', '.' and '-'.")
    return env.str(name, validate=allowed) if _given(env, name) else "mymaster"


def _some_of(*allowed: str) -> Callable[[Env, str], Any]:
    """Some of these, all of them by default, in this order."""

    def check(values: Any) -> None:
        if not set(values) <= set(allowed):
            raise ValidationError(f"Must be some of: {', '.join(allowed)}.")

    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return allowed
        # environs answers None for what is invalid; `seal` tells.
        asked = env.list(name, subcast=str.strip, validate=check) or ()
        return tuple(value for value in allowed if value in asked)

    return read


_RATE = re.compile(r"(\d{1,6})\s*/\s*(s|min|h)")
_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600}
RATE_FORM = "a whole number from 1 to 999999, and /s, /min or /h"


def per_second(rate: str) -> float:
    """`20/s`, `90/min` or `36/h` as so many a second. Raises ValueError."""
    match = _RATE.fullmatch(rate)
    if not match or not int(match[1]):
        raise ValueError(f"{rate!r} is not a rate like 20/s: {RATE_FORM}.")
    return int(match[1]) / _UNIT_SECONDS[match[2]]


def _rates(example: str, names: str, read_name: Callable[[str], str]) -> Callable[[Env, str], Any]:
    """`gmail.com=20/s, *=50/s` as pairs of a name and how many a second."""

    def pair(text: str) -> tuple[str, float]:
        name, equals, rate = (part.strip() for part in text.partition("="))
        try:
            if equals and re.fullmatch(r"[^\s@]+", name):
                return read_name(name), per_second(rate)
        except ValueError:
            pass
        raise ValidationError(f"{text!r} is not a rate like {example}: {names}, =, {RATE_FORM}.")

    def check(values: Any) -> None:
        found = [name for name, _ in map(pair, values)]
        for name in sorted(set(found)):
            if found.count(name) > 1:
                raise ValidationError(f"{name!r} has more than one rate.")

    def read(env: Env, name: str) -> Any:
        if not _given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        # Without parts the check has failed, and `seal` will say so.
        return tuple(map(pair, parts or ()))

    return read


_SERVER_URL = validate.Regexp(
    r"(rediss?|unix)://.+", error="Must start with redis://, rediss:// or unix://."
)


def _url(env: Env, name: str) -> Any:
    return env.str(name, validate=_SERVER_URL) if _given(env, name) else ""


def _secret(env: Env, name: str) -> Any:
    long_enough = validate.Length(min=32, error="Must have at least {min} characters.")
    return env.str(name, validate=long_enough) if _given(env, name) else ""


# As werkzeug.security writes it: method, salt and hash.
_PASSWORD_HASH = r"scrypt:\d{1,8}:\d{1,3}:\d{1,3}\$[A-Za-z0-9]{8,64}\$[0-9a-f]{128}"
_USER = re.compile(rf"([A-Za-z0-9][\w.@-]{{0,63}})=(viewer|operator):({_PASSWORD_HASH})")


def _password_hash(env: Env, name: str) -> Any:
    a_hash = validate.Regexp(
        rf"(?:{_PASSWORD_HASH})\Z", error="Must be what `flask password` prints."
    )
    return env.str(name, validate=a_hash) if _given(env, name) else ""


def _users(env: Env, name: str) -> Any:
    """`ann=operator:scrypt:…, bob=viewer:scrypt:…` as name, role and hash."""

    def check(values: Any) -> None:
        for number, value in enumerate(values, 1):
            if not _USER.fullmatch(value):  # not shown: it may hold a password
                raise ValidationError(
                    f"Entry {number} is not a user: a name, =, viewer or operator, : and what "
                    "`flask password` prints."
                )
        names = [value.partition("=")[0] for value in values]
        for found in sorted(set(names)):
            if names.count(found) > 1:
                raise ValidationError(f"{found!r} stands there more than once.")

    if not _given(env, name):
        return ()
    parts = env.list(name, subcast=str.strip, validate=check)
    matches = [match for part in parts or () if (match := _USER.fullmatch(part))]
    return tuple((m[1], m[2], m[3]) for m in matches)


_REQUEST_RATE = re.compile(r"(\d{1,6})\s*/\s*(s|min|h)")


def _rate_or_off(default: str) -> Callable[[Env, str], Any]:
    """`6000/min` as requests and seconds; `off` as None."""

    def read(env: Env, name: str) -> Any:
        a_rate = validate.Regexp(
            r"(off|[1-9]\d{0,5}\s*/\s*(s|min|h))\Z",
            error="Must be off, or a rate like 6000/min (/s, /min or /h).",
        )
        text = env.str(name, validate=a_rate) if _given(env, name) else default
        match = _REQUEST_RATE.fullmatch(str(text))
        return (int(match[1]), _UNIT_SECONDS[match[2]]) if match else None

    return read


def _webhook_secret(env: Env, name: str) -> Any:
    def check(value: str) -> None:
        if not all(map(_is_webhook_secret, re.split(r"[\s,]+", value.strip()))):
            raise ValidationError(
                "Must be whsec_ and then 24 to 64 bytes in base64, or several of these with "
                "spaces or commas between them."
            )

    return env.str(name, validate=check) if _given(env, name) else ""


def _is_webhook_secret(text: str) -> bool:
    prefix, _, secret = text.partition("_")
    try:
        size = len(base64.b64decode(secret, validate=True))
    except ValueError:
        return False
    return prefix == "whsec" and 24 <= size <= 64


def _path(default: str) -> Callable[[Env, str], Any]:
    return lambda env, name: Path(_given(env, name) or default)


# One line for each setting, in the order of the dataclass and of `sample.env`.
_READERS: dict[str, Callable[[Env, str], Any]] = {
    "host": _text("127.0.0.1"),
    "port": _number(8000, 1, 65535, int),
    "data_dir": _path("data"),
    "allow_insecure": _flag,
    "secret_key": _secret,
    "dashboard_password_hash": _password_hash,
    "dashboard_viewer_password_hash": _password_hash,
    "dashboard_users": _users,
    "session_hours": _number(12, 0.1, 720),
    "trusted_proxies": _number(0, 0, 10, int),
    "api_rate_limit": _rate_or_off("6000/min"),
    "log_level": _choice("INFO", "DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": _choice("text", "text", "json"),
    "web_workers": _number(2, 1, 64, int),
    "web_threads": _number(8, 1, 256, int),
    "redis_url": _url,
    "redis_host": _text(),
    "redis_port": _number(6379, 1, 65535, int),
    "redis_password": _text(),
    "redis_ssl": _flag,
    "redis_ssl_ca_file": _text(),
    "redis_sentinels": _servers(26379, "sentinel-1.example.com:26379"),
    "redis_sentinel_master": _master_name,
    "redis_sentinel_password": _text(),
    "redis_cluster": _servers(6379, "node-1.example.com:6379"),
    "redis_server_bin": _text(),
    "durability": _choice("local", "local", "replicated"),
    "key_prefix": _text(),
    "queue_shards": _number(1, 1, 64, int),
    "search_index": _flag_on,
    "worker_processes": _number(1, 0, 64, int),
    "worker_concurrency": _number(16, 1, 250, int),
    "job_modules": _names(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "the name of a Python module"),
    "job_type_rate": _rates("send_email=14/s", "a job type", str),
    "max_retries": _optional_int(0, 1000),
    "retry_base_seconds": _number(30, 0.001, 86_400),
    "retry_max_seconds": _number(14_400, 0.001, 604_800),
    "lease_seconds": _number(60, 0.2, 86_400),
    "shutdown_seconds": _number(25, 0, 3_600),
    "priority_head_start_seconds": _number(3_600, 0, 31_536_000),
    "retention_success_days": _number(30, 0, 36_500),
    "retention_failed_days": _number(90, 0, 36_500),
    "retention_max_jobs": _number(0, 0, 10**12, int),
    "retention_payload_days": _number(0, 0, 36_500),
    "smtp_host": _text(),
    "smtp_port": _optional_int(1, 65535),
    "smtp_username": _text(),
    "smtp_password": _text(),
    "smtp_security": _choice("starttls", "starttls", "tls", "none"),
    "smtp_allow_plaintext": _flag,
    "smtp_ca_file": _text(),
    "smtp_helo_name": _text(),
    "smtp_max_messages_per_connection": _number(100, 1, 100_000, int),
    "mail_from": _text("Mailroom <mailroom@localhost>"),
    "mail_allowed_from": _names(r"[^\s@,]*@?[^\s@,]+", "an address or a domain"),
    "mail_domain_rate": _rates("gmail.com=20/s", "a domain or *", str.lower),
    "mail_dkim_domain": _text(),
    "mail_dkim_selector": _text(),
    "mail_dkim_key_file": _text(),
    "mail_suppression": _flag_on,
    "webhook_url": _text(),
    "webhook_secret": _webhook_secret,
    "webhook_events": _some_of("sent", "deferred", "bounced", "failed"),
    "webhook_allow_private": _flag,
}
assert list(_READERS) == [f.name for f in fields(Config)]


def _check_together(config: Config) -> None:
    """Settings that are fine alone but not together."""
    problems = []
    for name in {"operator", "viewer"} & {name for name, _, _ in config.dashboard_users}:
        problems.append(
            f"DASHBOARD_USERS: {name} is the user of DASHBOARD_PASSWORD_HASH or "
            "DASHBOARD_VIEWER_PASSWORD_HASH. Choose another name."
        )
    if config.redis_sentinels and (config.redis_url or config.redis_host):
        problems.append(
            "REDIS_SENTINELS: leave REDIS_URL and REDIS_HOST empty: the sentinels name the server."
        )
    if config.redis_cluster and (config.redis_url or config.redis_host or config.redis_sentinels):
        problems.append(
            "REDIS_CLUSTER: leave REDIS_URL, REDIS_HOST and REDIS_SENTINELS empty: the nodes say "
            "who serves what."
        )
    if config.redis_cluster and ON_A_CLUSTER not in config.key_prefix:
        problems.append(
            f"KEY_PREFIX: on a cluster it must have {ON_A_CLUSTER} in it, so that all keys are in "
            f"one slot. Leave it empty, or use {ON_A_CLUSTER}{config.key_prefix}"
        )
    if config.queue_shards > 1 and set("{}") & set(config.key_prefix.replace(ON_A_CLUSTER, "", 1)):
        problems.append(
            f"KEY_PREFIX: with QUEUE_SHARDS above 1 it may have no braces but those of "
            f"{ON_A_CLUSTER}: they name the shard."
        )
    if config.replicas and config.uses_embedded_redis:
        problems.append(
            "DURABILITY: replicated needs a server with a replica, and the embedded one has none. "
            "Set REDIS_SENTINELS, REDIS_CLUSTER, REDIS_URL or REDIS_HOST, or use local."
        )
    plaintext = config.smtp_security == "none" and not config.smtp_allow_plaintext
    if config.smtp_host and plaintext and not is_loopback(config.smtp_host):
        problems.append(
            f"SMTP_SECURITY: 'none' would send mail to {config.smtp_host} in the clear. "
            "Use starttls or tls, or set SMTP_ALLOW_PLAINTEXT=1."
        )
    if config.webhook_url and not config.webhook_secret:
        problems.append("WEBHOOK_SECRET: must be set with WEBHOOK_URL: every event is signed.")
    if problems:
        raise ConfigError("\n".join(problems))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _one_line_each(errors: Any) -> str:
    return "\n".join(f"{name}: {' '.join(messages)}" for name, messages in sorted(errors.items()))


def _private_folder(folder: Path) -> Path:
    """The same folder, made if need be, once it is sure that nobody else can write into it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"DATA_DIR: its path is long, so the socket would be in {folder}, which is not a "
            "folder of yours alone. Remove that folder or choose a shorter DATA_DIR."
        )
    return folder


def _query(values: dict[str, str]) -> str:
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given, safe='/', quote_via=quote)}" if given else ""


def without_password(url: str) -> str:
    """The same URL, safe to print."""
    url = re.sub(r"(?<=[?&]sentinel_password=)[^&]*", "***", url)
    return re.sub(r"(?<=://)[^/?]*:[^/?]*@", "***@", url)
