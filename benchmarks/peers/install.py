"""Installs the peers into `.bench/`, each in its exact version; nothing when they are there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from app.embedded import find_server_binary

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".bench"
REQUIREMENTS = HERE / "requirements.txt"
PYTHON = FOLDER / "venv" / "bin" / "python"
NODE = FOLDER / "node"
_NODE_FILES = ("package.json", "package-lock.json")


def install() -> None:
    """Raises CalledProcessError."""
    wanted = REQUIREMENTS.read_bytes()
    if _is_missing(FOLDER / "venv", wanted):
        venv.create(FOLDER / "venv", with_pip=True, clear=True)
        command = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*command, "-r", str(REQUIREMENTS)], check=True)
        _note(FOLDER / "venv", wanted)
    wanted = b"".join((HERE / name).read_bytes() for name in _NODE_FILES)
    if has_node() and _is_missing(NODE, wanted):
        NODE.mkdir(exist_ok=True)
        for name in _NODE_FILES:
            shutil.copy(HERE / name, NODE)
        # BullMQ needs no native code: what its packages would compile is only faster.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=NODE, check=True)
        _note(NODE, wanted)


def has_node() -> bool:
    return bool(shutil.which("node") and shutil.which("npm"))


def versions() -> dict[str, str]:
    """The installed version of each peer, by its package's name."""
    command = [str(PYTHON), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    found = {package["name"].lower(): package["version"] for package in listed}
    if has_node():
        bullmq = NODE / "node_modules" / "bullmq" / "package.json"
        found["bullmq"] = json.loads(bullmq.read_text())["version"]
        node = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, check=True, text=True)
        found["node"] = node.stdout.strip().removeprefix("v")
    return found


def server_version() -> str:
    """As the server's program says it: `Valkey server v=9.1.2 …` and the like."""
    said = subprocess.run(
        [find_server_binary(os.environ.get("REDIS_SERVER_BIN", "")), "--version"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    name, version = said.split()[0], said.partition("v=")[2].split()[0]
    return f"{name} {version}"


def environment() -> dict[str, str]:
    """For the processes of all peers."""
    root = str(HERE.parents[1])
    return {**os.environ, "PYTHONPATH": root, "BENCH_NODE": str(NODE), "PYTHONWARNINGS": "ignore"}


def _is_missing(folder: Path, wanted: bytes) -> bool:
    try:
        return (folder / ".installed").read_text() != _digest(wanted)
    except OSError:
        return True


def _note(folder: Path, wanted: bytes) -> None:
    (folder / ".installed").write_text(_digest(wanted))


def _digest(wanted: bytes) -> str:
    return hashlib.sha256(wanted + sys.version.encode()).hexdigest()
