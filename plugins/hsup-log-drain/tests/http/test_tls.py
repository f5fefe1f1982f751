"""HTTPS: what is verified, and what is said of what cannot be."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hsup.errors import DrainError, DrainUnreachable, UsageError
from hsup.log_drain import LogDrain
from hsup_log_drain.testing import Authority, Certificate, Ending, HttpAnswer, HttpReceiver, status

from .delivering import block, deliver, make, with_drain


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the authority among those of the system (man 7ssl OPENSSL_config, SSL_CERT_FILE)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))


def _fails(url: str) -> DrainError:
    with pytest.raises(DrainError) as caught:
        deliver(url)
    return caught.value


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_authorities_of_the_system_are_trusted(server: Certificate, host: str) -> None:
    with HttpReceiver(tls=server.server_context()) as receiver:
        deliver(f"https://{host}:{receiver.port}/in?key=theirs", block(), block())
        assert [one.head.target for one in receiver.requests] == ["/in?key=theirs"] * 2
        assert receiver.connection_count == 1


def test_an_authority_may_be_named(authority: Authority, server: Certificate) -> None:
    with HttpReceiver(tls=server.server_context()) as receiver:
        deliver(f"{receiver.url}/in?a=b&ca={authority.certificate}")
        assert receiver.requests[0].head.target == "/in?a=b"


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server: Certificate) -> None:
    with HttpReceiver(tls=server.server_context()) as receiver:
        error = _fails(f"https://user:secret@127.0.0.1:{receiver.port}/secret")
        assert isinstance(error, DrainUnreachable)
        assert error.code == "L14"
        assert "unable to get local issuer certificate" in str(error)
        assert "secret" not in "".join(map(str, (error, error.__cause__, error.__context__)))
        assert receiver.requests == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("name", "alternatives", "days", "problem"),
    [
        ("other", "DNS:other.example", 2, "IP address mismatch"),
        ("expired", "IP:127.0.0.1", -1, "certificate has expired"),
    ],
)
def test_a_bad_certificate_is_described(
    authority: Authority, name: str, alternatives: str, days: int, problem: str
) -> None:
    certificate = authority.issue(name, alternatives, days=days)
    with HttpReceiver(tls=certificate.server_context()) as receiver:
        error = _fails(receiver.url)
    assert (type(error), error.code) == (DrainUnreachable, "L14")
    assert problem in str(error)


def test_a_receiver_may_want_a_certificate(authority: Authority, server: Certificate) -> None:
    client = authority.issue("client")
    context = server.server_context(clients_of=authority.certificate)
    with HttpReceiver(tls=context) as receiver:
        trusting = f"{receiver.url}/?ca={authority.certificate}"
        deliver(f"{trusting}&cert={client.certificate}&key={client.key}")
        assert receiver.requests[0].head.target == "/"
        error = _fails(trusting)
        assert error.code == "L14"
        assert len(receiver.requests) == 1


@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_is_renewed_is_used(
    authority: Authority, server: Certificate, tmp_path: Path
) -> None:
    roots, stranger = tmp_path / "roots.pem", Authority(tmp_path, "stranger")
    roots.write_bytes(stranger.certificate.read_bytes())
    with HttpReceiver(tls=server.server_context()) as receiver:

        async def use(drain: LogDrain) -> None:
            with pytest.raises(DrainUnreachable):
                await drain.deliver(block())
            new = tmp_path / "new.pem"
            new.write_bytes(authority.certificate.read_bytes())
            os.replace(new, roots)
            await drain.deliver(block())

        with_drain(f"{receiver.url}/?ca={roots}", use)
        assert len(receiver.requests) == 1


@pytest.mark.usefixtures("short_waits")
def test_what_does_not_speak_tls_is_unreachable() -> None:
    with HttpReceiver() as receiver:
        error = _fails(f"https://127.0.0.1:{receiver.port}")
        assert (type(error), error.code) == (DrainUnreachable, None)
        assert "cannot set up TLS" in str(error)


@pytest.mark.usefixtures("short_waits")
def test_what_does_not_answer_a_handshake_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = _fails(f"https://127.0.0.1:{server.getsockname()[1]}")
    assert (type(error), error.code) == (DrainUnreachable, None)
    assert "cannot set up TLS" in str(error)


@pytest.mark.usefixtures("trusted", "short_waits")
def test_faults_are_the_same_with_tls(server: Certificate) -> None:
    with HttpReceiver(tls=server.server_context()) as receiver:
        receiver.answer(HttpAnswer(ending=Ending.CLOSE))
        receiver.answer(HttpAnswer(ending=Ending.HANG))
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
        receiver.answer(HttpAnswer(head, b"x" * 100_000, 1000))
        receiver.answer(status(500))

        async def use(drain: LogDrain) -> None:
            for problem in ("without an answer", "did not answer"):
                with pytest.raises(DrainError, match=problem):
                    await drain.deliver(block())
            await drain.deliver(block())
            with pytest.raises(DrainError, match="500"):
                await drain.deliver(block())
            await drain.deliver(block())

        with_drain(receiver.url, use)
        assert receiver.invalid == []


def test_a_certificate_without_its_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match='parameter "cert"'):
        make("https://example/?cert=/nowhere&key=/nowhere")


def test_http_has_no_parameters_for_tls() -> None:
    with HttpReceiver() as receiver:
        deliver(f"{receiver.url}/?ca=x&cert=y&key=z")
        assert receiver.requests[0].head.target == "/?ca=x&cert=y&key=z"
