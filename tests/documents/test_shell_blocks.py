"""The shell blocks of the README and the tutorial do what the text around them says.

Comments in the pages, which nobody sees, tell how a block is run:

    <!-- run: until "TEXT" -->      in another terminal, until TEXT is there; it goes on then
    <!-- run: network -->           only where PyPI can be reached
    <!-- run: each line in PATH, PROGRAM until "TEXT" -->   its lines are alternatives, each to be
                                    tried there; those of PROGRAM until TEXT, and then Ctrl-C
    <!-- run: not, REASON -->       not at all
    <!-- status: 3 -->              it ends with that status, and not with 0
    <!-- output -->                 the next block is what the last command has printed
    <!-- output of start -->    … what the other terminal has, in whichever order, or soon will have
    <!-- interrupt -->              Ctrl-C in that terminal

A `…` in an output stands for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/tutorial.md")
PATIENCE_SECONDS = 60
#: What README's own commands need of the repository.
CLONED = (
    ".ci",
    "examples",
    "hsup",
    "packaging",
    "plugins",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
)
#: Have a network of its own: the first dyno's port is 5000, whatever else runs on this machine.
LOOPBACK = """
import fcntl, socket, struct, sys
IFF_UP, SIOCSIFFLAGS = 1, 0x8914
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
print("ready", flush=True)
sys.stdin.read()
"""


class Block(NamedTuple):
    """A fenced block, and the comments between it and what came before."""

    line: int
    language: str
    text: str
    comments: tuple[str, ...]

    @property
    def way(self) -> str:
        return next((one.removeprefix("run: ") for one in self.comments if "run: " in one), "")

    @property
    def status(self) -> int:
        given = [one.removeprefix("status: ") for one in self.comments if "status: " in one]
        return int(given[0]) if given else 0


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page, and each comment that stands for itself as an empty one."""
    found: list[Block] = []
    comments: list[str] = []
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if opened is not None:
            if line.strip() == "```":
                begin, language, lines = opened
                found.append(Block(begin, language, "\n".join(lines), tuple(comments)))
                opened, comments = None, []
            else:
                opened[2].append(line)
        elif fence := re.fullmatch(r"\s*```(\S*)", line):
            opened = (number, fence[1], [])
        elif comment := re.fullmatch(r"<!-- (.+) -->", line):
            if comment[1] == "interrupt":
                found.append(Block(number, "interrupt", "", ()))
            else:
                comments.append(comment[1])
        elif line.strip():
            comments = []
    return found


