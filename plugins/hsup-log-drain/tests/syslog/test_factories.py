"""URLs of drains that speak syslog."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsup.errors import UsageError
from hsup.log_drain import DrainURL
from hsup_log_drain.testing import Authority

from .sending import create

_SCHEMES = ("syslog", "syslog+tls", "syslog+udp")


@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (DrainURL("", ""), "needs a host"),
        (DrainURL("", "logs.example", path="/secret"), "has no path"),
        (DrainURL("", "logs.example", user="secret"), "has no user and no password"),
        (DrainURL("", "logs.example", password="secret"), "has no user and no password"),
        (
            DrainURL("", "logs.example", parameters=(("token", "secret"),)),
            'has no parameter "token"',
        ),
    ],
)
def test_what_syslog_has_no_use_for_is_an_error(scheme: str, url: DrainURL, problem: str) -> None:
    with pytest.raises(UsageError) as failed:
        create(url._replace(scheme=scheme))
    assert str(failed.value).startswith(f'a drain of scheme "{scheme}" {problem}')
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("host", [".example", "secret..example", "s" * 64, "se cret", "secret\0"])
def test_what_can_be_no_host_is_an_error(scheme: str, host: str) -> None:
    with pytest.raises(UsageError, match="its URL has no valid host") as failed:
        create(DrainURL(scheme, host))
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("host", ["logs.example", "logs.example.", "b\u00fccher.example", "::1"])
def test_a_host_is_a_name_or_an_address(scheme: str, host: str) -> None:
    create(DrainURL(scheme, host))


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_a_path_of_a_slash_is_none(scheme: str) -> None:
    assert create(DrainURL(scheme, "logs.example", path="/")).limits.bytes > 0


@pytest.mark.parametrize("size", ["479", "65508", "2k", "", "-1", "2048.5"])
def test_a_size_that_no_datagram_can_have_is_an_error(size: str) -> None:
    with pytest.raises(UsageError, match=r'parameter "size" must be .* from 480 to 65507'):
        create(DrainURL("syslog+udp", "logs.example", parameters=(("size", size),)))


@pytest.mark.parametrize("size", ["480", "65507"])
def test_a_size_that_datagrams_can_have_is_taken(size: str) -> None:
    create(DrainURL("syslog+udp", "logs.example", parameters=(("size", size),)))


@pytest.mark.parametrize("name", ["ca", "cert"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_of_tls_that_is_missing_or_bad_is_named(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as failed:
        create(_over_tls((name, file)))
    expected = f'file "{file}"'
    assert str(failed.value).startswith(f'parameter "{name}": ')
    assert expected in str(failed.value)


def test_a_key_that_is_not_of_the_certificate_is_named(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(UsageError) as failed:
        create(_over_tls(("cert", one.certificate), ("key", other.key)))
    assert f'parameter "key": file "{other.key}" ' in str(failed.value)


def test_a_key_needs_a_certificate(authority: Authority) -> None:
    with pytest.raises(UsageError, match='parameter "key" needs "cert"'):
        create(_over_tls(("key", authority.issue("alone").key)))


def _over_tls(*files: tuple[str, Path]) -> DrainURL:
    parameters = tuple((name, str(path)) for name, path in files)
    return DrainURL("syslog+tls", "logs.example", parameters=parameters)
