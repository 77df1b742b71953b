"""python -m app: the whole system in one terminal. `make run` starts it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from app.config import Config, ConfigError
from app.embedded import SERVER_LOG, ServerNotFound
from app.env_file import unknown_settings
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.opening import Store
from app.security.exposure import check_password
from app.settings.server_url import without_password
from app.supervisor.checks import StartFailed, check_server, reachable_host
from app.supervisor.inbox import SignalInbox
from app.supervisor.parent_death import ParentWatch, signal_at_parent_death
from app.supervisor.programs import System, build_system, server_folder
from app.supervisor.supervisor import STOP_SIGNALS, StopRequested, Supervisor

SETTINGS_WRONG = 2  # exit status


def main(arguments: list[str]) -> int:
    """Exit status: 0 stopped as asked, 1 could not start, 2 wrong settings."""
    inbox = SignalInbox({*STOP_SIGNALS, signal.SIGCHLD} - _ignored())
    supervisor = Supervisor(inbox, warn)
    if "--end-with-parent" in arguments:
        signal_at_parent_death(signal.SIGTERM)
        supervisor = Supervisor(inbox, warn, asked_to_stop=ParentWatch().is_interrupted)
    try:
        config = Config.load()
        for line in unknown_settings():
            warn(f"Warning: {line}")
        check_password(config)
        return run(config, supervisor)
    except ConfigError as error:
        warn(str(error))
        return SETTINGS_WRONG
    except (StartFailed, ServerNotFound) as error:
        warn(str(error))
        return 1
    except OSError as error:
        warn(f"DATA_DIR: {error}")
        return 1
    except StopRequested:
        return 0


def run(config: Config, supervisor: Supervisor) -> int:
    check_job_types()
    system = build_system(config, supervisor.pause)
    checked: list[str] = []
    try:
        supervisor.start(system, lambda: checked.append(look_at_server(config)))
        show(announcement(config, system, supervisor, checked[0]))
        supervisor.run()
    except StopRequested:
        show("Stopping: jobs in hand are finished or given back.")
    finally:
        supervisor.stop(system)
    show("Stopped.")
    return 0


def check_job_types() -> None:
    """What is wrong with them, or with the mail settings, is said once, not by each process.

    In a process of its own: the supervisor runs no code of job types. Raises ConfigError.
    """
    done = subprocess.run([sys.executable, "-m", "workers.check"], capture_output=True, text=True)
    if done.returncode == SETTINGS_WRONG:
        raise ConfigError(done.stderr.strip())
    # A signal, for both of us, or something odd: the workers will tell.


def look_at_server(config: Config) -> str:
    """The server's name and version. Prints warnings; raises StartFailed when it won't do."""
    store = Store(config, name="mailroom:start", timeout_seconds=2)
    try:
        name, warnings = check_server(store.client)
        for schema in store.queue.upgrade():
            show(f"The store was upgraded to schema {schema}.")
        store.queue.ensure_schema()
    except ServerUnsuitable as error:
        raise StartFailed(f"REDIS_URL: {error}") from None
    except QueueUnavailable:
        warn(f"{without_password(config.server_url)} does not answer yet; all wait for it.")
        return "Redis"
    finally:
        store.close()
    for warning in warnings:
        warn(f"Warning: {warning}")
    return name


def announcement(config: Config, system: System, supervisor: Supervisor, server: str) -> str:
    """The block that tells what runs and where to look."""
    host = reachable_host(config.host)
    address = f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
    if system.server:
        kept = f"{server}, embedded, data and {SERVER_LOG} in {server_folder(config)}"
    else:
        kept = f"{server} at {without_password(config.server_url)}"
    mailbox = config.data_dir / "mailbox"
    mail = f"kept in {mailbox}, see {address}/dashboard/mailbox"
    if config.smtp_host:
        mail = f"by SMTP to {config.smtp_host} ({config.smtp_security})"
    processes = ", ".join(f"{name} {pid}" for name, pid in supervisor.pids())
    return (
        "Mailroom is running. Ctrl-C stops it.\n"
        f"  dashboard  {address}/dashboard\n"
        f"  API        {address}/api/process_query\n"
        f"  queue      {kept}\n"
        f"  mail       {mail}\n"
        f"  processes  {processes}"
    )


def show(text: str) -> None:
    # Nobody reads any more (`make run | head`): no reason to stop.
    with contextlib.suppress(OSError):
        print(text, flush=True)


def warn(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _ignored() -> set[signal.Signals]:
    """`nohup` asks us to live on when the terminal closes."""
    return {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    # Nothing of ours is left to clean up, and a closed pipe must not change the status.
    os._exit(status)
