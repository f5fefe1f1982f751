"""Compare how long `hsup run -d libcontainer` and `docker run` take around `true`."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import containers
import measure
from containers import DOCKER, Testbed
from measure import HSUP, Reach, Sample

PROCFILE = "web: sleep 1000000\n"


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=20).parse_args()
    with containers.prepared(arguments) as testbed, ExitStack() as stack:
        (testbed.directory / "Procfile").write_text(PROCFILE)
        run = (str(testbed.hsup), "run", "-d", "libcontainer", "--", "true")
        sides: dict[str, Callable[[], Sample]] = {HSUP: partial(timed_run, run, testbed)}
        if docker_answers():
            image = stack.enter_context(imported_image(testbed.stack, f"hsup-bench-{os.getpid()}"))
            docker = (DOCKER, "run", "--rm", image, "true")
            sides[DOCKER] = partial(timed_run, docker, testbed)
        samples = measure.alternate(arguments.rounds, sides, warm_up=True)
    measure.print_row("cold run of true", "run", "ms", samples, Reach(limit=0.45, of_peer=DOCKER))


def docker_answers() -> bool:
    """Tell whether there is a daemon; say so where there is none."""
    if not measure.installed(DOCKER, "apt-get install -y docker.io"):
        return False
    answers = subprocess.run((DOCKER, "info"), capture_output=True, check=False).returncode == 0
    if not answers:
        print("skipped: docker does not answer (start dockerd)")
    return answers


@contextmanager
def imported_image(stack: Path, name: str) -> Iterator[str]:
    """Make an image of the stack, and remove it."""
    packing = subprocess.Popen(("tar", "-C", stack, "-c", "."), stdout=subprocess.PIPE)
    subprocess.run(
        (DOCKER, "import", "-", name), stdin=packing.stdout, stdout=subprocess.DEVNULL, check=True
    )
    packing.wait()
    try:
        yield name
    finally:
        subprocess.run((DOCKER, "image", "rm", name), stdout=subprocess.DEVNULL, check=True)


def timed_run(argv: Sequence[str], testbed: Testbed) -> Sample:
    started = time.monotonic()
    subprocess.run(
        argv, cwd=testbed.directory, env=testbed.variables, stdin=subprocess.DEVNULL, check=True
    )
    return {"run": (time.monotonic() - started) * 1000}


if __name__ == "__main__":
    main()
