"""`make demo` in a new clone, and ^C while it installs."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftest.terminal import Terminal

ROOT = Path(__file__).parents[1]
MAKING = r"making \.venv with Python"

Demo = Callable[[], Terminal]

pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="not in a clone")


@pytest.fixture
def index() -> Iterator[socket.socket]:
    """Have a package index that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.fixture
def demo(tmp_path: Path, index: socket.socket) -> Iterator[Demo]:
    """Return what begins `make demo` in a directory with what the installation needs."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for one in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        copy = tmp_path / one.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, copy)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}",
    }
    begun: list[Terminal] = []

    def begin() -> Terminal:
        begun.append(Terminal(["make", "demo"], tmp_path, env))
        return begun[-1]

    yield begin
    for terminal in begun:
        terminal.close()


def assert_ends_quietly(terminal: Terminal) -> None:
    terminal.type("\x03")
    assert terminal.ended() == 130
    assert not re.sub(r"\^C|\s", "", terminal.seen)


def test_an_interrupt_while_the_environment_is_made_is_no_error(demo: Demo, tmp_path: Path) -> None:
    terminal = demo()
    terminal.wait_for(MAKING + r".*\n")
    assert_ends_quietly(terminal)
    assert not (tmp_path / ".venv/demo").exists()


def test_an_interrupt_while_pip_installs_is_no_error(
    demo: Demo, index: socket.socket, tmp_path: Path
) -> None:
    for _ in "a half-made environment is made anew", "twice":
        terminal = demo()
        terminal.wait_for(MAKING + r".*\n")
        connection, _ = index.accept()
        with connection:
            assert_ends_quietly(terminal)
            connection.settimeout(10)
            while connection.recv(4096):  # until pip, which began it, has ended
                pass
        assert not (tmp_path / ".venv/demo").exists()
