"""Settings that are fine alone but not together."""

from __future__ import annotations

from typing import Protocol

from app.settings.errors import ConfigError
from app.settings.servers import is_loopback

# The hash tag of the first shard's keys: what stands in braces chooses the slot of a cluster.
ON_A_CLUSTER = "{mr0}"


class Checked(Protocol):
    """What it looks at of `Config`."""

    @property
    def dashboard_users(self) -> tuple[tuple[str, str, str], ...]: ...
    @property
    def redis_url(self) -> str: ...
    @property
    def redis_host(self) -> str: ...
    @property
    def redis_sentinels(self) -> tuple[str, ...]: ...
    @property
    def redis_cluster(self) -> tuple[str, ...]: ...
    @property
    def key_prefix(self) -> str: ...
    @property
    def queue_shards(self) -> int: ...
    @property
    def replicas(self) -> int: ...
    @property
    def uses_embedded_redis(self) -> bool: ...
    @property
    def smtp_host(self) -> str: ...
    @property
    def smtp_security(self) -> str: ...
    @property
    def smtp_allow_plaintext(self) -> bool: ...
    @property
    def webhook_url(self) -> str: ...
    @property
    def webhook_secret(self) -> str: ...


def check_together(config: Checked) -> None:
    """Raises ConfigError, with all that is wrong."""
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
