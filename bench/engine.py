"""Compare hsup with the docker driver, and the command line of Docker, on one engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import relay
from cold_run import docker_answers, imported_image
from containers import DOCKER, argument_parser
from measure import HSUP, Reach, Sample, Sides

DYNOS = 20
ROUNDS_OF_MANY = 5
#: To look at all processes takes milliseconds, which the engine has not got then.
LOOK_SECONDS = 0.02
RELAYED_LINES = 1_000_000
#: An argument that tells these from any other sleep of the machine.
SLEEP = ("/bin/sleep", f"1000000.{os.getpid()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Testbed:
    """A directory in which hsup keeps its state, and an application."""

    directory: Path
    hsup: Path
    stack: str

    @property
    def app(self) -> Path:
        """Return the directory of the application, which is its slug."""
        return self.directory / self.directory.name

    @property
    def variables(self) -> dict[str, str]:
        """Return hsup's environment."""
        own = {
            "HSUP_DOCKER_DIR": str(self.directory / "docker"),
            "HSUP_SLUGS_DIR": str(self.directory),
        }
        return {**measure.environment(), **own, "DOCKER_STACKS": f"heroku-24={self.stack}"}

    def call(self, *words: str) -> None:
        """Run hsup to its end."""
        self.run((str(self.hsup), words[0], "-d", "docker", *words[1:]))

    def run(self, argv: Sequence[str]) -> None:
        """Run a program to its end."""
        subprocess.run(
            argv,
            cwd=self.app,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def main() -> None:
    arguments = argument_parser(__doc__, rounds=20).parse_args()
    if os.geteuid():
        sys.exit("only root sees when the programs of containers have started")
    if not docker_answers():
        return
    with (
        imported_image(arguments.stack, f"hsup-bench-{os.getpid()}") as stack,
        built(arguments.hsup, stack) as (testbed, image),
    ):
        compare_runs(testbed, image, arguments.rounds)
        compare_many(testbed, image, min(ROUNDS_OF_MANY, arguments.rounds))
        compare_relays(testbed, image, min(ROUNDS_OF_MANY, arguments.rounds))


@contextmanager
def built(hsup: Path, stack: str) -> Iterator[tuple[Testbed, str]]:
    """Have hsup build an image of a directory with a Procfile; remove it afterwards."""
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        testbed = Testbed(directory=Path(name), hsup=hsup, stack=stack)
        testbed.app.mkdir()
        (testbed.app / "Procfile").write_text(f"web: exec {' '.join(SLEEP)}\n")
        testbed.call("build")
        (image,) = images_of(testbed)
        try:
            yield testbed, image
        finally:
            output_of(DOCKER, "rmi", *images_of(testbed))


def images_of(testbed: Testbed) -> list[str]:
    label = f"label=hsup.image.app={testbed.directory.name}"
    return output_of(DOCKER, "images", "--quiet", "--filter", label).split()


def compare_runs(testbed: Testbed, image: str, rounds: int) -> None:
    sides: Sides = {
        HSUP: partial(run_with_hsup, testbed),
        DOCKER: partial(timed, "run", partial(testbed.run, (DOCKER, "run", "--rm", image, "true"))),
    }
    samples = measure.alternate(rounds, sides, warm_up=True)
    measure.print_row("run of true", "run", "ms", samples, Reach(limit=1.15, of_peer=DOCKER))
    sides = {HSUP: partial(timed, "build", partial(testbed.call, "build"))}
    samples = measure.alternate(rounds, sides)
    measure.print_row("a second build", "build", "ms", samples, Reach(limit=100))


def run_with_hsup(testbed: Testbed) -> Sample:
    """Run, and let the engine remove the container before it is measured with the other side."""
    sample = timed("run", partial(testbed.call, "run", "--", "true"))
    label = f"label=hsup.app={testbed.directory.name}"
    left = partial(output_of, DOCKER, "ps", "--all", "--quiet", "--filter", label)
    measure.wait_until(lambda: not left(), "the removal", every_seconds=LOOK_SECONDS)
    return sample


def timed(what: str, work: Callable[[], None]) -> Sample:
    started = time.monotonic()
    work()
    return {what: (time.monotonic() - started) * 1000}


def compare_many(testbed: Testbed, image: str, rounds: int) -> None:
    sides: Sides = {
        HSUP: partial(up_with_hsup, testbed),
        DOCKER: partial(up_with_docker, image),
    }
    samples = measure.alternate(rounds, sides)
    measure.print_row(f"{DYNOS} up", "up", "s", samples, Reach(limit=1, of_peer=DOCKER))


def up_with_hsup(testbed: Testbed) -> Sample:
    start = (str(testbed.hsup), "start", "-d", "docker", f"web={DYNOS}")
    settings = (f"{name}={value}" for name, value in testbed.variables.items())
    started = time.monotonic()
    with measure.running(
        ("env", *settings, *start), testbed.app, stdout=subprocess.DEVNULL
    ) as process:
        wait_until_up()
        up_seconds = time.monotonic() - started
        process.send_signal(signal.SIGTERM)
        process.wait()
    return {"up": up_seconds}


def up_with_docker(image: str) -> Sample:
    """Start as many at a time as there are, each with its port published as a dyno's is."""
    run = (DOCKER, "run", "--detach", "--init", "--publish", "127.0.0.1::5000", image, *SLEEP)
    started = time.monotonic()
    with ThreadPoolExecutor(DYNOS) as pool:
        containers = pool.map(lambda _: output_of(*run).strip(), range(DYNOS))
        wait_until_up()
        up_seconds = time.monotonic() - started
    output_of(DOCKER, "rm", "--force", *containers)
    return {"up": up_seconds}


def wait_until_up() -> None:
    """Return when all programs have been executed; whoever started them has them as arguments."""
    wanted = "\0".join((*SLEEP, "")).encode()

    def count() -> int:
        return sum(measure.command_line(pid) == wanted for pid in measure.all_pids())

    measure.wait_until(lambda: count() == DYNOS, f"{DYNOS} programs", every_seconds=LOOK_SECONDS)


def compare_relays(testbed: Testbed, image: str, rounds: int) -> None:
    writer = relay.BULK_WRITER.format(line=relay.LINE, lines=RELAYED_LINES)
    child = ("python3", "-SI", "-c", writer)
    sides: Sides = {
        HSUP: partial(relay_with_hsup, testbed, child),
        f"{DOCKER} logs": partial(relay_with_docker, image, child),
    }
    samples = measure.alternate(rounds, sides)
    reach = Reach(limit=1, of_peer=f"{DOCKER} logs", at_least=True)
    measure.print_row("relay", "rate", "MB/s", samples, reach)
    measure.print_row("lines lost or broken", "lost", "lines", samples, Reach(limit=0))


def relay_with_hsup(testbed: Testbed, child: Sequence[str]) -> Sample:
    control = testbed.directory / "control"
    control.mkdir(exist_ok=True)
    processes = [{"Args": list(child), "Quantity": 1, "Type": "w"}]
    release = {"Version": 1, "Name": testbed.directory.name, "Processes": processes}
    (control / "new").write_text(json.dumps(release))
    variables = {**testbed.variables, "HSUP_CONTROL_DIR": str(control)}
    settings = (f"{name}={value}" for name, value in variables.items())
    start = ("start", "--oneshot", "-d", "docker", "--source", "directory")
    return relay.relay(("env", *settings, str(testbed.hsup), *start), RELAYED_LINES)


def relay_with_docker(image: str, child: Sequence[str]) -> Sample:
    container = output_of(DOCKER, "run", "--detach", image, *child).strip()
    try:
        return relay.relay((DOCKER, "logs", "--follow", container), RELAYED_LINES)
    finally:
        output_of(DOCKER, "rm", "--force", container)


def output_of(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
