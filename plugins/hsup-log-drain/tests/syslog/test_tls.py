"""TLS: what is not to be trusted, what is not wanted, and what is taken of a broken connection."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from hsup.errors import DrainError, DrainUnreachable
from hsup_log_drain.syslog import connecting, connection
from hsup_log_drain.testing import Authority, Certificate, Rsyslog, take_frames

from .receiving import Opener, listening
from .sending import HEAD, StartRsyslog, block_of, messages, numbered, opened

_MANY = numbered(5000)
_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def _deliver(rsyslog: Rsyslog, lines: Sequence[bytes], **parameters: object) -> None:
    async def run() -> None:
        async with opened("syslog+tls", rsyslog.tcp_port, **parameters) as drain:
            await drain.deliver(block_of(lines))

    asyncio.run(run())


def _refusal(rsyslog: Rsyslog, **parameters: object) -> DrainError:
    with pytest.raises(DrainUnreachable) as failed:
        _deliver(rsyslog, [b"a"], **parameters)
    return failed.value


def _l14(error: DrainError, port: int) -> str:
    """Return the reason of an error that is about a certificate."""
    assert error.code == "L14"
    begin, _, rest = str(error).partition('error="')
    assert begin == "Error L14 (certificate validation): "
    reason, _, end = rest.partition('" ')
    assert end == f'uri="syslog+tls://127.0.0.1:{port}"'
    return reason


def test_a_certificate_of_another_host_is_not_trusted(
    start_rsyslog: StartRsyslog, authority: Authority
) -> None:
    rsyslog = start_rsyslog(authority.issue("another-host", "DNS:other.example"))
    error = _refusal(rsyslog, ca=authority.certificate)
    assert "IP address mismatch" in _l14(error, rsyslog.tcp_port)


def test_an_expired_certificate_is_not_trusted(
    start_rsyslog: StartRsyslog, authority: Authority
) -> None:
    rsyslog = start_rsyslog(authority.issue("expired", days=-1))
    error = _refusal(rsyslog, ca=authority.certificate)
    assert "expired" in _l14(error, rsyslog.tcp_port)


def test_a_self_signed_certificate_is_not_trusted(
    start_rsyslog: StartRsyslog, authority: Authority, tmp_path: Path
) -> None:
    Authority(tmp_path, "alone")
    rsyslog = start_rsyslog(Certificate(tmp_path / "alone.pem", tmp_path / "alone.key"))
    error = _refusal(rsyslog, ca=authority.certificate)
    assert "self-signed" in _l14(error, rsyslog.tcp_port)


def test_the_authorities_of_the_system_are_trusted_and_no_others(
    start_rsyslog: StartRsyslog, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    rsyslog = start_rsyslog(authority.issue("of-the-system"))
    assert "issuer" in _l14(_refusal(rsyslog), rsyslog.tcp_port)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))  # of OpenSSL
    _deliver(rsyslog, [b"a"])
    assert rsyslog.raw(1) == [HEAD + b"a"]


def test_a_receiver_that_wants_a_certificate_refuses_a_client_without_one(
    start_rsyslog: StartRsyslog, authority: Authority
) -> None:
    certificate = authority.issue("wants-one")
    rsyslog = start_rsyslog(certificate, clients_of=authority.certificate)
    error = _refusal(rsyslog, ca=authority.certificate)
    assert "certificate" in str(error)


def test_a_receiver_that_wants_a_certificate_takes_lines_with_it(
    start_rsyslog: StartRsyslog, authority: Authority, tmp_path: Path
) -> None:
    client = authority.issue("client")
    both = tmp_path / "both.pem"
    both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    rsyslog = start_rsyslog(authority.issue("takes-it"), clients_of=authority.certificate)
    _deliver(rsyslog, [b"a"], ca=authority.certificate, cert=client.certificate, key=client.key)
    _deliver(rsyslog, [b"b"], ca=authority.certificate, cert=both)
    assert rsyslog.raw(2) == [HEAD + b"a", HEAD + b"b"]


def test_files_that_were_replaced_count_from_the_next_connection_on(
    start_rsyslog: StartRsyslog, authority: Authority, tmp_path: Path
) -> None:
    other = tmp_path / "authorities"
    other.mkdir()
    trusted = tmp_path / "trusted.pem"
    shutil.copy(Authority(other, "other").certificate, trusted)
    rsyslog = start_rsyslog(authority.issue("replaced"))

    async def run() -> None:
        async with opened("syslog+tls", rsyslog.tcp_port, ca=trusted) as drain:
            with pytest.raises(DrainUnreachable, match="L14"):
                await drain.deliver(block_of([b"a"]))
            trusted.write_bytes(b"half of it")
            with pytest.raises(DrainUnreachable, match="has no certificate"):
                await drain.deliver(block_of([b"a"]))
            trusted.write_bytes(authority.certificate.read_bytes())
            await drain.deliver(block_of([b"a"]))

    asyncio.run(run())
    assert rsyslog.raw(1) == [HEAD + b"a"]


def test_a_receiver_without_tls_is_unreachable(authority: Authority) -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog+tls", listener.port, ca=authority.certificate) as drain:
                delivering = asyncio.create_task(drain.deliver(block_of([b"a"])))
                await (await listener.accept()).send(b"220 mail.example ESMTP\r\n")
                with pytest.raises(DrainUnreachable, match="cannot set up TLS: "):
                    await delivering

    asyncio.run(run())


def test_a_receiver_that_does_not_answer_is_unreachable(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_HANDSHAKE_SECONDS", 0.2)

    async def run() -> None:
        with listening() as listener:
            async with opened("syslog+tls", listener.port, ca=authority.certificate) as drain:
                with pytest.raises(DrainUnreachable, match="cannot set up TLS: no answer in time"):
                    await drain.deliver(block_of([b"a"]))

    asyncio.run(run())


@pytest.mark.parametrize("version", _VERSIONS)
def test_what_a_receiver_can_open_of_a_broken_connection_is_not_sent_again(
    version: ssl.TLSVersion, authority: Authority
) -> None:
    opener = Opener(authority.issue("broken"), version)

    async def run() -> None:
        with listening(buffer_bytes=4096) as listener:
            async with opened("syslog+tls", listener.port, ca=authority.certificate) as drain:
                delivering = asyncio.create_task(drain.deliver(block_of(_MANY)))
                peer = await listener.accept()
                await opener.greet(peer)
                sealed = await peer.read(100_000)
                sealed += peer.unread()
                peer.close()
                with pytest.raises(DrainError, match="reset") as failed:
                    await delivering
                whole = take_frames(opener.open(sealed))[0]
                assert len(whole) - _LINES_OF_A_RECORD <= failed.value.taken_lines <= len(whole)
                assert failed.value.taken_lines > 0

    asyncio.run(run())


#: What had arrived when the connection broke, and was not acknowledged yet, may be as much.
_LINES_OF_A_RECORD = (1 << 14) // len(HEAD + _MANY[0]) + 1


@pytest.mark.parametrize("version", _VERSIONS)
def test_a_receiver_that_never_reads_is_given_up(
    version: ssl.TLSVersion, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    opener = Opener(authority.issue("never-reads"), version)

    async def run() -> None:
        with listening(buffer_bytes=4096) as listener:
            async with opened("syslog+tls", listener.port, ca=authority.certificate) as drain:
                delivering = asyncio.create_task(drain.deliver(block_of(_MANY)))
                peer = await listener.accept()
                await opener.greet(peer)
                with pytest.raises(DrainError, match="took nothing for") as failed:
                    await delivering
                whole = take_frames(opener.open(await peer.read_all()))[0]
                assert failed.value.taken_lines == len(whole)

    asyncio.run(run())


@pytest.mark.parametrize("version", _VERSIONS)
def test_each_side_says_when_it_ends(version: ssl.TLSVersion, authority: Authority) -> None:
    certificate = authority.issue("ends")

    async def run() -> None:
        with listening() as listener:
            async with opened("syslog+tls", listener.port, ca=authority.certificate) as drain:
                first, second = Opener(certificate, version), Opener(certificate, version)
                delivering = asyncio.create_task(drain.deliver(block_of([b"a"])))
                peer = await listener.accept()
                await first.greet(peer)
                await delivering
                await peer.send(first.end())
                assert messages(first.open(await peer.read_all())) == [b"a"]
                delivering = asyncio.create_task(drain.deliver(block_of([b"b"])))
                peer = await listener.accept()
                await second.greet(peer)
                await delivering
                await drain.close()
                assert messages(second.open(await peer.read_all())) == [b"b"]
                assert second.has_ended

    asyncio.run(run())
