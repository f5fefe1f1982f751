"""Start hsup and its peers in a directory, and see what they run, and in which environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

_BUILD = Path(__file__).parents[2] / "build"
#: What `make peers` installs.
_PEERS = _BUILD / "peers"

#: The argv of each program; dotenv's runs a command, and knows no Procfile.
PROGRAMS: Mapping[str, Sequence[str]] = {
    "hsup": (f"{_BUILD}/installed/bin/hsup", "--driver", "simple", "start", "--abort-on-exit"),
    "foreman": ("foreman", "start"),
    "honcho": (f"{_PEERS}/python/bin/honcho", "start"),
    "node_foreman": (f"{_PEERS}/node_modules/.bin/nf", "start"),
    "dotenv": (f"{_PEERS}/node_modules/.bin/dotenv", "run", "--", "serve"),
}

#: What commands of Procfiles call. It writes its process type, its words and its environment into
#: a file, and stays for a moment: all programs stop everything when one process ends.
_SERVE = """#!{python} -IS
import json, os, sys, time
given = ("DYNO", "PS", "HONCHO_PROCESS_NAME", "FOREMAN_WORKER_NAME")
dyno = next((os.environ[name] for name in given if name in os.environ), "web.1")
run = [dyno.rpartition(".")[0], " ".join(["serve", *sys.argv[1:]]), dict(os.environ)]
with open({seen!r}, "a") as file:
    file.write(json.dumps(run) + "\\n")
time.sleep({seconds})
"""


class Run(NamedTuple):
    """A process that was run: its process type, its words, and its environment."""

    type: str
    words: str
    environ: Mapping[str, str]


def start(name: str, directory: Path) -> str:
    """Start a program in a directory, wait until it ends, and return what it has printed.

    Skips the test where the program is not installed.
    """
    program, *words = PROGRAMS[name]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: rm -rf build/peers && make peers")
    ended = subprocess.run(
        [program, *words],
        cwd=directory,
        env=environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return ended.stdout.decode(errors="replace")


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which the `serve` of a directory is found."""
    return {
        "PATH": f"{directory}/bin:{os.environ['PATH']}",
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "HSUP_PROCFILE_DIR": f"{directory}/kept",
    }


def make_serve(directory: Path, seconds: float) -> str:
    """Make the program `serve` in a directory, which stays for `seconds`; return its path."""
    serve = directory / "bin/serve"
    serve.parent.mkdir()
    seen = str(directory / "seen")
    serve.write_text(_SERVE.format(python=sys.executable, seen=seen, seconds=seconds))
    serve.chmod(0o755)
    return str(serve)


def runs_in(directory: Path) -> tuple[Run, ...]:
    """Return what the `serve` of a directory was run for."""
    seen = directory / "seen"
    lines = seen.read_text().splitlines() if seen.exists() else []
    return tuple(Run(*json.loads(line)) for line in lines)


def what_ran(directory: Path) -> tuple[str, ...]:
    """Return the same as a cell of the table of Procfiles has it."""
    return tuple(sorted(f"{run.type}: {run.words}" for run in runs_in(directory)))
