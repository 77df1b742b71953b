"""nginx with deploy/nginx.conf, in front of a copy: on loopback and ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.start.running import free_port, wait_for

ROOT = Path(__file__).parents[2]
NAME = "mail.example.com"


@dataclass(frozen=True)
class Proxy:
    """A running nginx that knows us as `NAME`, with TLS on `port` and without on `plain_port`."""

    port: int
    plain_port: int
    certificate: Path
    log: Path

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {name} on PATH")
    return found


@contextlib.contextmanager
def nginx(folder: Path, backend_port: int) -> Iterator[Proxy]:
    """Our file as it is, but for its ports and the place of the certificate."""
    binary, openssl = program("nginx"), program("openssl")
    folder.mkdir()
    proxy = Proxy(free_port(), free_port(), folder / "fullchain.pem", folder / "error.log")
    _make_certificate(openssl, folder)
    (folder / "mailroom.conf").write_text(
        (ROOT / "deploy" / "nginx.conf")
        .read_text(encoding="utf-8")
        .replace("/etc/ssl/mailroom", str(folder))
        .replace("127.0.0.1:8000", f"127.0.0.1:{backend_port}")
        .replace("listen 443", f"listen 127.0.0.1:{proxy.port}")
        .replace("listen 80;", f"listen 127.0.0.1:{proxy.plain_port};"),
        encoding="utf-8",
    )
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {proxy.log}; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/mailroom.conf; }}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [binary, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(proxy.log)]
    )
    try:
        wait_for(lambda: (folder / "pid").exists() or process.poll() is not None)
        assert process.poll() is None, proxy.log.read_text(encoding="utf-8")
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=30)


def _make_certificate(openssl: str, folder: Path) -> None:
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}"]
        + ["-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"]
        + ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")],
        check=True,
        capture_output=True,
        timeout=60,
    )
