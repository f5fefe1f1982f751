"""Compare how supervisors bear 1,000 children: start, memory, idle processor time, stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample, Sides

CHILDREN = 1000
SETTLE_SECONDS = 2.0
IDLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A supervisor's command, which starts the children at once, and the signal that ends it."""

    argv: tuple[str, ...]
    stop_signal: signal.Signals = signal.SIGTERM


def main() -> None:
    parser = measure.argument_parser(__doc__, rounds=3)
    parser.add_argument(
        "--shell-line", action="store_true", help="give hsup one word, which bash interprets"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="hsup-bench-") as directory:
        sides = fleet_sides(arguments.hsup, Path(directory), shell_line=arguments.shell_line)
        samples = measure.alternate(arguments.rounds, sides)
    rows = (
        ("1,000 up", "up", "s", Reach(limit=0.3, of_peer="supervisord")),
        ("supervisor's PSS", "pss", "MiB", Reach(limit=40)),
        ("idle, of one processor", "idle", "%", Reach(limit=0.5)),
        ("1,000 children ended", "children", "s", Reach(limit=0.5)),
        ("supervisor ended too", "down", "s", Reach(limit=0.5)),
    )
    for title, name, unit, reach in rows:
        measure.print_row(title, name, unit, samples, reach)


def fleet_sides(hsup: Path, directory: Path, *, shell_line: bool) -> Sides:
    """Make the supervisors' configurations.

    The children's program is /bin/sleep by a name that nothing else on the machine has.
    """
    sleeper = directory / f"sleep{os.getpid()}"
    sleeper.symlink_to("/bin/sleep")
    fleets = {
        HSUP: hsup_fleet(hsup, directory, sleeper, shell_line=shell_line),
        "supervisord": supervisord_fleet(directory, sleeper),
    }
    if measure.installed("runsvdir", "apt-get install -y runit"):
        fleets["runit"] = runit_fleet(directory, sleeper)
    return {side: partial(measure_fleet, fleet, sleeper.name) for side, fleet in fleets.items()}


def hsup_fleet(hsup: Path, directory: Path, sleeper: Path, *, shell_line: bool) -> Fleet:
    control = directory / "control"
    words = (f"{sleeper} 1000000",) if shell_line else (str(sleeper), "1000000")
    measure.write_control_directory(control, words)
    start = ("start", "-d", "simple", "--source", "directory", f"w={CHILDREN}")
    return Fleet(argv=("env", f"HSUP_CONTROL_DIR={control}", str(hsup), *start))


def supervisord_fleet(directory: Path, sleeper: Path) -> Fleet:
    """Make the favourable choices.

    Without log files supervisord reads the pipes and drops the lines, and `numprocs` starts
    faster than 1,000 sections. minfds is for the pipes, three per child.
    """
    program = {
        "command": f"{sleeper} 1000000",
        "numprocs": CHILDREN,
        "process_name": "w_%(process_num)04d",
        "startsecs": 0,
        "stdout_logfile": "NONE",
        "stderr_logfile": "NONE",
    }
    return Fleet(argv=measure.supervisord_argv(directory, program, own={"minfds": 8192}))


def runit_fleet(directory: Path, sleeper: Path) -> Fleet:
    """Make a directory per service; runsvdir stops its services on SIGHUP, not on SIGTERM."""
    services = directory / "services"
    for number in range(CHILDREN):
        service = services / f"w{number}"
        service.mkdir(parents=True)
        (service / "run").write_text(f"#!/bin/sh\nexec {sleeper} 1000000\n")
        (service / "run").chmod(0o755)
    return Fleet(argv=("runsvdir", "-P", str(services)), stop_signal=signal.SIGHUP)


def measure_fleet(fleet: Fleet, sleeper: str) -> Sample:
    started = time.monotonic()
    with measure.running(fleet.argv, stdout=subprocess.DEVNULL) as process:
        up_seconds = wait_until_up(sleeper) - started
        time.sleep(SETTLE_SECONDS)
        family = [process.pid, *measure.descendants(process.pid)]
        supervising = [pid for pid in family if measure.process_name(pid) != sleeper]
        idle_percent = processor_percent(supervising)
        pss_mib = measure.pss_mib(supervising)
        started = time.monotonic()
        process.send_signal(fleet.stop_signal)
        wait_until_gone([pid for pid in family if pid not in supervising])
        children_seconds = time.monotonic() - started
        wait_until_gone(supervising)
        down_seconds = time.monotonic() - started
    return {
        "up": up_seconds,
        "pss": pss_mib,
        "idle": idle_percent,
        "children": children_seconds,
        "down": down_seconds,
    }


def wait_until_up(sleeper: str) -> float:
    """Return when the last child existed, as time.monotonic gives it.

    Names are read only once so many threads exist that all children may, so
    that the looking takes no processor time from the starting.
    """
    seen: set[int] = set()

    def all_exist() -> bool:
        if existing_threads() < CHILDREN:
            return False
        unseen = measure.all_pids() - seen
        seen.update(pid for pid in unseen if measure.process_name(pid) == sleeper)
        return len(seen) >= CHILDREN

    measure.wait_until(all_exist, f"{CHILDREN} children")
    return time.monotonic()


def existing_threads() -> int:
    """Return how many threads the machine has (man 5 proc_loadavg)."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def processor_percent(pids: Sequence[int]) -> float:
    before = measure.cpu_seconds(pids)
    time.sleep(IDLE_SECONDS)
    return (measure.cpu_seconds(pids) - before) / IDLE_SECONDS * 100


def wait_until_gone(pids: Sequence[int]) -> None:
    remaining = list(pids)

    def all_gone() -> bool:
        while remaining and not measure.is_alive(remaining[-1]):
            remaining.pop()
        return not remaining

    measure.wait_until(all_gone, "every process to end")


if __name__ == "__main__":
    main()
