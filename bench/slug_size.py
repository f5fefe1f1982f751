"""Compare how soon a dyno of a large slug runs, and one of a small slug."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import containers
import measure
from containers import Ground, Starter
from measure import HSUP, Reach, Sample, Sides

#: Of the slug that is compared with the small one, the side called hsup.
LARGE_BYTES, LARGE_FILES = 500_000_000, 20_000
SMALL_BYTES, SMALL_FILES = 1_000_000, 40
FILES_IN_FOLDER = 100
SMALL = "small"


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=30).parse_args()
    with containers.prepared(arguments) as ground, ExitStack() as stack:
        program = ground.compile_program()
        slugs = {
            HSUP: make_slug(ground, HSUP, program, LARGE_BYTES, LARGE_FILES),
            SMALL: make_slug(ground, SMALL, program, SMALL_BYTES, SMALL_FILES),
        }
        starters = {
            side: stack.enter_context(containers.starter(ground, slug))
            for side, slug in slugs.items()
        }
        warm: Sides = {side: one.start for side, one in starters.items()}
        started = measure.alternate(arguments.rounds, warm, warm_up=True)
        cold: Sides = {side: partial(run, ground, side) for side in slugs}
        for side, slug in slugs.items():
            (ground.folder / f"{side}.control").mkdir()
            write_release(ground.folder / f"{side}.control", slug)
        ran = measure.alternate(arguments.rounds, cold, warm_up=True)
    reach = Reach(limit=1.2, of_peer=SMALL)
    size = f"a slug of {LARGE_BYTES // 10**6} MB"
    measure.print_row(f"{size}, dyno of a running hsup", "first", "ms", started, reach)
    measure.print_row(f"{size}, cold run of true", "run", "ms", ran, reach)
