"""docs/configuration.md says what sample.env says, and so what `Config` has."""

from __future__ import annotations

from dataclasses import fields

from app.config import Config
from tools.configuration import PAGE, SAMPLE, page


def test_the_page_is_up_to_date() -> None:
    written = page(SAMPLE.read_text(encoding="utf-8"))

    assert PAGE.read_text(encoding="utf-8") == written, "run python -m tools.configuration"


def test_every_setting_has_a_row() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [f.name for f in fields(Config) if f"`{f.name.upper()}`" not in text] == []
