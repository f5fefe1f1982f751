"""Give the benchmarks of containers a stack, slugs and a program, in a temporary directory."""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import measure

RUNC, DOCKER = "runc", "docker"
SOURCE = Path(__file__).with_name("first_instruction.c")
STARTER = Path(__file__).with_name("dyno_starter.py")
#: What `first_instruction.c` writes: struct timespec.
_TIMESPEC = struct.Struct("qq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Testbed:
    """A temporary directory, where hsup finds its stack, and keeps its slugs and leases."""

    directory: Path
    hsup: Path
    stack: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return hsup's environment."""
        own = {
            "HSUP_STACKS_DIR": "stacks",
            "HSUP_SLUGS_DIR": "slugs",
            "LIBCONTAINER_RUN_DIR": "run",
        }
        return {**measure.environment(), **{k: str(self.directory / v) for k, v in own.items()}}

    def import_stack(self) -> None:
        """Let hsup use the root directory, where it is, as every release's stack."""
        argv = (self.hsup, "stacks", "import", "bench", self.stack, "--primary")
        subprocess.run(argv, env=self.variables, check=True, stderr=subprocess.DEVNULL)

    def compile_program(self) -> Path:
        """Return the program that tells when it began, as `app/first` in a directory of its own."""
        program = self.directory / "program/app/first"
        program.parent.mkdir(parents=True)
        argv = ("gcc", "-O1", "-static", "-nostdlib", "-fno-stack-protector", "-o", program)
        subprocess.run((*argv, SOURCE), check=True)
        return program

    def make_slug(self, name: str, directory: Path) -> Path:
        """Return a slug of the files that are in a directory's `app`."""
        slug = self.directory / f"{name}.tar"
        subprocess.run(("tar", "-cf", slug, "-C", directory, "./app"), check=True)
        return slug

    def make_bundle(self, name: str, argv: tuple[str, ...], mount: Path) -> Path:
        """Return a bundle of `runc spec` for the stack; a directory of the host is its /mnt."""
        bundle = self.directory / name
        bundle.mkdir()
        subprocess.run((RUNC, "spec", "--bundle", bundle), check=True)
        path = bundle / "config.json"
        config = json.loads(path.read_text())
        config["process"] |= {"terminal": False, "args": argv}
        config["root"]["path"] = str(self.stack.resolve())
        config["mounts"].append(
            {"destination": "/mnt", "type": "bind", "source": str(mount), "options": ["bind"]}
        )
        path.write_text(json.dumps(config))
        return bundle

    def runc(self, *words: str) -> tuple[str, ...]:
        """Return the argv of a call of runc, which keeps its containers' states in here."""
        return (RUNC, "--root", str(self.directory / "runc"), *words)


class Starter:
    """A process of hsup's Python that starts dynos with the driver, when asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout

    def start(self) -> Mapping[str, float]:
        """Start two dynos; return the milliseconds that `dyno_starter.py` tells of."""
        self._requests.write("\n")
        self._requests.flush()
        answer: dict[str, float] = json.loads(self._answers.readline())
        return answer


@contextmanager
def starter(testbed: Testbed, slug: Path) -> Iterator[Starter]:
    """Run a starter of dynos that have a slug, whose only program tells when it began."""
    argv = (testbed.hsup.with_name("python"), STARTER, slug)
    with subprocess.Popen(
        argv, env=testbed.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Starter(process)


@contextmanager
def prepared(arguments: argparse.Namespace) -> Iterator[Testbed]:
    """Make the testbed of a benchmark, with its stack imported, and remove it afterwards."""
    if os.geteuid():
        sys.exit("only root can start containers")
    if not (arguments.stack / "bin").is_dir():
        sys.exit(
            f"{arguments.stack} is no root directory: make it with .ci/make-stack, or name one"
        )
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        testbed = Testbed(directory=Path(name), hsup=arguments.hsup, stack=arguments.stack)
        testbed.import_stack()
        yield testbed


def argument_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Make the parser with the options that every benchmark of containers has."""
    parser = measure.argument_parser(description, rounds)
    parser.add_argument(
        "--stack",
        type=measure.absolute_path,
        default=measure.ROOT / "build/stack",
        metavar="DIRECTORY",
        help="the root directory of a small Debian (made by .ci/make-stack)",
    )
    return parser


def began_at(written: bytes) -> float:
    """Return when the program began, on the clock of time.monotonic."""
    seconds, nanoseconds = _TIMESPEC.unpack(written)
    return float(seconds + nanoseconds / 1e9)
