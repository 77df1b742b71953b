"""`python -m tests.soak [pytest's arguments]`: the long forms, and the table of verdicts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    here = str(Path(__file__).parent)
    sys.exit(pytest.main(["-m", "soak", "-q", "-p", "no:xdist", *(sys.argv[1:] or [here])]))
