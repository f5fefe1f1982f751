"""Compare how 200 dynos of `sleep` come up and go, and 200 containers of runc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import containers
import measure
from containers import RUNC, Testbed
from measure import HSUP, Reach, Sample

DYNOS = 200
SETTLE_SECONDS = 2.0
#: Between two looks at all processes, so that the looking takes little of a processor.
LOOK_SECONDS = 0.01


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=3).parse_args()
    with containers.prepared(arguments) as testbed:
        # an argument that tells these from any other sleep of the machine
        sleep = ("/bin/sleep", f"1000000.{os.getpid()}")
        measure.write_control_directory(testbed.directory / "control", sleep)
        sides: dict[str, Callable[[], Sample]] = {HSUP: partial(measure_dynos, testbed, sleep)}
        if measure.installed(RUNC, "apt-get install -y runc"):
            testbed.make_bundle("bundle", sleep, testbed.directory)
            sides[RUNC] = partial(measure_containers, testbed, sleep)
        samples = measure.alternate(arguments.rounds, sides)
    measure.print_row(f"{DYNOS} up", "up", "s", samples, Reach(limit=3))
    measure.print_row(f"{DYNOS} programs ended", "ended", "s", samples, Reach(limit=1))
    own = {HSUP: samples[HSUP]}
    measure.print_row("nothing left of them", "down", "s", own, Reach(limit=1))
    measure.print_row("PSS per dyno, of hsup too", "pss", "MiB", own, Reach(limit=1))
    measure.print_row("PSS per dyno, without hsup", "first", "MiB", own, Reach(limit=1))


def measure_dynos(testbed: Testbed, sleep: Sequence[str]) -> Sample:
    start = ("start", "-d", "libcontainer", "--source", "directory", f"w={DYNOS}")
    variables = {**testbed.variables, "HSUP_CONTROL_DIR": str(testbed.directory / "control")}
    settings = (f"{name}={value}" for name, value in variables.items())
    started = time.monotonic()
    with measure.running(
        ("env", *settings, str(testbed.hsup), *start), stdout=subprocess.DEVNULL
    ) as process:
        programs = wait_until_up(sleep)
        up_seconds = time.monotonic() - started
        time.sleep(SETTLE_SECONDS)
        family = {process.pid, *measure.descendants(process.pid)} - programs
        pss_mib = measure.pss_mib(family)
        own_mib = measure.pss_mib([process.pid])
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        wait_until_gone(programs)
        ended_seconds = time.monotonic() - started
        process.wait()
        down_seconds = time.monotonic() - started
    return {
        "up": up_seconds,
        "ended": ended_seconds,
        "down": down_seconds,
        "pss": pss_mib / DYNOS,
        "first": (pss_mib - own_mib) / DYNOS,
    }


def measure_containers(testbed: Testbed, sleep: Sequence[str]) -> Sample:
    """Start containers with as many runc at a time as there are processors."""
    names = [f"{testbed.directory.name}-{number}" for number in range(DYNOS)]
    bundle = str(testbed.directory / "bundle")
    started = time.monotonic()
    try:
        call_all([testbed.runc("run", "--detach", "--bundle", bundle, name) for name in names])
        programs = wait_until_up(sleep)
        up_seconds = time.monotonic() - started
        time.sleep(SETTLE_SECONDS)
    finally:
        started = time.monotonic()
        call_all([testbed.runc("delete", "--force", name) for name in names])
    wait_until_gone(programs)
    return {"up": up_seconds, "ended": time.monotonic() - started}


def call_all(calls: Sequence[Sequence[str]]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(call, calls):
            pass


def call(argv: Sequence[str]) -> None:
    null = subprocess.DEVNULL
    subprocess.run(argv, stdin=null, stdout=null, check=True)


def wait_until_up(program: Sequence[str]) -> set[int]:
    """Return the processes, once as many as there are dynos have executed the program."""
    argv = b"".join(word.encode() + b"\0" for word in program)
    found: set[int] = set()

    def all_run() -> bool:
        time.sleep(LOOK_SECONDS)
        found.update(pid for pid in measure.all_pids() - found if measure.command_line(pid) == argv)
        return len(found) >= DYNOS

    measure.wait_until(all_run, f"{DYNOS} dynos")
    return found


def wait_until_gone(pids: set[int]) -> None:
    measure.wait_until(lambda: not any(map(measure.is_alive, pids)), "every program to end")


if __name__ == "__main__":
    main()
