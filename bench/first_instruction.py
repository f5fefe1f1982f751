"""Compare how soon a program runs in a dyno of a running hsup, and in a container of runc."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from functools import partial

import containers
import measure
from containers import RUNC, Ground, Starter
from measure import HSUP, Reach, Sample


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=50).parse_args()
    with containers.prepared(arguments) as ground, ExitStack() as stack:
        program = ground.compile_program()
        slug = ground.make_slug("slug", program.parent.parent)
        starter = stack.enter_context(containers.starter(ground, slug))
        sides = {HSUP: partial(start_dyno, starter)}
        if measure.installed(RUNC, "apt-get install -y runc"):
            ground.make_bundle("bundle", ("/mnt/first",), program.parent)
            sides[RUNC] = partial(start_container, ground)
        samples = measure.alternate(arguments.rounds, sides, warm_up=True)
    title = "start to first instruction"
    measure.print_row(title, "first", "ms", samples, Reach(limit=0.5, of_peer=RUNC))
    own = {HSUP: samples[HSUP]}
    measure.print_row(title, "first", "ms", own, Reach(limit=10))


def start_dyno(starter: Starter) -> Sample:
    return starter.start()


def start_container(ground: Ground) -> Sample:
    argv = ground.runc("run", "--bundle", str(ground.folder / "bundle"), ground.folder.name)
    started = time.monotonic()
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return {"first": (containers.began_at(ended.stdout) - started) * 1000}


if __name__ == "__main__":
    main()
