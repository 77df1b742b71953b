"""A throw-away certificate authority, for servers of tests."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """A throw-away authority and a server's certificate by it."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


def make_certificates(
    folder: Path, names: str = "DNS:localhost,IP:127.0.0.1", days: int = 2
) -> Certificates:
    """`names` are the server's, as OpenSSL writes a subjectAltName. `days` below 0: expired."""
    folder.mkdir(parents=True, exist_ok=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
    steps = [
        f"req -x509 -keyout ca.key -out ca.pem -days {abs(days)} -subj /CN=test-authority "
        "-addext keyUsage=critical,keyCertSign,cRLSign",
        "req -keyout server.key -out server.csr -subj /CN=test-server",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
        f"-out server.pem -days {days} -extfile server.ext",
    ]
    for step in steps:
        words = step.split()
        key = new_key if words[0] == "req" else []
        command = ["openssl", words[0], *key, *words[1:]]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
