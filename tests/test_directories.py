from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.directories import home, make_directories, state_directory


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make hsup's user the one with a given uid."""
    return lambda uid: monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_roots_state_is_the_systems_whatever_its_variables(user: Callable[[int], None]) -> None:
    user(0)
    assert state_directory("slugs", {"XDG_STATE_HOME": "/state"}) == "/var/lib/hsup/slugs"


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/hsup/slugs"),
        ({}, "/home/me/.local/state/hsup/slugs"),
        ({"XDG_STATE_HOME": ""}, "/home/me/.local/state/hsup/slugs"),
        ({"XDG_STATE_HOME": "state"}, "/home/me/.local/state/hsup/slugs"),
        ({"XDG_STATE_HOME": "~/state"}, "/home/me/.local/state/hsup/slugs"),
    ],
)
def test_a_users_state_is_where_the_specification_has_it(
    user: Callable[[int], None], environ: dict[str, str], directory: str
) -> None:
    user(1000)
    assert state_directory("slugs", {"HOME": "/home/me", **environ}) == directory


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_home_the_account_says_where_it_is(environ: dict[str, str]) -> None:
    assert home(environ) == pwd.getpwuid(os.geteuid()).pw_dir
    assert home({"HOME": "/home/me"}) == "/home/me"


def test_a_user_without_an_account_has_a_home_all_the_same(user: Callable[[int], None]) -> None:
    user(4_000_000_000)
    assert home({}) == "/"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_only_the_owner_may_write_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_directories(str(tmp_path / "above" / "own"))
        make_directories(str(tmp_path / "above" / "passable"), 0o755)
        make_directories(str(tmp_path / "above" / "everybodys"), 0o1777)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "above") == 0o755
    assert mode_of(tmp_path / "above" / "own") == 0o700
    assert mode_of(tmp_path / "above" / "passable") == 0o755
    assert mode_of(tmp_path / "above" / "everybodys") == 0o1777


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_directories(str(tmp_path))
    assert mode_of(tmp_path) == 0o750


def test_what_cannot_be_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_directories(str(tmp_path / "file/a"))
