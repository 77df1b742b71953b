"""`python -m workers.check`: would a worker start? Loads the settings and the job types, and ends.

Exit code 0, or 2 after a line for each thing to mend. It asks neither Redis nor a mail server.
"""

from __future__ import annotations

from workers.startup import run

if __name__ == "__main__":
    run(lambda _config: 0)
