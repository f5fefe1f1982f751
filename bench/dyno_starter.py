"""Start two dynos with the libcontainer driver for every line of the standard input.

Run by the Python that hsup is installed for, with the path of a slug that has
`first_instruction.c` in it as `first`. Each answer is a line of JSON with the
milliseconds from the call of the driver until that program began: `first` for a
dyno that is asked for after a while, `next` for one that is asked for as soon as
that call has returned, when the driver has had no time to get ready for another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import NamedTuple

from containers import began_at

from hsup.api import RunningDyno, Settings
from hsup.model import Command, DynoName, DynoSpec, Release, Slug
from hsup.supervision.dyno_spec import dyno_spec
from hsup_driver_libcontainer.driver import LibcontainerDriver

PORT = 5000
#: What a supervisor's loop does most of the time; the driver gets ready for the next dyno.
IDLE_SECONDS = 0.2


class Output(NamedTuple):
    """Where a dyno writes: descriptors."""

    stdout: int
    stderr: int


class StartedDyno(NamedTuple):
    """A dyno, when it was asked for, and a descriptor to read what it writes."""

    dyno: RunningDyno
    at: float
    output: int


async def start_two(driver: LibcontainerDriver, spec: DynoSpec) -> dict[str, float]:
    """Start two dynos, and return when nothing is left of them."""
    first, second = await start(driver, spec), await start(driver, spec)
    answer = {"first": await end(first), "next": await end(second)}
    await asyncio.sleep(IDLE_SECONDS)
    return answer


async def start(driver: LibcontainerDriver, spec: DynoSpec) -> StartedDyno:
    reading, writing = os.pipe()
    at = time.monotonic()
    dyno = await driver.start(spec, Output(stdout=writing, stderr=2))
    os.close(writing)
    return StartedDyno(dyno, at, reading)


async def end(asked: StartedDyno) -> float:
    """Return after how many milliseconds the program of a dyno began, which has gone."""
    await asked.dyno.wait()
    await asked.dyno.destroy()
    began = began_at(os.read(asked.output, 4096))
    os.close(asked.output)
    return (began - asked.at) * 1000


async def close(driver: LibcontainerDriver) -> None:
    """Close the driver from its loop, as hsup does."""
    driver.close()


def main() -> None:
    driver = LibcontainerDriver(Settings(directory="/", environ=dict(os.environ)))
    release = Release(app="bench", version=1, slug=Slug(location=sys.argv[1]))
    command = Command(words=("/app/first",))
    spec = dyno_spec(release, DynoName(type="web", number=1), command, port=PORT)
    driver.build(release)
    with asyncio.Runner() as runner:
        try:
            for _ in sys.stdin:
                print(json.dumps(runner.run(start_two(driver, spec))), flush=True)
        finally:
            runner.run(close(driver))


if __name__ == "__main__":
    main()
