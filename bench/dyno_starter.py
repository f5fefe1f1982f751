"""Start a dyno with the libcontainer driver for every line of the standard input.

Run by the Python that hsup is installed for, with the path of a slug that has
`first_instruction.c` in it as `first`. Each answer is a line of JSON with the
milliseconds from the call of the driver: `first`, until that program began, and
`started`, until the call returned.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import NamedTuple

from containers import began_at

from hsup import launch
from hsup.api import Settings
from hsup.model import Command, DynoName, DynoSpec, Release, Slug
from hsup_driver_libcontainer.driver import LibcontainerDriver

PORT = 5000
#: What a supervisor's loop does most of the time; the driver gets ready for the next dyno.
IDLE_SECONDS = 0.2


class Output(NamedTuple):
    """Where a dyno writes: descriptors."""

    stdout: int
    stderr: int


async def start(driver: LibcontainerDriver, spec: DynoSpec) -> dict[str, float]:
    """Start a dyno, and return when nothing is left of it."""
    reading, writing = os.pipe()
    asked = time.monotonic()
    dyno = await driver.start(spec, Output(stdout=writing, stderr=2))
    started = time.monotonic()
    os.close(writing)
    await dyno.wait()
    await dyno.destroy()
    first = began_at(os.read(reading, 4096))
    os.close(reading)
    await asyncio.sleep(IDLE_SECONDS)
    return {"first": (first - asked) * 1000, "started": (started - asked) * 1000}


def main() -> None:
    driver = LibcontainerDriver(Settings(folder="/", environ=dict(os.environ)))
    release = Release(app="bench", version=1, slug=Slug(location=sys.argv[1]))
    command = Command(words=("/app/first",))
    spec = launch.dyno_spec(release, DynoName(type="web", number=1), command, port=PORT)
    driver.build(release)
    try:
        with asyncio.Runner() as runner:
            for _ in sys.stdin:
                print(json.dumps(runner.run(start(driver, spec))), flush=True)
    finally:
        driver.close()


if __name__ == "__main__":
    main()
