"""Measure how long a dyno's output stands still at most, while something happens to hsup.

A dyno writes the time every millisecond. Printed are the longest time between two of its
lines as they come out of hsup, and how late the latest of them was. An action is a command of
the shell, which finds the control directory as $HSUP_CONTROL_DIR and hsup's number as $HSUP_PID:

    bench/gap.py 'cp million-keys.json "$HSUP_CONTROL_DIR"/new' 'kill -HUP $HSUP_PID'

It runs in every round once the dyno writes, and hsup is listened to for some seconds more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import Reach, Sample

#: What is heard of hsup before the action is not counted: the interpreters start.
SETTLE_SECONDS = 1.0
READ_BYTES = 1 << 16

#: Sleeps to a deadline, so that a late line is not followed by others as late.
WRITER = """\
import time
nanoseconds = time.monotonic_ns()
while True:
    nanoseconds += 1_000_000
    time.sleep(max(0, nanoseconds - time.monotonic_ns()) / 1e9)
    print(f"at {time.monotonic_ns()}", flush=True)
"""


def main() -> None:
    parser = measure.argument_parser(__doc__, rounds=3)
    parser.add_argument("--seconds", type=float, default=5.0, metavar="N", help="after the action")
    parser.add_argument("--reach", type=float, default=0.1, metavar="SECONDS")
    parser.add_argument("actions", nargs="*", default=["true"], metavar="ACTION")
    arguments = parser.parse_args()
    for action in arguments.actions:
        side = partial(measure_gap, arguments.hsup, action, arguments.seconds)
        samples = measure.alternate(arguments.rounds, {"nothing": idle(side), measure.HSUP: side})
        reach = Reach(limit=arguments.reach * 1000)
        measure.print_row(f"longest gap: {action}", "gap", "ms", samples, reach)
        measure.print_row("latest line", "late", "ms", samples, reach)


def idle(side: partial[Sample]) -> partial[Sample]:
    """Return the same without the action: what the machine itself adds."""
    hsup, _, seconds = side.args
    return partial(measure_gap, hsup, "true", seconds)


def measure_gap(hsup: Path, action: str, seconds: float) -> Sample:
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        directory = Path(name)
        (directory / "writer.py").write_text(WRITER)
        control = directory / "control"
        measure.write_control_directory(
            control, (sys.executable, "-SI", str(directory / "writer.py"))
        )
        words = ("start", "-d", "simple", "--source", "directory", "--log-format", "heroku")
        argv = ("env", f"HSUP_CONTROL_DIR={control}", str(hsup), *words)
        with measure.running(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            return listen(process, control, action, seconds)


def listen(process: subprocess.Popen[bytes], control: Path, action: str, seconds: float) -> Sample:
    assert process.stdout is not None
    arrivals = times(process.stdout.fileno())
    next(arrivals)
    until = time.monotonic() + SETTLE_SECONDS
    while next(arrivals)[0] < until:
        pass
    around = {**os.environ, "HSUP_CONTROL_DIR": str(control), "HSUP_PID": str(process.pid)}
    acting = subprocess.Popen(("sh", "-c", action), env=around, stdout=subprocess.DEVNULL)
    try:
        return worst(arrivals, time.monotonic() + seconds)
    finally:
        acting.wait()


def worst(arrivals: Iterator[tuple[float, float]], until: float) -> Sample:
    gap = late = 0.0
    before = time.monotonic()
    for heard, written in arrivals:
        gap = max(gap, heard - before)
        late = max(late, heard - written)
        before = heard
        if heard > until:
            return {"gap": gap * 1000, "late": late * 1000}
    raise RuntimeError("hsup ended")


def times(descriptor: int) -> Iterator[tuple[float, float]]:
    """Yield when a line came out and when it was written, by the same clock."""
    rest = b""
    while data := os.read(descriptor, READ_BYTES):
        heard = time.monotonic()
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _, is_the_dynos, written = line.partition(b" app[w.1]: at ")
            if is_the_dynos:
                yield heard, int(written) / 1e9


if __name__ == "__main__":
    main()