class Session:
    """A person with two terminals, who follows a page."""

    def __init__(self, home: Path, directory: Path, network: Sequence[str]) -> None:
        self.home = home
        self.state = home / ".state"
        self.state.write_text(f"cd {directory}\n")
        self.network = network
        self.printed = ""
        self.other: subprocess.Popen[bytes] | None = None
        self.log = home / ".log"
        self.seen = 0

    def run(self, block: Block) -> None:
        outside = block.way == "network"
        ended = subprocess.run(
            self._command(block, outside=outside),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * PATIENCE_SECONDS,
            check=False,
        )
        self.printed = ended.stdout
        assert ended.returncode == block.status, f"line {block.line}:\n{ended.stdout}"

    def start(self, block: Block) -> None:
        self.end()
        with self.log.open("wb") as log:
            self.other = subprocess.Popen(
                self._command(block),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.seen = 0
        wanted = re.fullmatch(r'until "(.+)"', block.way)
        assert wanted
        text = wanted[1]
        self.wait_for(text, lambda printed: text in printed, block)

    def wait_for(self, what: str, is_there: Callable[[str], bool], block: Block) -> str:
        """Return what the other terminal has as soon as that is enough."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_there(printed := self.new_output()):
            told = f"line {block.line}: no {what!r} in:\n{printed}"
            assert time.monotonic() < deadline, told
            assert self.other.poll() is None or is_there(self.new_output()), told
            time.sleep(0.05)
        return printed

    def new_output(self) -> str:
        return self.log.read_text()[self.seen :]

    def interrupt(self, block: Block) -> None:
        assert self.other is not None, f"line {block.line}: nothing runs"
        os.killpg(self.other.pid, signal.SIGINT)
        self.other.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        if self.other is not None and self.other.poll() is None:
            os.killpg(self.other.pid, signal.SIGTERM)
            self.other.wait(PATIENCE_SECONDS)

    def expect(self, block: Block) -> None:
        """Compare what a page shows with what the last command has printed."""
        shown, printed = block.text.splitlines(), self.printed.splitlines()
        assert len(shown) == len(printed), f"line {block.line}: shown, printed:\n{self.printed}"
        for one, other in zip(shown, printed, strict=True):
            assert matches(one, other), f"line {block.line}: {one!r} is not {other!r}"

    def expect_of_start(self, block: Block) -> None:
        """Wait until the other terminal has what a page shows, in whichever order."""
        for shown in block.text.splitlines():

            def is_there(printed: str, shown: str = shown) -> bool:
                return any(matches(shown, other) for other in printed.splitlines())

            self.wait_for(shown, is_there, block)
        self.seen += len(self.new_output())

    def _command(self, block: Block, *, outside: bool = False) -> list[str]:
        script = (
            'set -e; . "$STATE"\n'
            """trap 'declare -px > "$STATE"; printf "cd %q\\n" "$PWD" >> "$STATE"' EXIT\n"""
        )
        inside = () if outside else self.network
        return [*inside, "bash", "-c", f"{script}{block.text}"]

    def _environment(self) -> dict[str, str]:
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HSUP_", "HEROKU_", "DOCKER_", "LIBCONTAINER_"))
        }
        return {
            **own,
            "HOME": str(self.home),
            "HSUP_PROCFILE_DIR": str(self.home / ".kept"),
            "PIP_CACHE_DIR": os.path.expanduser("~/.cache/pip"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "STATE": str(self.state),
            "UV_TOOL_BIN_DIR": str(self.home / ".uv/bin"),  # pipx has the same one
        }


def matches(shown: str, printed: str) -> bool:
    """Tell whether a line is what a page shows, in which `…` stands for anything."""
    parts = map(re.escape, shown.split("…"))
    return re.fullmatch(".*".join(parts), printed) is not None


@pytest.fixture
def network() -> Iterator[tuple[str, ...]]:
    """Return what runs a command in a network of its own, where that can be had."""
    if os.geteuid() or not shutil.which("unshare"):
        yield ()
        return
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", LOOPBACK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        if holder.stdout.readline() == b"ready\n":
            yield ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--")
        else:  # such as in a container without privileges
            yield ()
        holder.stdin.close()


def clone(directory: Path) -> Path:
    """Have what a clone of the repository has."""
    for name in CLONED:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "tests", "*.egg-info")
            shutil.copytree(source, directory / name, ignore=unwanted)
        else:
            shutil.copy2(source, directory / name)
    return directory


def reach_pypi(directory: Path) -> None:
    """Skip where nothing can be downloaded from PyPI."""
    asked = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(directory),
        "pluggy",
    ]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("PyPI cannot be reached")


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_do_what_it_says(
    page: str, tmp_path: Path, network: tuple[str, ...]
) -> None:
    if not network and port_is_taken(5000):
        pytest.skip("port 5000 is taken, and only root can have a network of its own")
    home = tmp_path / "home"
    home.mkdir()
    directory = clone(home / "clone") if page == "README.md" else home
    blocks = blocks_of((ROOT / page).read_text())
    assert {block.language for block in blocks} <= {"sh", "text", "interrupt"}
    if any(block.way == "network" for block in blocks):
        reach_pypi(tmp_path / "pypi")  # the other blocks run what that one installs
    session = Session(home, directory, network)
    if directory != home:  # what `make` does first, and for which it needs PyPI
        session.run(Block(0, "sh", "make .venv/demo", ("run: network",)))
    try:
        for block in blocks:
            follow(session, block)
    finally:
        session.end()
    if page == "README.md":
        for installed in (".local/bin/hsup", ".uv/bin/hsup", "hsup/bin/hsup"):
            session.run(Block(0, "sh", f"~/{installed} plugins", ()))
            assert "drivers: docker, simple" in session.printed


def follow(session: Session, block: Block) -> None:
    """Do what a block says."""
    if block.language == "interrupt":
        session.interrupt(block)
    elif block.language == "sh" and block.way.startswith("until "):
        session.start(block)
    elif block.language == "sh" and block.way.startswith("each line "):
        try_each_line(session, block)
    elif block.language == "sh" and not block.way.startswith("not, "):
        session.run(block)
    elif block.comments[:1] == ("output",):
        session.expect(block)
    elif block.comments[:1] == ("output of start",):
        session.expect_of_start(block)


def try_each_line(session: Session, block: Block) -> None:
    """Do what each line of a block says, by itself."""
    path, program, text = re.fullmatch(r"each line in (\S+), (.+) (until .+)", block.way).groups()
    session.run(block._replace(text=f"cd {path}"))
    for line in block.text.splitlines():
        if line.startswith(program):
            session.start(block._replace(text=line, comments=(f"run: {text}",)))
            session.interrupt(block)
        else:
            session.run(block._replace(text=line))


def port_is_taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_block_of_the_pages_is_run_or_says_why_not() -> None:
    for page in PAGES:
        for block in blocks_of((ROOT / page).read_text()):
            if block.language == "sh" and block.way.startswith("not"):
                assert len(block.way) > len("not, because"), f"{page}:{block.line} gives no reason"


def test_a_page_with_a_wrong_output_fails(tmp_path: Path) -> None:
    session = Session(tmp_path, tmp_path, ())
    session.run(Block(1, "sh", "echo one; echo two", ()))
    session.expect(Block(2, "text", "one\nt…", ("output",)))
    with pytest.raises(AssertionError, match="line 3"):
        session.expect(Block(3, "text", "one\nthree", ("output",)))
    with pytest.raises(AssertionError, match="line 4"):
        session.run(Block(4, "sh", "echo one; false; echo two", ()))


def test_a_session_keeps_its_directory_and_its_variables(tmp_path: Path) -> None:
    session = Session(tmp_path, tmp_path, ())
    session.run(Block(1, "sh", "mkdir here; cd here; export NAME=value; OTHER=x", ()))
    session.run(Block(2, "sh", 'echo "${PWD##*/} $NAME ${OTHER-none}"', ()))
    assert session.printed == "here value none\n"
