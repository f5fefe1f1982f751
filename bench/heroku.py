"""Measure the Heroku source: how soon a new release runs, and what it costs to wait for one."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

from hsup_source_heroku.testing import App, PlatformApi

NOT_MODIFIED = 304

DYNOS = 50
CADENCE_SECONDS = 2.0
#: Polls come this often where their cost is measured, and for so long.
QUICK_CADENCE_SECONDS, QUICK_SECONDS = 0.1, 5.0
#: To look at all processes takes milliseconds, which hsup has not got then.
LOOK_SECONDS = 0.02

PLUGIN = "hsup_source_heroku"
LIGHT = {PLUGIN, f"{PLUGIN}.hooks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Testbed:
    """An application that hsup follows, and the directory where it keeps its state."""

    api: PlatformApi
    app: App
    directory: Path
    hsup: Path

    def variables(self, cadence_seconds: float) -> Sequence[str]:
        """Return hsup's environment, as words of env."""
        variables = {
            "HEROKU_API_URL": self.api.url,
            "HEROKU_ACCESS_TOKEN": self.api.token,
            "HSUP_HEROKU_CADENCE": str(cadence_seconds),
            "HSUP_HEROKU_DIR": str(self.directory / "heroku"),
            "no_proxy": "127.0.0.1",
        }
        return [f"{name}={value}" for name, value in variables.items()]

    @contextmanager
    def following(self, cadence_seconds: float) -> Iterator[subprocess.Popen[bytes]]:
        """Run hsup."""
        words = (str(self.hsup), "start", "-a", self.app.name)
        argv = ("env", *self.variables(cadence_seconds), *words)
        with measure.running(argv, self.directory, stdout=subprocess.DEVNULL) as process:
            yield process

    def release(self) -> str:
        """Release a program of its own; return its argument."""
        seconds = f"{random.randint(10**6, 10**7)}.{os.getpid()}"
        self.app.release(processes={"web": f"exec sleep {seconds}"})
        return seconds


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=10).parse_args()
    with TemporaryDirectory(prefix="hsup-bench-") as name, PlatformApi() as api:
        app = api.create_app("bench")
        testbed = Testbed(api=api, app=app, directory=Path(name), hsup=arguments.hsup)
        compare_releases(testbed, arguments.rounds)
        compare_polls(testbed, min(5, arguments.rounds))
        compare_imports(testbed, min(5, arguments.rounds))


def compare_releases(testbed: Testbed, rounds: int) -> None:
    testbed.app.scale(web=DYNOS)
    seconds = testbed.release()
    with testbed.following(CADENCE_SECONDS):
        measure.wait_until(partial(runs, seconds), "the first dynos", every_seconds=LOOK_SECONDS)
        samples = measure.alternate(rounds, {HSUP: partial(replace_all, testbed)})
    reach = Reach(limit=CADENCE_SECONDS)
    measure.print_row("until a release is seen", "seen", "s", samples, reach)
    longest = {side: [max(many, key=itemgetter("seen"))] for side, many in samples.items()}
    measure.print_row("the longest of these", "seen", "s", longest, reach)
    measure.print_row(f"until its {DYNOS} dynos run", "replaced", "s", samples, Reach(limit=1))


def replace_all(testbed: Testbed) -> Sample:
    """Release at any moment between two polls."""
    time.sleep(random.random() * CADENCE_SECONDS)
    before = len(testbed.api.requests)
    seconds = testbed.release()
    released = time.monotonic()
    measure.wait_until(partial(runs, seconds), "the dynos", every_seconds=LOOK_SECONDS)
    replaced = time.monotonic()
    asked = [one for one in testbed.api.requests[before:] if one.path.endswith("/releases")]
    seen = next(one.time for one in asked if one.status != NOT_MODIFIED)
    return {"seen": seen - released, "replaced": replaced - seen}


def runs(seconds: str) -> bool:
    """Tell whether there are all dynos of a program, and none of another."""
    wanted = f"sleep\0{seconds}\0".encode()
    ours = f".{os.getpid()}\0".encode()
    found = [line for line in map(measure.command_line, measure.all_pids()) if line.endswith(ours)]
    return len(found) == DYNOS and all(line == wanted for line in found)


def compare_polls(testbed: Testbed, rounds: int) -> None:
    testbed.app.scale(web=1)
    with testbed.following(QUICK_CADENCE_SECONDS) as process:
        polls = partial(polls_of, testbed)
        measure.wait_until(lambda: len(polls()) > 2, "polls")
        samples = measure.alternate(rounds, {HSUP: partial(cost_of_polls, process.pid, polls)})
    measure.print_row("an unchanged poll", "cpu", "ms", samples, Reach(limit=2))


def polls_of(testbed: Testbed) -> Sequence[object]:
    return [one for one in testbed.api.requests if one.status == NOT_MODIFIED]


def cost_of_polls(pid: int, polls: Callable[[], Sequence[object]]) -> Sample:
    polls_before, before = len(polls()), measure.cpu_seconds([pid])
    time.sleep(QUICK_SECONDS)
    spent = measure.cpu_seconds([pid]) - before
    return {"cpu": spent * 1000 / (len(polls()) - polls_before)}


def compare_imports(testbed: Testbed, rounds: int) -> None:
    """Look at `hsup run` of a Procfile, which has nothing to do with Heroku."""
    (testbed.directory / "Procfile").write_text("web: true\n")
    samples = measure.alternate(rounds, {HSUP: partial(imported, testbed)})
    measure.print_row("the plugin in hsup run", "ms", "ms", samples, Reach(limit=1))
    measure.print_row("its modules besides hooks", "modules", "", samples, Reach(limit=0))


def imported(testbed: Testbed) -> Sample:
    python = testbed.hsup.parent / "python"
    argv = (str(python), "-X", "importtime", str(testbed.hsup), "run", "--", "true")
    ended = subprocess.run(
        argv, cwd=testbed.directory, env=measure.environment(), capture_output=True, check=True
    )
    lines = [line.split("|") for line in ended.stderr.decode().splitlines() if PLUGIN in line]
    times = {name.strip(): int(own.rpartition(":")[2]) for own, _, name in lines}
    return {"ms": sum(times.values()) / 1000, "modules": len(times.keys() - LIGHT)}


if __name__ == "__main__":
    main()
