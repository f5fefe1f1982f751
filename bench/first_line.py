"""Compare how long `hsup start` and `honcho start` take until a dyno's first line is printed."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

LINE = b"first line"
PROCFILE = f"web: echo {LINE.decode()}; exec sleep 1000000\nworker: exec sleep 1000000\n"
DOTENV = "LANG=C.UTF-8\nDATABASE_URL='postgres://localhost/bench'\nWEB_CONCURRENCY=2\n"


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=30).parse_args()
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        directory = Path(name)
        (directory / "Procfile").write_text(PROCFILE)
        (directory / ".env").write_text(DOTENV)
        commands = {HSUP: str(arguments.hsup), "honcho": measure.peer("honcho")}
        for where, make in (("a pipe", os.pipe), ("a terminal", pty.openpty)):
            sides = {
                side: partial(first_line, (command, "start"), directory, *make())
                for side, command in commands.items()
            }
            samples = measure.alternate(arguments.rounds, sides, warm_up=True)
            reach = Reach(limit=1, of_peer="honcho")
            measure.print_row(f"start to the first line on {where}", "line", "ms", samples, reach)


def first_line(argv: Sequence[str], directory: Path, reader: int, writer: int) -> Sample:
    """Return the time from before the start until the line was read."""
    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=directory,
        env=measure.environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
    )
    seen = b""
    while LINE + b"\n" not in seen.replace(b"\r", b"").replace(b"\x1b[0m", b""):
        seen += os.read(reader, 65536)
    took = time.monotonic() - started
    measure.end(process)
    os.set_blocking(reader, False)
    try:
        while os.read(reader, 65536):
            pass
    except BlockingIOError:
        os.set_blocking(reader, True)
    return {"line": took * 1000}


if __name__ == "__main__":
    main()
