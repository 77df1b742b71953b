"""A job module that, in a child process, loads only when the file RUNS_FILE.load is there."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

while multiprocessing.parent_process() and not Path(os.environ["RUNS_FILE"] + ".load").exists():
    time.sleep(0.01)
