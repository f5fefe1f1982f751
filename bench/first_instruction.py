"""Compare how soon a program runs in a dyno of a running hsup, and in a container of runc."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import containers
import measure
from containers import RUNC, Testbed
from measure import HSUP, Reach, Sample


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=50).parse_args()
    with containers.prepared(arguments) as testbed, ExitStack() as stack:
        program = testbed.compile_program()
        slug = testbed.make_slug("slug", program.parent.parent)
        starter = stack.enter_context(containers.starter(testbed, slug))
        sides: dict[str, Callable[[], Sample]] = {HSUP: starter.start}
        if measure.installed(RUNC, "apt-get install -y runc"):
            testbed.make_bundle("bundle", ("/mnt/first",), program.parent)
            sides[RUNC] = partial(start_container, testbed)
        samples = measure.alternate(arguments.rounds, sides, warm_up=True)
    own = {HSUP: samples[HSUP]}
    for name, title in (("first", "first instruction"), ("next", "the same, right after another")):
        measure.print_row(title, name, "ms", samples, Reach(limit=0.5, of_peer=RUNC))
        measure.print_row(title, name, "ms", own, Reach(limit=10))


def start_container(testbed: Testbed) -> Sample:
    argv = testbed.runc(
        "run", "--bundle", str(testbed.directory / "bundle"), testbed.directory.name
    )
    started = time.monotonic()
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    milliseconds = (containers.began_at(ended.stdout) - started) * 1000
    return {"first": milliseconds, "next": milliseconds}


if __name__ == "__main__":
    main()
