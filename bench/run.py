"""Compare how long `hsup run` and `honcho run` take around a program that does nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample, Sides

PROCFILE = "web: sleep 1000000\nworker: sleep 1000000\n"
DOTENV = "LANG=C.UTF-8\nDATABASE_URL='postgres://localhost/bench'\nWEB_CONCURRENCY=2\n"


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=30).parse_args()
    for title, dotenv, options, limit in (
        ("run, a Procfile", None, (), 0.8),
        ("run, a Procfile and .env", DOTENV, (), 0.8),
        ("run with an option, a Procfile and .env", DOTENV, ("-d", "simple"), 1.0),
    ):
        with TemporaryDirectory(prefix="hsup-bench-") as name:
            directory = Path(name)
            (directory / "Procfile").write_text(PROCFILE)
            if dotenv is not None:
                (directory / ".env").write_text(dotenv)
            samples = measure.alternate(
                arguments.rounds, run_sides(arguments.hsup, options, directory), warm_up=True
            )
        measure.print_row(title, "run", "ms", samples, Reach(limit=limit, of_peer="honcho"))


def run_sides(hsup: Path, options: Sequence[str], directory: Path) -> Sides:
    honcho = measure.peer("honcho")
    return {
        HSUP: lambda: timed_run((str(hsup), "run", *options, "--", "/bin/true"), directory),
        "honcho": lambda: timed_run((honcho, "run", "/bin/true"), directory),
    }


def timed_run(argv: tuple[str, ...], directory: Path) -> Sample:
    environment = measure.environment()
    started = time.monotonic()
    subprocess.run(argv, cwd=directory, env=environment, stdin=subprocess.DEVNULL, check=True)
    return {"run": (time.monotonic() - started) * 1000}


if __name__ == "__main__":
    main()
