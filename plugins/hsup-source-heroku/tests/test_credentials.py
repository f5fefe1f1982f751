from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hsup.errors import UsageError
from hsup_source_heroku.credentials import find

from .following import MakeSource


def test_the_entry_of_netrc_for_all_other_hosts_is_no_key(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine other.example login a password b\ndefault login me password secret\n")
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    assert find(environ) is None


def test_a_url_with_a_password_is_refused_and_not_shown(
    make_source: MakeSource,
) -> None:
    with pytest.raises(UsageError, match="HEROKU_API_URL") as caught:
        make_source(HEROKU_API_URL="https://me:s3cret@example.com")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["api.heroku.com", "ftp://x", "http://", "http://[::1"])
def test_a_url_that_is_none_is_refused(make_source: MakeSource, url: str) -> None:
    with pytest.raises(UsageError, match="HEROKU_API_URL"):
        make_source(HEROKU_API_URL=url)


def test_another_machines_entry_in_netrc_may_be_in_any_encoding(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    netrc = tmp_path / "netrc"
    machine = urlsplit(environ["HEROKU_API_URL"]).hostname
    other = b"machine other.example login Ren\xe9 password \xfcber\n"
    netrc.write_bytes(other + f"machine {machine} login me password secret\n".encode())
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    assert find(environ) == "secret"


def test_a_key_in_netrc_that_no_header_can_carry_is_refused(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    netrc = tmp_path / "netrc"
    machine = urlsplit(environ["HEROKU_API_URL"]).hostname
    netrc.write_bytes(f"machine {machine} password ".encode() + b"s\xe9cret\n")
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    with pytest.raises(UsageError, match=r"the API key in .* is malformed"):
        find(environ)
