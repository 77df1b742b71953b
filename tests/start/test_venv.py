"""tools/venv.py: an environment is whole or not there. No package is installed, so no network."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.start.running import ROOT, wait_for


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with the tool and requirements that need nothing."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "venv.py", tmp_path / "tools")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def start(tree: Path) -> subprocess.Popen[str]:
    """Starts the tool, as if on a Debian without python3-venv: that way is much faster."""
    script = (
        "import runpy, sys; sys.modules['ensurepip'] = None\n"
        "sys.argv = ['venv.py', '.venv', 'requirements.txt']\n"
        "runpy.run_path('tools/venv.py', run_name='__main__')"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(tree: Path) -> tuple[int, str]:
    with start(tree) as process:
        output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_a_second_run_does_nothing_and_a_broken_environment_is_made_anew(tree: Path) -> None:
    assert run(tree) == (0, "Installing requirements.txt into .venv …\n")
    stamp = tree / ".venv" / "requirements.stamp"
    junk = tree / ".venv" / "lib" / "junk"
    junk.touch()

    assert run(tree) == (0, "")

    # As an interrupted run leaves it: no stamp, so nothing in it is trusted.
    stamp.unlink()
    status, output = run(tree)
    assert status == 0 and output
    assert not junk.exists()

    # The Python it was made from is gone.
    (tree / ".venv" / "bin" / "python").unlink()
    assert run(tree)[0] == 0
    assert (tree / ".venv" / "bin" / "python").exists()

    # Other requirements are installed into what is there.
    junk.touch()
    (tree / "requirements.txt").write_text("# still nothing\n")
    status, output = run(tree)
    assert status == 0 and output
    assert junk.exists() and stamp.exists()


def test_a_package_that_cannot_be_installed_leaves_no_stamp(tree: Path) -> None:
    (tree / "requirements.txt").write_text("./no-such-folder\n")
    status, output = run(tree)
    assert status == 1
    assert "requirements.txt could not be installed" in output
    assert not list((tree / ".venv").glob("*.stamp"))


def test_two_runs_at_once_make_one_environment(tree: Path) -> None:
    with start(tree) as first, start(tree) as second:
        outputs = sorted(process.communicate(timeout=60)[0] for process in (first, second))
    assert (first.returncode, second.returncode) == (0, 0)
    assert outputs == ["", "Installing requirements.txt into .venv …\n"]


def test_a_run_that_is_ended_leaves_no_stamp(tree: Path) -> None:
    with start(tree) as process:
        wait_for(lambda: (tree / ".venv" / "pyvenv.cfg").exists())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert not list((tree / ".venv").glob("*.stamp"))


def test_an_environment_has_its_own_pip_where_python_can_make_one(tree: Path) -> None:
    command = [sys.executable, "tools/venv.py", ".venv", "requirements.txt"]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, timeout=60)
    pip = [str(tree / ".venv" / "bin" / "python"), "-m", "pip", "--version"]
    assert subprocess.run(pip, capture_output=True, timeout=60).returncode == 0


def test_an_old_python_is_told_in_words(tree: Path) -> None:
    script = (
        "import sys; sys.version_info = (3, 10, 1); sys.argv = ['venv.py', '.venv', 'r.txt']\n"
        "import runpy; runpy.run_path('tools/venv.py', run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tree, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Python 3.11 or newer is needed;")
