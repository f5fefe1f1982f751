from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.api import Checked, Claim, Settings
from hsup.errors import UsageError
from hsup_source_heroku.hooks import hsup_register_sources

NETRC = "machine api.heroku.com login me password {}\n"


@pytest.fixture
def claim(tmp_path: Path) -> Callable[..., object]:
    """Return a function that returns the claim, with this text in ~/.netrc."""
    factory = hsup_register_sources()["heroku"]

    def claim(app: str | None = None, netrc: str | None = None, **environ: str) -> object:
        path = tmp_path / "netrc"
        if netrc is not None:
            path.write_text(netrc)
        return factory.applies(
            Settings(directory="/", environ={"NETRC": str(path), **environ}, app=app)
        )

    return claim


def test_a_token_counts_whether_or_not_an_application_is_named(
    claim: Callable[..., object],
) -> None:
    assert claim(HEROKU_ACCESS_TOKEN="key") is Claim.PLATFORM
    assert claim("shop", HEROKU_ACCESS_TOKEN="key") is Claim.PLATFORM


def test_the_key_of_other_programs_counts_with_an_application(claim: Callable[..., object]) -> None:
    assert claim(HEROKU_API_KEY="key") is Claim.NONE
    assert claim("shop", HEROKU_API_KEY="key") is Claim.PLATFORM


def test_a_key_in_netrc_is_for_whoever_names_an_application_and_has_nothing_else(
    claim: Callable[..., object],
) -> None:
    assert claim(netrc=NETRC.format("key")) is Claim.NONE
    assert claim("shop", netrc=NETRC.format("key")) is Claim.FALLBACK


@pytest.mark.parametrize("netrc", [None, "", "machine example.com login me password key\n"])
def test_without_a_key_nothing_is_claimed(claim: Callable[..., object], netrc: str | None) -> None:
    assert claim("shop", netrc=netrc) is Claim.NONE


def test_what_is_wrong_with_a_key_is_told_by_who_uses_it(
    claim: Callable[..., object], tmp_path: Path
) -> None:
    assert claim("shop", netrc=NETRC.format('"a b"')) is Claim.FALLBACK
    assert claim("shop", NETRC=str(tmp_path)) is Claim.FALLBACK  # a directory


def test_to_check_an_application_asks_no_server() -> None:
    """Without a key, no request could be made."""
    settings = Settings(directory="/", environ={}, app="shop")
    checked = hsup_register_sources()["heroku"].check(None, settings)
    assert checked == Checked("the application shop on Heroku", ())


def test_what_has_no_name_cannot_be_checked() -> None:
    settings = Settings(directory="/", environ={})
    with pytest.raises(UsageError, match="no Heroku application is given"):
        hsup_register_sources()["heroku"].check(None, settings)
