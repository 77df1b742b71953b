"""Settings: one reader, all errors at once, and `sample.env` tells all of them with the default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from app.config import Config, ConfigError
from app.settings.embedded_socket import private_folder
from app.settings.server_url import without_password

ROOT = Path(__file__).parents[1]
NAMES = [field.name.upper() for field in fields(Config)]

Load = Callable[..., Config]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Loads the settings from the given variables alone."""

    def load(env_file: str | None = None, **variables: str) -> Config:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Config.load(env_file)

    return load


def sample_lines() -> list[tuple[str, str]]:
    text = (ROOT / "sample.env").read_text(encoding="utf-8")
    return re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE)


def test_sample_env_has_every_setting_in_order_and_no_other() -> None:
    assert [name for name, _ in sample_lines()] == NAMES


def test_sample_env_tells_the_defaults(load: Load) -> None:
    assert load(**dict(sample_lines())) == load()


def test_each_setting_in_sample_env_has_a_comment() -> None:
    blocks = (ROOT / "sample.env").read_text(encoding="utf-8").split("\n\n")
    for block in blocks:
        lines = block.strip().splitlines()
        if any(re.match(r"# [A-Z][A-Z0-9_]+=", line) for line in lines):
            assert not re.match(r"# [A-Z][A-Z0-9_]+=", lines[0]), block


def test_sample_env_is_all_comments_so_that_a_copy_changes_nothing() -> None:
    lines = (ROOT / "sample.env").read_text(encoding="utf-8").splitlines()
    assert all(not line or line.startswith("#") for line in lines)


def test_only_config_reads_the_environment() -> None:
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("app", "workers")
        for path in (ROOT / folder).rglob("*.py")
    }
    reading = r"\bos\.environ\b|\bgetenv\b|\bEnv\("
    assert [path for path, text in texts.items() if re.search(reading, text)] == ["app/config.py"]
    named = [path for path, text in texts.items() if re.search(r"\benvirons\b", text)]
    assert {path for path in named if not path.startswith("app/settings/")} == {"app/config.py"}


def test_a_setting_left_empty_means_the_default(load: Load) -> None:
    assert load(**dict.fromkeys(NAMES, "")) == load()
    assert load(**dict.fromkeys(NAMES, "  ")) == load()


