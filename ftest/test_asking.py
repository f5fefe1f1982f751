"""`hsup init` asks whoever sits at a terminal before it writes files."""

from __future__ import annotations

import termios
from collections.abc import Callable

import pytest

from ftest.program import Hsup
from ftest.terminal import Terminal

pytestmark = pytest.mark.simple_only("no dyno is started")


@pytest.fixture(autouse=True)
def package(hsup: Hsup) -> None:
    hsup.files({"package.json": '{"scripts": {"start": "node app"}}'})


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ("y\n", 0, "wrote Procfile, app.json; hsup start starts the application\r\n"),
        ("\n", 0, "wrote Procfile, app.json; hsup start starts the application\r\n"),
        ("n\n", 1, "\r\nnothing was written\r\n"),
        ("\x04", 1, "\r\nnothing was written\r\n"),
        ("\x03", 130, "^C"),
    ],
)
def test_files_are_written_for_whoever_wants_them(
    hsup: Hsup,
    terminal: Callable[..., Terminal],
    typed: str,
    status: int,
    said: str,
) -> None:
    screen = terminal("init")
    before = termios.tcgetattr(screen.master)
    screen.wait_for(r"Write Procfile, app\.json\? \[Y/n\]: ")
    assert not (hsup.directory / "Procfile").exists()
    screen.type(typed)
    assert screen.ended() == status
    assert screen.seen.endswith(said)
    assert (hsup.directory / "Procfile").exists() == (status == 0)
    assert (hsup.directory / "app.json").exists() == (status == 0)
    assert termios.tcgetattr(screen.master) == before


def test_without_a_terminal_nobody_is_asked(hsup: Hsup) -> None:
    done = hsup.call("init", stdin=b"y\n")
    assert done.status == 2
    assert "nothing was written: without a terminal, nobody can be asked; use --yes" in done.message
    assert not (hsup.directory / "Procfile").exists()
