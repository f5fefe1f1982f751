"""Compare how soon supervisors replace a child that was killed."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

#: supervisord and runit call a child that lived for less than a second a failed start.
SETTLE_SECONDS = 2.5
START_TIMEOUT_SECONDS = 30

#: The child's first act is to say its process number; writes this short do not mix (man 7 pipe).
CHILD = """\
#!/bin/sh
echo $$ >{fifo}
exec sleep 1000000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Herd:
    """Children of one supervisor: where they report, and who has not been killed yet."""

    fifo: int
    unharmed: list[int]


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=30).parse_args()
    with TemporaryDirectory(prefix="hsup-bench-") as name, ExitStack() as stack:
        herds = start_herds(arguments.hsup, Path(name), arguments.rounds, stack)
        time.sleep(SETTLE_SECONDS)
        sides = {side: partial(kill_one, herd) for side, herd in herds.items()}
        samples = measure.alternate(arguments.rounds, sides)
    measure.print_row("first restart", "restart", "ms", samples, Reach(limit=10))


def start_herds(hsup: Path, directory: Path, children: int, stack: ExitStack) -> dict[str, Herd]:
    """Start the supervisors, all at once, with one child per round each."""
    makers: dict[str, Callable[[Path, Path, int], Sequence[str]]]
    makers = {HSUP: partial(hsup_argv, hsup), "supervisord": supervisord_argv}
    if measure.installed("runsvdir", "apt-get install -y runit"):
        makers["runit"] = runit_argv
    herds = {}
    for side, make_argv in makers.items():
        home = directory / side
        home.mkdir()
        fifo = open_fifo(home / "started", stack)
        child = write_script(home / "child", CHILD.format(fifo=home / "started"))
        argv = make_argv(home, child, children)
        stack.enter_context(measure.running(argv, stdout=subprocess.DEVNULL))
        herds[side] = Herd(fifo=fifo, unharmed=read_pids(fifo, children))
    return herds


def hsup_argv(hsup: Path, home: Path, child: Path, children: int) -> Sequence[str]:
    control = home / "control"
    measure.write_control_directory(control, ("/bin/sh", str(child)))
    start = ("start", "-d", "simple", "--source", "directory", f"w={children}")
    return ("env", f"HSUP_CONTROL_DIR={control}", str(hsup), *start)


def supervisord_argv(home: Path, child: Path, children: int) -> Sequence[str]:
    program = {
        "command": f"/bin/sh {child}",
        "numprocs": children,
        "process_name": "w_%(process_num)03d",
        "stdout_logfile": "NONE",
        "stderr_logfile": "NONE",
    }
    return measure.supervisord_argv(home, program)


def runit_argv(home: Path, child: Path, children: int) -> Sequence[str]:
    for number in range(children):
        service = home / "services" / f"w{number}"
        service.mkdir(parents=True)
        (service / "run").symlink_to(child)
    return ("runsvdir", "-P", str(home / "services"))


def kill_one(herd: Herd) -> Sample:
    """Kill a child that has never crashed; the pause keeps in step with nobody's clock."""
    time.sleep(random.uniform(0.05, 0.25))
    pid = herd.unharmed.pop()
    started = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    read_pids(herd.fifo, 1)
    return {"restart": (time.monotonic() - started) * 1000}


def open_fifo(path: Path, stack: ExitStack) -> int:
    """Make a FIFO and open it for both, so that no child waits for a reader."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    stack.callback(os.close, descriptor)
    return descriptor


def write_script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def read_pids(fifo: int, count: int) -> list[int]:
    """Read the process numbers of `count` children that have started."""
    report = b""
    while report.count(b"\n") < count:
        if not select.select([fifo], [], [], START_TIMEOUT_SECONDS)[0]:
            raise TimeoutError(f"{count} children expected, heard of {report.split()}")
        report += os.read(fifo, 4096)
    return [int(pid) for pid in report.split()]


if __name__ == "__main__":
    main()
