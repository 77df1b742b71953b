"""`python -m workers.check`: would a worker start? Loads the settings and the job types, and ends.

Exit code 0, or 2 after a line for each thing to mend. It asks neither Redis nor a mail server.
"""

from __future__ import annotations

import sys

from app.config import Config
from app.env_file import unknown_settings
from workers.startup import run


def check(config: Config) -> int:
    for line in unknown_settings():
        print(f"Warning: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(check)