def test_all_errors_come_at_once_each_with_its_name_and_what_is_allowed(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(PORT="http", LOG_LEVEL="loud", WEB_WORKERS="0", ALLOW_INSECURE="perhaps")
    assert str(caught.value).splitlines() == [
        "ALLOW_INSECURE: Must be 1 (on) or 0 (off).",
        "LOG_LEVEL: Must be one of: DEBUG, INFO, WARNING, ERROR.",
        "PORT: Must be a whole number from 1 to 65535.",
        "WEB_WORKERS: Must be a whole number from 1 to 64.",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("LEASE_SECONDS", "nan"),
        ("LEASE_SECONDS", "inf"),
        ("RETRY_BASE_SECONDS", "-1"),
        ("MAX_RETRIES", "many"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "redis://"),
        ("JOB_MODULES", "my-jobs"),
        ("JOB_MODULES", "a.py,b c"),
        ("SMTP_SECURITY", "ssl"),
        ("MAIL_ALLOWED_FROM", "two words"),
        ("MAIL_DOMAIN_RATE", "gmail.com=20"),
        ("MAIL_DOMAIN_RATE", "gmail.com=0/s"),
        ("MAIL_DOMAIN_RATE", "gmail.com=-1/s"),
        ("MAIL_DOMAIN_RATE", "gmail.com=2/day"),
        ("MAIL_DOMAIN_RATE", "20/s"),
        ("MAIL_DOMAIN_RATE", "a.example=1/s,,b.example=1/s"),
        ("MAIL_DOMAIN_RATE", "a.example=1/s,A.example=2/s"),
        ("JOB_TYPE_RATE", "send_email"),
        ("JOB_TYPE_RATE", "send_email=0/s"),
        ("JOB_TYPE_RATE", "=1/s"),
        ("JOB_TYPE_RATE", "a=1/s,a=2/s"),
        ("SECRET_KEY", "short"),
        ("MAIL_SUPPRESSION", "maybe"),
        ("WEBHOOK_EVENTS", "sent,opened"),
        ("WEBHOOK_SECRET", "secret"),
        ("WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("WEBHOOK_SECRET", "whsec_not base64"),
        ("WEBHOOK_SECRET", f"whsec_{'A' * 32} whsec_c2hvcnQ="),
        ("WEBHOOK_ALLOW_PRIVATE", "maybe"),
    ],
)
def test_a_malformed_value_is_refused_by_name(load: Load, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: "):
        load(**{name: value})


def test_lists_bear_spaces_and_keep_their_order(load: Load) -> None:
    assert load(JOB_MODULES=" my_jobs , more.jobs ").job_modules == ("my_jobs", "more.jobs")


def test_mail_in_the_clear_must_be_asked_for(load: Load) -> None:
    with pytest.raises(ConfigError, match="SMTP_ALLOW_PLAINTEXT=1"):
        load(SMTP_HOST="smtp.example", SMTP_SECURITY="none")
    assert load(SMTP_HOST="127.0.0.1", SMTP_SECURITY="none").smtp_security == "none"


def test_events_have_a_secret_and_an_order_of_their_own(load: Load) -> None:
    with pytest.raises(ConfigError, match="^WEBHOOK_SECRET: must be set with WEBHOOK_URL"):
        load(WEBHOOK_URL="https://hooks.example/")
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    config = load(
        WEBHOOK_URL="https://hooks.example/", WEBHOOK_SECRET=secret, WEBHOOK_EVENTS="failed, sent"
    )
    assert config.webhook_events == ("sent", "failed")
    for between in (" ", ",", " , "):
        assert load(WEBHOOK_SECRET=f"{secret}{between}whsec_{'A' * 32}").webhook_secret


def test_the_environment_goes_before_the_env_file(load: Load, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=9001\nHOST=::1\n")
    assert load(str(env_file), PORT="9002") == load(PORT="9002", HOST="::1")


def test_an_env_file_can_hold_every_setting(load: Load, tmp_path: Path) -> None:
    variables = {
        **{name: value for name, value in sample_lines() if value and name != "HOST"},
        **{"PORT": "9001", "WEB_THREADS": "7", "SMTP_ALLOW_PLAINTEXT": "1", "MAX_RETRIES": "0"},
        **{"LOG_LEVEL": "DEBUG", "DATA_DIR": "/srv/mail", "JOB_MODULES": "a,b.c", "SMTP_PORT": "2"},
        **{"REDIS_URL": "redis://cache", "SMTP_SECURITY": "tls", "MAIL_ALLOWED_FROM": "a.example"},
    }
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    assert load(str(env_file)) == load(**variables) != load()


def test_an_error_in_the_env_file_is_an_error(load: Load, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=http\n")
    with pytest.raises(ConfigError, match="PORT: "):
        load(str(env_file))


def test_an_env_file_that_is_missing_or_a_folder_is_none(load: Load, tmp_path: Path) -> None:
    assert load(str(tmp_path / "missing")) == load(str(tmp_path)) == load()


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"REDIS_HOST": "redis"}, "redis://redis:6379/0"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "7"}, "redis://[::1]:7/0"),
        ({"REDIS_HOST": "r", "REDIS_PASSWORD": "p@:/ss"}, "redis://:p%40%3A%2Fss@r:6379/0"),
        ({"REDIS_HOST": "r", "REDIS_SSL": "1"}, "rediss://r:6379/0"),
        ({"REDIS_URL": "redis://a:1/2", "REDIS_HOST": "other"}, "redis://a:1/2"),
        ({"REDIS_CLUSTER": "a, [::1]:7"}, "cluster://a:6379,[::1]:7"),
        (
            {"REDIS_CLUSTER": "a", "REDIS_PASSWORD": "p@", "REDIS_SSL": "1"},
            "clusters://:p%40@a:6379",
        ),
        ({"REDIS_SENTINELS": "a, [::1]:7"}, "sentinel://a:26379,[::1]:7/mymaster"),
        (
            {
                "REDIS_SENTINELS": "a:1",
                "REDIS_SENTINEL_MASTER": "mail",
                "REDIS_SENTINEL_PASSWORD": "q&?",
                "REDIS_PASSWORD": "p@",
                "REDIS_SSL": "1",
                "REDIS_SSL_CA_FILE": "/ca.pem",
            },
            "sentinels://:p%40@a:1/mail?sentinel_password=q%26%3F&ssl_ca_certs=/ca.pem",
        ),
    ],
)
def test_where_redis_is(load: Load, variables: dict[str, str], url: str) -> None:
    config = load(**variables)
    assert config.server_url == url
    assert not config.uses_embedded_redis


