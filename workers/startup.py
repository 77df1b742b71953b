"""What both worker commands do first and last."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from app.config import Config, ConfigError
from app.jobs import JobModuleError, UnknownJobType, close_job_types, find, load_job_types
from app.logs import configure
from app.queue.errors import ServerUnsuitable

LINGER_SECONDS = 5.0  # for exit handlers of job types, and threads that jobs left behind


def run(command: Callable[[Config], int]) -> NoReturn:
    """Loads the settings and the job types, runs the command and ends the process with its code.

    What a person can mend (a setting, a module, a password) is one line, not a traceback.
    """
    try:
        config = Config.load()
        prepare(config)
        code = command(config)
    except (ConfigError, JobModuleError, ServerUnsuitable) as error:
        print(error, file=sys.stderr)
        code = 2
    _leave(code)


def prepare(config: Config) -> None:
    """Makes this process one that can run jobs. Raises JobModuleError, ConfigError."""
    configure(config.log_level, config.log_format, config.secrets)
    load_job_types(config)
    for job_type, _ in config.job_type_rate:
        try:
            find(job_type)
        except UnknownJobType as error:
            raise ConfigError(f"JOB_TYPE_RATE: {error}") from None


def _leave(code: int) -> NoReturn:
    # Python waits for threads that are not daemons; a job's may never end.
    last_resort = threading.Timer(LINGER_SECONDS, os._exit, (code,))
    last_resort.daemon = True
    last_resort.start()
    close_job_types()
    sys.exit(code)
