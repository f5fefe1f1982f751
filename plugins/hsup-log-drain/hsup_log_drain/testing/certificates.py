"""Certificates for tests, from an authority of their own; made by `openssl`."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificate(NamedTuple):
    """Files in PEM."""

    certificate: Path
    key: Path

    def server_context(self, clients_of: Path | None = None) -> ssl.SSLContext:
        """Return what a server with this certificate needs.

        If `clients_of` is an authority, clients need a certificate from it.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_of)
        context.load_cert_chain(self.certificate, self.key)
        if clients_of:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Authority:
    """Issues certificates; its own is `certificate`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign"),
        )

    def issue(
        self, name: str, alternatives: str = "IP:127.0.0.1,DNS:localhost", *, days: int = 2
    ) -> Certificate:
        """Issue a certificate; one whose days are negative has expired."""
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        extensions = self._directory / f"{name}.extensions"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        request = self._directory / f"{name}.csr"
        _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-days", str(days), "-extfile", extensions),
            *("-out", made.certificate),
        )
        return made


def _openssl(*arguments: str | Path) -> None:
    command = ("openssl", *map(str, arguments))
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - these are ours