@pytest.mark.parametrize("wrong", ["a:0", "a:70000", "a b", "redis://a:1", "a:1,,"])
def test_sentinels_are_hosts_with_ports(load: Load, wrong: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_SENTINELS: .*is not like"):
        load(REDIS_SENTINELS=wrong)


def test_sentinels_and_a_server_s_address_contradict_each_other(load: Load) -> None:
    with pytest.raises(ConfigError, match="REDIS_SENTINELS: leave REDIS_URL"):
        load(REDIS_SENTINELS="a:1", REDIS_HOST="b")


def test_a_cluster_and_a_server_s_address_contradict_each_other(load: Load) -> None:
    with pytest.raises(ConfigError, match="REDIS_CLUSTER: leave REDIS_URL"):
        load(REDIS_CLUSTER="a:1", REDIS_SENTINELS="b:1")


def test_on_a_cluster_all_keys_are_in_one_slot(load: Load) -> None:
    assert load(REDIS_CLUSTER="a:1").key_prefix == "{mr0}"
    assert load(REDIS_CLUSTER="a:1", KEY_PREFIX="app:{mr0}").key_prefix == "app:{mr0}"
    with pytest.raises(ConfigError, match="KEY_PREFIX: on a cluster it must have {mr0} in it"):
        load(REDIS_CLUSTER="a:1", KEY_PREFIX="app:")


@pytest.mark.parametrize("prefix", ["", "mail:", "{mr0}", "mail:{mr0}:"])
def test_a_prefix_may_name_the_shard(load: Load, prefix: str) -> None:
    config = load(QUEUE_SHARDS="4", KEY_PREFIX=prefix)
    assert (config.queue_shards, config.key_prefix) == (4, prefix)


@pytest.mark.parametrize("prefix", ["{mail}", "{mr1}", "{mr0}{mr0}", "{mail}{mr0}", "mail}"])
def test_with_several_shards_other_braces_would_name_none(load: Load, prefix: str) -> None:
    assert load(KEY_PREFIX=prefix).key_prefix == prefix
    with pytest.raises(ConfigError, match="KEY_PREFIX: with QUEUE_SHARDS above 1"):
        load(QUEUE_SHARDS="4", KEY_PREFIX=prefix)


@pytest.mark.parametrize("number", ["0", "65", "1.5", "many"])
def test_there_are_1_to_64_shards(load: Load, number: str) -> None:
    with pytest.raises(ConfigError, match="QUEUE_SHARDS: Must be a whole number from 1 to 64"):
        load(QUEUE_SHARDS=number)


def test_replicated_durability_needs_a_server_that_can_have_a_replica(load: Load) -> None:
    with pytest.raises(ConfigError, match="DURABILITY: replicated needs"):
        load(DURABILITY="replicated")
    assert load(DURABILITY="replicated", REDIS_HOST="a").replicas == 1
    assert load(DURABILITY="local", REDIS_HOST="a").replicas == 0


def test_without_a_server_the_embedded_one_is_used(load: Load, tmp_path: Path) -> None:
    config = load(DATA_DIR=str(tmp_path))
    assert config.uses_embedded_redis
    assert config.server_url == f"unix://{tmp_path}/redis.sock"


def test_the_socket_is_the_same_for_every_spelling_of_the_folder(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = load(DATA_DIR=str(tmp_path / "data")).embedded_socket
    assert load(DATA_DIR="data").embedded_socket == absolute
    assert load(DATA_DIR="./x/../data").embedded_socket == absolute


def test_the_socket_of_a_long_folder_is_short_and_its_own(load: Load, tmp_path: Path) -> None:
    one = load(DATA_DIR=str(tmp_path / ("a" * 120))).embedded_socket
    other = load(DATA_DIR=str(tmp_path / ("b" * 120))).embedded_socket
    assert one != other
    assert len(os.fsencode(one)) <= 103
    assert one.parent.stat().st_mode & 0o077 == 0


def test_a_socket_folder_that_others_could_write_into_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for folder in (open_to_all, link):
        with pytest.raises(ConfigError, match="DATA_DIR"):
            private_folder(folder)


def test_a_password_is_not_printed() -> None:
    assert without_password("redis://user:secret@host:6379/0") == "redis://***@host:6379/0"
    assert without_password("redis://host:6379/0") == "redis://host:6379/0"
    assert without_password("sentinel://:p@a:1,b:1/m?sentinel_password=q&x=1") == (
        "sentinel://***@a:1,b:1/m?sentinel_password=***&x=1"
    )


def test_rates_are_pairs_of_a_domain_and_mails_a_second(load: Load) -> None:
    config = load(MAIL_DOMAIN_RATE="GMail.com=20/s, a.example = 90/min ,*=36/h")
    assert config.mail_domain_rate == (("gmail.com", 20.0), ("a.example", 1.5), ("*", 0.01))
    assert load().mail_domain_rate == ()


def test_rates_of_job_types_keep_upper_case(load: Load) -> None:
    config = load(JOB_TYPE_RATE="send_email = 14/s,Resize=90/min")
    assert config.job_type_rate == (("send_email", 14.0), ("Resize", 1.5))
    assert load().job_type_rate == ()


def test_a_wrong_rate_says_what_a_rate_is(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(MAIL_DOMAIN_RATE="*=50/s,gmail.com:20")
    assert str(caught.value) == (
        "MAIL_DOMAIN_RATE: 'gmail.com:20' is not a rate like gmail.com=20/s: a domain or *, =, "
        "a whole number from 1 to 999999, and /s, /min or /h."
    )


def test_settings_cannot_be_changed(load: Load) -> None:
    config = load()
    with pytest.raises(AttributeError):
        config.port = 1  # type: ignore[misc]
    assert asdict(replace(config, port=1))["port"] == 1
