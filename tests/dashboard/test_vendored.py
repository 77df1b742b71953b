"""What others wrote and we serve is what they released, to the byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
# From the packages of the npm registry; `docs/dependencies.md` says which versions.
SHA256 = {
    "htmx/htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "htmx/hx-ptag.min.js": "1993b23e86553100e4f45eed1b756eb8cf53c5b2244caf98e58662dfde9ca069",
}


@pytest.mark.parametrize("name", SHA256)
def test_a_vendored_file_has_the_hash_of_its_release(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SHA256[name]


def test_every_vendored_program_of_htmx_is_known_and_has_its_licence() -> None:
    programs = {f"htmx/{path.name}" for path in (VENDOR / "htmx").glob("*.js")}

    assert programs == set(SHA256)
    assert "Zero-Clause BSD" in (VENDOR / "htmx" / "LICENSE").read_text()
