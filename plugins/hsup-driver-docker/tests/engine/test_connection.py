"""TLS with an engine."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hsup_driver_docker.engine.connection import tls_context
from hsup_driver_docker.engine.endpoint import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority without a key usage, and a certificate for an engine."""
    directory = tmp_path_factory.mktemp("tls")
    (directory / "authority").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=its\n[name]\n"
        "[its]\nbasicConstraints=critical,CA:true\nsubjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n"
    )
    (directory / "extensions").write_text(
        "subjectAltName=DNS:engine\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-config", "authority")
    sign = ("openssl", "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem")
    for words in (
        (*new, "-subj", "/CN=authority", "-x509", "-keyout", "ca-key.pem", "-out", "ca.pem"),
        (*new, "-subj", "/CN=engine", "-keyout", "key.pem", "-out", "request"),
        (*sign, "-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem"),
    ):
        subprocess.run(words, cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ssl.SSLContext]:
    """Make Python as strict as 3.13, and return its default context."""
    usual = ssl.create_default_context

    def create(**options: Any) -> ssl.SSLContext:
        context = usual(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create)
    return create


def shake_hands(client_context: ssl.SSLContext, certificates: Path) -> None:
    """Complete the TLS handshake of a client and an engine. Raises SSLError."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(back, there, server_hostname="engine")
    server = server_context.wrap_bio(there, back, server_side=True)
    for _ in range(2):
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    client.do_handshake()


def test_an_authority_without_key_usage_is_believed_also_by_a_python_that_is_strict(
    strict: Callable[..., ssl.SSLContext], certificates: Path
) -> None:
    authority = str(certificates / "ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)key usage"):
        shake_hands(strict(cafile=authority), certificates)
    context = tls_context(Certificates(authority, None, verify=True))
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    shake_hands(context, certificates)
