"""Compare how soon a dyno with a large slug runs, and one with a small slug."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import containers
import measure
from containers import Testbed
from measure import Reach, Sample, Sides

#: Bytes, and in how many files.
LARGE, SMALL = (500_000_000, 20_000), (1_000_000, 40)
FILES_IN_DIRECTORY = 100
#: The side that is compared is hsup with the large slug, its peer hsup with the small one.
SIDES = {measure.HSUP: LARGE, "small slug": SMALL}


def main() -> None:
    arguments = containers.argument_parser(__doc__, rounds=30).parse_args()
    reach = Reach(limit=1.2, of_peer="small slug")
    with containers.prepared(arguments) as testbed:
        program = testbed.compile_program()
        slugs = {side: make_slug(testbed, side, program, *size) for side, size in SIDES.items()}
        with ExitStack() as stack:
            starters = {
                side: stack.enter_context(containers.starter(testbed, slug))
                for side, slug in slugs.items()
            }
            dynos: Sides = {side: starter.start for side, starter in starters.items()}
            samples = measure.alternate(arguments.rounds, dynos, warm_up=True)
        title = "slug of 500 MB, start to first instruction"
        measure.print_row(title, "first", "ms", samples, reach)
        runs: Sides = {side: partial(timed_run, testbed, slug) for side, slug in slugs.items()}
        samples = measure.alternate(arguments.rounds, runs, warm_up=True)
        measure.print_row("slug of 500 MB, cold run of true", "run", "ms", samples, reach)


def make_slug(testbed: Testbed, name: str, program: Path, total_bytes: int, files: int) -> Path:
    """Make a slug of equal files and the program, and a control directory that releases it."""
    root = testbed.directory / f"{name}.root"
    content = bytes(total_bytes // files)
    for number in range(files):
        path = root / f"app/lib/{number // FILES_IN_DIRECTORY}/{number}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    shutil.copy(program, root / "app")
    slug = testbed.make_slug(name, root)
    shutil.rmtree(root)
    control = control_directory(slug)
    control.mkdir()
    process = {"Args": ["true"], "Quantity": 1, "Type": "web"}
    release = {"Version": 1, "Name": "bench", "Slug": str(slug), "Processes": [process]}
    (control / "new").write_text(json.dumps(release))
    return slug


def control_directory(slug: Path) -> Path:
    return slug.with_suffix(".control")


def timed_run(testbed: Testbed, slug: Path) -> Sample:
    argv = (testbed.hsup, "run", "-d", "libcontainer", "--source", "directory", "--", "true")
    variables = {**testbed.variables, "HSUP_CONTROL_DIR": str(control_directory(slug))}
    started = time.monotonic()
    subprocess.run(argv, env=variables, stdin=subprocess.DEVNULL, check=True)
    return {"run": (time.monotonic() - started) * 1000}


if __name__ == "__main__":
    main()
