"""Compare how fast supervisors pass on 100-byte lines of one child, none of them lost."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

LINE = b"the quick brown fox jumps over the lazy dog, and so on to ninety-nine bytes " * 2
LINE = LINE[:98] + b"$\n"

#: For each side about three seconds' worth.
HSUP_LINES = 4_000_000
SUPERVISORD_LINES = 1_200_000
HONCHO_LINES = 150_000

#: supervisord does not end with its child: after so long without a line, the rest is lost.
SILENCE_SECONDS = 5.0
READ_BYTES = 1 << 20

#: Writes a megabyte at a time, so that the child costs next to nothing.
PRODUCER = """\
import os
block = memoryview({line!r} * 10_000)
remaining = {lines} * {length}
while remaining:
    remaining -= os.write(1, block[:remaining])
"""

#: It writes to the pipe itself what it reads, without a prefix and without rotation.
SUPERVISORD = """\
[supervisord]
nodaemon=true
silent=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
[program:w]
command={command}
startsecs=0
autorestart=false
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came out of a supervisor: whole lines, and the time from the first to the last."""

    lines: int
    seconds: float


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=3).parse_args()
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        folder = Path(name)
        sides = {
            HSUP: partial(relay, hsup_argv(arguments.hsup, folder), HSUP_LINES),
            "supervisord": partial(relay, supervisord_argv(folder), SUPERVISORD_LINES),
            "honcho": partial(relay, honcho_argv(folder), HONCHO_LINES),
        }
        samples = measure.alternate(arguments.rounds, sides)
    reach = Reach(limit=4, of_peer="supervisord", at_least=True)
    measure.print_row("relay of 100-byte lines", "rate", "MB/s", samples, reach)
    measure.print_row("lines lost or broken", "lost", "lines", samples, Reach(limit=0))


def hsup_argv(hsup: Path, folder: Path) -> Sequence[str]:
    """Make hsup prefix every line with its time and its dyno."""
    control = folder / "control"
    measure.write_control_directory(control, producer_argv(folder / "hsup.py", HSUP_LINES))
    start = ("start", "--oneshot", "-d", "simple", "--source", "directory")
    options = ("--log-format", "heroku")
    return ("env", f"HSUP_CONTROL_DIR={control}", str(hsup), *start, *options)


def supervisord_argv(folder: Path) -> Sequence[str]:
    command = " ".join(producer_argv(folder / "supervisord.py", SUPERVISORD_LINES))
    configuration = folder / "supervisord.conf"
    configuration.write_text(SUPERVISORD.format(folder=folder, command=command))
    return (measure.peer("supervisord"), "-c", str(configuration))


def honcho_argv(folder: Path) -> Sequence[str]:
    procfile = folder / "Procfile"
    command = " ".join(producer_argv(folder / "honcho.py", HONCHO_LINES))
    procfile.write_text(f"w: exec {command}\n")
    return (measure.peer("honcho"), "-f", str(procfile), "start")


def producer_argv(script: Path, lines: int) -> Sequence[str]:
    script.write_text(PRODUCER.format(line=LINE, lines=lines, length=len(LINE)))
    return (sys.executable, "-SI", str(script))


def relay(argv: Sequence[str], lines: int) -> Sample:
    """Read what a supervisor writes until all lines came, it ended, or it fell silent."""
    with measure.running(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        received = receive(process.stdout.fileno(), lines)
    rate = received.lines * len(LINE) / received.seconds / 1e6
    return {"rate": rate, "lost": abs(lines - received.lines)}


def receive(descriptor: int, lines: int) -> Received:
    """Count the whole lines of the child, whatever stands before each of them."""
    count, tail = 0, b""
    first = last = time.monotonic()
    while count < lines and (chunk := read_soon(descriptor)):
        complete, newline, tail = (tail + chunk).rpartition(b"\n")
        found = (complete + newline).count(LINE)
        if found:
            last = time.monotonic()
            first = first if count else last
            count += found
    return Received(lines=count, seconds=last - first)


def read_soon(descriptor: int) -> bytes:
    """Return what comes next, nothing at the end or after a silence."""
    ready, _, _ = select.select([descriptor], [], [], SILENCE_SECONDS)
    return os.read(descriptor, READ_BYTES) if ready else b""


if __name__ == "__main__":
    main()
