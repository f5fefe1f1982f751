from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsup.cli.config import read_settings, wants_colour
from hsup.errors import UsageError


def test_settings_have_the_environment_of_the_moment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROB", "1")
    settings = read_settings(app="shop", control_socket=None, logplex_url="https://logs.example")
    monkeypatch.setenv("FROB", "2")
    assert settings.environ["FROB"] == "1"
    assert settings.directory == str(tmp_path)
    assert (settings.app, settings.logplex_url) == ("shop", "https://logs.example")


@pytest.mark.parametrize(
    ("pwd", "expected"),
    [
        ("current", "current"),
        ("v1", "v1"),
        ("v2", "v1"),
        ("nosuch", "v1"),
        ("v1/../current", "v1"),
        ("", "v1"),
    ],
)
def test_the_directory_is_named_by_the_link_that_led_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pwd: str, expected: str
) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("v1")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PWD", str(tmp_path / pwd) if pwd else "relative")
    settings = read_settings(app=None, control_socket=None, logplex_url=None)
    assert settings.directory == str(tmp_path / expected)


@pytest.mark.parametrize(
    ("given", "directory", "procfile"),
    [
        ({"procfile": "Procfile.dev"}, "app", "app/Procfile.dev"),
        ({"procfile": "sub/Procfile"}, "app/sub", "app/sub/Procfile"),
        ({"procfile": "../Procfile"}, "", "Procfile"),
        ({"root": "sub"}, "app/sub", None),
        ({"root": "sub", "procfile": "Procfile.dev"}, "app/sub", "app/Procfile.dev"),
    ],
    ids=str,
)
def test_files_are_named_from_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: dict[str, str],
    directory: str,
    procfile: str | None,
) -> None:
    (tmp_path / "app/sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "app")
    monkeypatch.delenv("PWD", raising=False)
    settings = read_settings(env_files=("a.env", "/b.env"), **given)
    assert settings.directory == os.path.normpath(tmp_path / directory)
    assert settings.procfile == (procfile and str(tmp_path / procfile))
    assert settings.env_files == (str(tmp_path / "app/a.env"), "/b.env")


def test_a_root_that_is_no_directory_is_bad_usage() -> None:
    with pytest.raises(UsageError, match='--root must be a directory, got "/no/such"'):
        read_settings(root="/no/such")


SAY_LOCALE = """
from hsup.cli.config import read_settings
print(read_settings(app=None, control_socket=None, logplex_url=None).environ.get("LC_CTYPE"))
"""


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "None"),
        ({"LC_CTYPE": "C"}, "C"),
        ({"LC_CTYPE": "C.UTF-8"}, "C.UTF-8"),
        ({"LANG": "xx_YY.UTF-8"}, "None"),
        ({"LC_CTYPE": "xx_YY.UTF-8"}, "xx_YY.UTF-8"),
    ],
)
def test_what_python_makes_of_the_locale_is_not_the_users(given: dict[str, str], seen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAY_LOCALE], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{seen}\n"


@pytest.fixture
def terminal() -> Iterator[int]:
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(("no_color", "wanted"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_is_coloured_unless_no_color_is_set(
    terminal: int, monkeypatch: pytest.MonkeyPatch, no_color: str | None, wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert wants_colour(terminal) == wanted


def test_a_dumb_terminal_is_not_coloured(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(terminal)


def test_a_pipe_is_not_coloured(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not wants_colour(pipe[1])
