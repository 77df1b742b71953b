"""python3 tools/venv.py FOLDER REQUIREMENTS: makes a virtual environment, or does nothing.

Needs the standard library and pip only. An environment counts as made when its stamp says so, and
the stamp is written last: what an interrupted run left is thrown away. Runs at the same time wait
for each other. Without a change there is no network and almost no time needed.
"""

import fcntl
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)


def main(arguments: list[str]) -> int:
    folder, requirements = Path(arguments[1]), Path(arguments[2])
    if sys.version_info < MINIMUM:
        return fail(
            f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}."
        )
    # Ends pip as well: subprocess.run kills its child on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # This file is the lock: it is there, and nobody else locks it.
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return ensure(folder, requirements)


def ensure(folder: Path, requirements: Path) -> int:
    stamp = folder / f"{requirements.stem}.stamp"
    wanted = fingerprint(requirements)
    if works(folder) and stamp.exists() and stamp.read_text() == wanted:
        return 0
    # One stamp is enough to know that no run was interrupted in this environment.
    stamps = list(folder.glob("*.stamp"))
    fresh = not (stamps and works(folder))
    for old in stamps:
        old.unlink()
    print(f"Installing {requirements} into {folder} …", flush=True)
    if fresh and not make(folder):
        return fail(f"No virtual environment could be made in {folder}; see the lines above.")
    command = [*pip(folder), "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--requirement", str(requirements)]).returncode:
        return fail(f"{requirements} could not be installed; see pip's lines above.")
    stamp.write_text(wanted)
    return 0


def fingerprint(requirements: Path) -> str:
    """Changes with the Python and with every requirements file (the one includes the other)."""
    texts = [path.read_bytes() for path in sorted(requirements.parent.glob("requirements*.txt"))]
    return f"{sys.version} {hashlib.sha256(b''.join(texts)).hexdigest()}\n"


def works(folder: Path) -> bool:
    """False when the environment's Python is gone, as after an upgrade of the system."""
    try:
        return subprocess.run([python(folder), "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def make(folder: Path) -> bool:
    # Debian has `ensurepip` in a package of its own (python3-venv); pip can do without it.
    without_pip = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    command = [sys.executable, "-m", "venv", "--clear", *without_pip, str(folder)]
    return subprocess.run(command).returncode == 0


def pip(folder: Path) -> list[str]:
    if importlib.util.find_spec("ensurepip"):
        return [python(folder), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", python(folder)]


def python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def fail(line: str) -> int:
    print(line, file=sys.stderr)
    return 1


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv))
