"""axe: which rules of accessibility (WCAG 2.2 AA and best practices) a page breaks."""

from __future__ import annotations

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


def violations(page: Page, *rules: str) -> list[str]:
    """One line for each element that breaks a rule: one of these, or of all that axe has."""
    # A sandboxed frame runs no script, so not axe's either.
    options: dict[str, Any] = {"iframes": False}
    if rules:
        options["runOnly"] = list(rules)
    found: dict[str, Any] = Axe().run(page, options=options).response
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
