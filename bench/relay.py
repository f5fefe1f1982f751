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
from measure import HSUP, Reach, Sample, Sides

LINE = b"the quick brown fox jumps over the lazy dog, and so on to ninety-nine bytes " * 2
LINE = LINE[:98] + b"$\n"

#: For each side a second or more's worth.
HSUP_LINES = 2_000_000
SUPERVISORD_LINES = 2_000_000
HONCHO_LINES = 100_000

#: supervisord does not end with its child: after so long without a line, the rest is lost.
SILENCE_SECONDS = 3.0
READ_BYTES = 1 << 20

#: Writes as most programs do, through a buffer of their language's (8 KiB in Python).
PRINTING_WRITER = """\
from itertools import repeat
text = {line!r}.decode()[:-1]
for _ in repeat(None, {lines}):
    print(text)
"""

#: Writes a megabyte at a time, so that the child costs next to nothing.
BULK_WRITER = """\
import sys
block = {line!r} * 10_000
for _ in range({lines} // 10_000):
    sys.stdout.buffer.write(block)
"""

#: Writes as unbuffered programs do; it is about as fast as a supervisor.
LINE_WRITER = """\
from itertools import repeat
from os import write
for _ in repeat(None, {lines}):
    write(1, {line!r})
"""

WRITERS = {
    "printed": PRINTING_WRITER,
    "a write per line": LINE_WRITER,
    "written in bulk": BULK_WRITER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came out of a supervisor: whole lines, and the time from the first to the last."""

    lines: int
    seconds: float


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=3).parse_args()
    reach = Reach(limit=4, of_peer="supervisord", at_least=True)
    for title, writer in WRITERS.items():
        with TemporaryDirectory(prefix="hsup-bench-") as name:
            sides = relay_sides(arguments.hsup, Path(name), writer)
            samples = measure.alternate(arguments.rounds, sides)
        measure.print_row(f"relay, {title}", "rate", "MB/s", samples, reach)
        measure.print_row("lines lost or broken", "lost", "lines", samples, Reach(limit=0))


def relay_sides(hsup: Path, directory: Path, writer: str) -> Sides:
    def child(side: str, lines: int) -> Sequence[str]:
        script = directory / f"{side}.py"
        script.write_text(writer.format(line=LINE, lines=lines))
        return (sys.executable, "-SI", str(script))

    hsup_child, honcho_child = child(HSUP, HSUP_LINES), child("honcho", HONCHO_LINES)
    supervisord_child = child("supervisord", SUPERVISORD_LINES)
    return {
        HSUP: partial(relay, hsup_argv(hsup, directory, hsup_child), HSUP_LINES),
        "supervisord": partial(
            relay, supervisord_argv(directory, supervisord_child), SUPERVISORD_LINES
        ),
        "honcho": partial(relay, honcho_argv(directory, honcho_child), HONCHO_LINES),
    }


def hsup_argv(hsup: Path, directory: Path, child: Sequence[str]) -> Sequence[str]:
    """Make hsup put the time and the dyno's name before every line."""
    control = directory / "control"
    measure.write_control_directory(control, child)
    start = ("start", "--oneshot", "-d", "simple", "--source", "directory")
    options = ("--log-format", "heroku")
    return ("env", f"HSUP_CONTROL_DIR={control}", str(hsup), *start, *options)


def supervisord_argv(directory: Path, child: Sequence[str]) -> Sequence[str]:
    """It writes to the pipe itself what it reads, without a prefix and without rotation."""
    program = {
        "command": " ".join(child),
        "startsecs": 0,
        "autorestart": "false",
        "stdout_logfile": "/dev/stdout",
        "stdout_logfile_maxbytes": 0,
    }
    return measure.supervisord_argv(directory, program)


def honcho_argv(directory: Path, child: Sequence[str]) -> Sequence[str]:
    procfile = directory / "Procfile"
    procfile.write_text(f"w: exec {' '.join(child)}\n")
    return (measure.peer("honcho"), "-f", str(procfile), "start")


def relay(argv: Sequence[str], lines: int) -> Sample:
    """Read what a supervisor writes until it ends or falls silent."""
    with measure.running(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        received = receive(process.stdout.fileno())
    if not received.seconds:
        raise RuntimeError(f"{' '.join(argv)} passed on {received.lines} of {lines} lines")
    rate = received.lines * len(LINE) / received.seconds / 1e6
    return {"rate": rate, "lost": abs(lines - received.lines)}


def receive(descriptor: int) -> Received:
    """Count the whole lines of the child, whatever stands before each of them."""
    count, tail = 0, b""
    first = last = time.monotonic()
    while chunk := read_soon(descriptor):
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
