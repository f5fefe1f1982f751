"""Whole transcripts, compared to the byte: one for each scenario and format.

They come from a supervisor with a driver and a source in memory, through the router and the
formatters that hsup has. `HSUP_GOLDEN=write` writes what comes instead of comparing it: then read
the difference.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, NamedTuple

import pytest

from hsup.api import Fetched
from hsup.archives.errors import ChecksumError
from hsup.errors import DynoStartError
from hsup.events import ReleaseRejected
from hsup.model import Release, Slug
from hsup.output.formats import formatter
from hsup.output.logs import LogRouter
from hsup.output.printer import UnmixedLines
from hsup.supervision.policy import CrashPolicy
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource, make_release
from tests.supervision.supervised import Supervise, end

GOLDEN = Path(__file__).parent.parent / "output" / "golden"
# 2026-01-02T15:04:05.123456789 UTC
MOMENT = 1_767_366_245_123_456_789
ONE_MILLISECOND = 1_000_000

#: Every start and restart is immediate.
AT_ONCE = CrashPolicy(base_seconds=0)
SHA = {one: one * 64 for one in "ab"}


class Stage(NamedTuple):
    """What a scenario takes place in."""

    supervise: Supervise
    source: MemorySource
    driver: MemoryDriver
    told: EventRecorder
    sink: MemorySink

    def give(self, release: Release) -> Release:
        """Have the source give a release."""
        self.source.give(Fetched(release=release))
        return release


@pytest.fixture
def router(sink: MemorySink) -> LogRouter:
    """Return a router in whose time each batch comes a millisecond after the one before."""
    return LogRouter([sink], now=itertools.count(MOMENT, ONE_MILLISECOND).__next__)


@pytest.fixture
def stage(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> Stage:
    return Stage(supervise, source, driver, told, sink)


async def start(stage: Stage) -> None:
    stage.source.release(version=3, web=1, worker=1)
    supervisor, running = stage.supervise()
    for name in ("web.1", "worker.1"):
        await stage.told.state(name, "up")
    await writes(stage, "web.1", b"listening on 5000\n")
    await writes(stage, "worker.1", b'caf\xe9 \x1b[1m"quoted"\x1b[0m \\ \xef\xbf\xbf\r\n')
    await end(supervisor, running)


async def crash(stage: Stage) -> None:
    stage.source.release(web=1)
    supervisor, running = stage.supervise(policy=AT_ONCE)
    (await stage.driver.dyno("web.1")).end(3)
    (await stage.driver.dyno("web.1", 2)).end(number=SIGKILL)
    await stage.driver.dyno("web.1", 3)
    await stage.told.state("web.1", "up", times=3)
    await end(supervisor, running)


async def restart(stage: Stage) -> None:
    """Change config vars, and then the code."""
    config = {"B": "1", "SECRET": "old"}
    first = make_release(version=1, web=1, config=config)
    stage.give(first._replace(metadata={"HEROKU_SLUG_COMMIT": "0" * 40}))
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    config = {"SECRET": "new", "A": "2"}
    second = first._replace(version=2, config=config, metadata={"HEROKU_SLUG_COMMIT": "0" * 40})
    stage.give(second)
    await stage.told.state("web.1", "up", times=2)
    commit = "1a2b3c4d5e6f708192a3b4c5d6e7f80910111213"
    slug = Slug("/srv/shop.tgz", checksum=f"SHA256:{SHA['a']}")
    stage.give(second._replace(version=3, slug=slug, metadata={"HEROKU_SLUG_COMMIT": commit}))
    await stage.told.state("web.1", "up", times=3)
    await end(supervisor, running)


async def scale(stage: Stage) -> None:
    """Scale up and down without a new version; then make a new version that also scales."""
    first = stage.give(sized(make_release(web=1, worker=0), {"web": "standard-1x"}))
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    sizes = {"web": "standard-1x", "worker": "performance-l-ram"}
    stage.give(sized(first.scaled_like(make_release(web=2, worker=1)), sizes))
    for name in ("web.2", "worker.1"):
        await stage.told.state(name, "up")
    stage.give(sized(first.scaled_like(make_release(web=1, worker=1)), sizes))
    await stage.told.state("web.2", "stopped")
    stage.source.release(version=2, command="serve better", web=1, clock=1)
    await stage.told.state("clock.1", "up")
    await stage.told.state("worker.1", "stopped")
    await stage.told.state("web.1", "up", times=2)
    await end(supervisor, running)


async def release_phase(stage: Stage) -> None:
    stage.driver.statuses = {"release": 0}
    stage.source.release(version=4, web=1, release=1)
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    await end(supervisor, running)


async def failed_release_phase(stage: Stage) -> None:
    stage.source.release(version=3, web=1)
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    stage.driver.statuses = {"release": 1}
    stage.source.release(version=4, config={"A": "1"}, web=1, release=1)
    await stage.told.until(lambda one: one.of(ReleaseRejected))
    await end(supervisor, running)


async def kill(stage: Stage) -> None:
    stage.driver.obeys = False
    stage.source.release(web=1)
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    dyno = await stage.driver.dyno("web.1")
    supervisor.stop(SIGTERM)
    await stage.sink.until(lambda one: "Stopping all processes with SIGTERM" in one.said())
    dyno.leaves_processes = True
    dyno.end(number=SIGKILL)
    await running


async def out_of_memory(stage: Stage) -> None:
    stage.source.release(web=1)
    supervisor, running = stage.supervise(policy=AT_ONCE)
    (await stage.driver.dyno("web.1")).end(number=SIGKILL, out_of_memory=True)
    await stage.told.state("web.1", "up", times=2)
    await end(supervisor, running)


async def checksum(stage: Stage) -> None:
    stage.source.release(version=1, web=1)
    supervisor, running = stage.supervise()
    await stage.told.state("web.1", "up")
    hint = "release the slug again"
    stage.driver.build_failures = [ChecksumError(SHA["a"], SHA["b"], hint=hint)]
    stage.source.release(version=2, command="serve better", web=1)
    await stage.told.until(lambda one: one.of(ReleaseRejected))
    await end(supervisor, running)


async def not_launched(stage: Stage) -> None:
    """Fail to launch a dyno; then lack its command, for which the platform is not at fault."""
    stage.driver.failures = [
        DynoStartError("cannot mount /proc: Operation not permitted"),
        DynoStartError('cannot find "serve"', exit_code=127),
    ]
    stage.source.release(web=1)
    supervisor, running = stage.supervise(policy=AT_ONCE)
    await stage.told.state("web.1", "up")
    await end(supervisor, running)


SCENARIOS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    start,
    crash,
    restart,
    scale,
    release_phase,
    failed_release_phase,
    kill,
    out_of_memory,
    checksum,
    not_launched,
)
FORMATS = ("heroku", "plain", "json")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
async def test_what_hsup_prints_is_what_it_printed_before_to_the_byte(
    scenario: Callable[[Stage], Awaitable[None]], stage: Stage
) -> None:
    await scenario(stage)
    for name in FORMATS:
        path = GOLDEN / f"{scenario.__name__}.{name}.txt"
        text = transcript(stage.sink, name)
        if os.environ.get("HSUP_GOLDEN") == "write":
            path.write_bytes(text)
        assert text == path.read_bytes(), path


def test_every_transcript_is_compared() -> None:
    names = {f"{one.__name__}.{name}.txt" for one in SCENARIOS for name in FORMATS}
    assert {path.name for path in GOLDEN.iterdir()} == names


async def writes(stage: Stage, name: str, data: bytes) -> None:
    """Have a dyno write something, and wait until it is read."""
    (await stage.driver.dyno(name)).write(data)
    await stage.sink.until(lambda one: data in one.written(dyno=name))


def sized(release: Release, sizes: Mapping[str, str]) -> Release:
    """Return a release with the sizes of some process types."""
    types = (one._replace(size=sizes.get(one.name)) for one in release.processes)
    return release._replace(processes=tuple(types))


def transcript(sink: MemorySink, name: str) -> bytes:
    """Return what is printed in a format; a release phase has always the same number."""
    form: UnmixedLines[Any] = UnmixedLines(formatter(name, coloured=False))
    printed = b"".join(map(form, sink.batches))
    return re.sub(rb"\brelease\.\d{4}\b", b"release.9768", printed)
