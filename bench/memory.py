"""Measure the most memory that hsup uses for the output of dynos that are not as they should be.

`--before PATH` names another hsup to compare with.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import Reach, Sample

DYNOS = 20
#: What a line may have had before it was passed on, and some to write it.
UNFINISHED_BYTES = 15 << 20
SMALL_WRITES = 250_000
STALL_SECONDS = 18
QUIET_SECONDS = 0.5

#: Writes a line that does not end, to both streams.
UNFINISHED = """\
import os, time
for stream in 1, 2:
    left = {bytes}
    while left:
        left -= os.write(stream, b"x" * min(left, 1 << 16))
time.sleep(1000)
"""

#: Writes two bytes whenever those before them were read (FIONREAD, man 2 ioctl_pipe).
TINY = """\
import array, fcntl, os, termios, time
unread = array.array("i", [0])
for _ in range({writes}):
    os.write(1, b"xx")
    while not fcntl.ioctl(1, termios.FIONREAD, unread) and unread[0]:
        os.sched_yield()
time.sleep(1000)
"""

#: Writes as much as a pipe holds, and crashes.
CRASHING = """\
import os
for stream in 1, 2:
    os.set_blocking(stream, False)
    try:
        os.write(stream, b"a line of twenty bytes\\n" * 3000)
    except BlockingIOError:
        pass
raise SystemExit(1)
"""


def main() -> None:
    parser = measure.argument_parser(__doc__, rounds=1)
    parser.add_argument("--before", type=measure.absolute_path, metavar="PATH")
    arguments = parser.parse_args()
    cases: dict[str, tuple[Callable[[Path], Sample], float]] = {
        f"{DYNOS} dynos, {UNFINISHED_BYTES >> 20} MiB without a newline on each stream": (
            partial(of_unfinished_lines, UNFINISHED.format(bytes=UNFINISHED_BYTES), DYNOS),
            64,
        ),
        f"1 dyno, {SMALL_WRITES * 2:,} bytes without a newline, two at a time": (
            partial(of_unfinished_lines, TINY.format(writes=SMALL_WRITES), 1),
            64,
        ),
        f"{DYNOS} dynos crash while nobody reads for {STALL_SECONDS} s": (of_a_stalled_reader, 64),
    }
    sides = {"before": arguments.before, measure.HSUP: arguments.hsup}
    for title, (case, reach) in cases.items():
        compared = {side: partial(case, hsup) for side, hsup in sides.items() if hsup}
        samples = measure.alternate(arguments.rounds, compared)
        measure.print_row(title, "most", "MiB", samples, Reach(limit=reach))
        measure.print_row("at the beginning", "first", "MiB", samples, Reach(limit=reach))


def of_unfinished_lines(writer: str, dynos: int, hsup: Path) -> Sample:
    """Measure until hsup has read all, that is, uses no more time."""
    return with_dynos(hsup, writer, dynos, until_quiet, subprocess.DEVNULL)


def of_a_stalled_reader(hsup: Path) -> Sample:
    return with_dynos(hsup, CRASHING, DYNOS, lambda _: time.sleep(STALL_SECONDS), subprocess.PIPE)


def with_dynos(
    hsup: Path, writer: str, dynos: int, wait: Callable[[int], None], stdout: int
) -> Sample:
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        directory = Path(name)
        script = directory / "writer.py"
        script.write_text(writer)
        words = (sys.executable, "-SI", str(script))
        with measure.running(start(hsup, directory, words, dynos), stdout=stdout) as process:
            measure.wait_until(lambda: bool(measure.descendants(process.pid)), "a dyno")
            first = memory_mib(process.pid, "VmRSS")
            wait(process.pid)
            return {"first": first, "most": memory_mib(process.pid, "VmHWM")}


def start(hsup: Path, directory: Path, words: Sequence[str], dynos: int) -> Sequence[str]:
    control = directory / "control"
    control.mkdir()
    processes = [{"Args": list(words), "Quantity": dynos, "Type": "w"}]
    release = {"Version": 1, "Name": "bench", "Env": {}, "Processes": processes}
    (control / "new").write_text(json.dumps(release))
    options = ("-d", "simple", "--source", "directory", "--quantities", "release", "--grace", "0")
    return ("env", f"HSUP_CONTROL_DIR={control}", str(hsup), "start", *options)


def until_quiet(pid: int) -> None:
    """Wait until the processes of a supervisor have used next to no time for a while."""
    used, before = used_seconds(pid), -1.0
    while used - before > QUIET_SECONDS / 50:
        time.sleep(QUIET_SECONDS)
        used, before = used_seconds(pid), used


def used_seconds(pid: int) -> float:
    """Return the time of a supervisor and its children; more each time where some come and go."""
    try:
        return measure.cpu_seconds([pid, *measure.descendants(pid)])
    except (FileNotFoundError, ProcessLookupError):
        return time.monotonic()


def memory_mib(pid: int, field: str) -> float:
    """Return a field of the memory of a process (man 5 proc_pid_status)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


if __name__ == "__main__":
    main()
