"""Several hsups share one store, and one that is killed leaves it usable."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from hsup.model import Slug
from hsup.slugs import SlugStore
from tests.archives.server import Server

UNPACKS = """
import sys
from hsup.api import Settings
from hsup.model import Slug
from hsup.slugs import SlugStore
store = SlugStore(Settings(directory="/", environ={"HSUP_SLUGS_DIR": sys.argv[1]}))
with store.unpack(Slug(location=sys.argv[2])) as unpacked:
    print(unpacked.directory)
"""

PROCESSES = 8

KILLS = 25

UNPACK_SECONDS = 0.1

#: As the above, and goes on for ever when it has unpacked half of it.
UNPACKS_HALF = f"""
import time
import hsup.slugs.intake as intake
unpack = intake.unpack
def unpack_and_wait(*arguments, **options):
    unpack(*arguments, **options)
    time.sleep(600)
intake.unpack = unpack_and_wait
{UNPACKS}"""


def start(store: SlugStore, location: str, code: str = UNPACKS) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, store.directory, location]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def many_files(build: ModuleType) -> bytes:
    """Return an archive that takes about UNPACK_SECONDS to unpack."""
    return build.tar(*(build.member(f"app/{n % 7}/{n}", b"x" * n) for n in range(800)))


@pytest.mark.parametrize("is_remote", [False, True])
def test_eight_at_once_download_and_unpack_once(
    is_remote: bool, store: SlugStore, server: Server, many_files: bytes, tmp_path: Path
) -> None:
    server.content = many_files
    (tmp_path / "slug.tar").write_bytes(many_files)
    location = f"{server.origin}/slug.tar" if is_remote else str(tmp_path / "slug.tar")
    running = [start(store, location) for _ in range(PROCESSES)]
    told = [one.communicate() for one in running]
    waiting = "waiting for another hsup to fetch or unpack the same slug"
    assert {line for _, error in told for line in error.splitlines()} <= {waiting}
    assert len({directory for directory, _ in told}) == 1
    full = [headers for _, headers in server.requests if "If-None-Match" not in headers]
    assert len(full) == (1 if is_remote else 0)
    assert os.listdir(Path(store.directory) / "work") == []


def test_kills_at_random_moments_leave_no_half_slug(
    store: SlugStore, many_files: bytes, tmp_path: Path, left_over: Callable[[], list[str]]
) -> None:
    archive = tmp_path / "slug.tar"
    unpacked = Path(store.directory) / "unpacked"
    chance = random.Random(KILLS)
    left = 0
    for number in range(KILLS):
        # Another content each time, so that there is something to do.
        archive.write_bytes(many_files + bytes(number))
        process = start(store, str(archive))
        before = left_over()
        wait_until(lambda: left_over() != before or process.poll() is not None)  # noqa: B023
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, UNPACK_SECONDS))
        process.kill()
        process.communicate()
        left += bool(left_over())
        assert all(len(list(one.rglob("app/*/*"))) == 800 for one in unpacked.iterdir())
    assert left, "no kill came while there was something half done"
    store.unpack(Slug(location=str(archive))).close()
    archive.write_bytes(many_files + bytes(KILLS))
    store.unpack(Slug(location=str(archive))).close()
    assert left_over() == []


def test_a_download_that_was_killed_goes_on(
    store: SlugStore, server: Server, build: ModuleType
) -> None:
    server.content = build.slug(os.urandom(3_000_000))
    server.stalls_after = 1_000_000
    location = f"{server.origin}/slug.tgz"
    process = start(store, location)
    wait_until(lambda: received(store) >= 700_000)
    process.kill()
    process.communicate()
    server.stalled.set()
    server.stalls_after = None
    store.unpack(Slug(location=location)).close()
    rest = server.requests[-1][1]["Range"]
    assert int(rest.removeprefix("bytes=").removesuffix("-")) >= 700_000


def received(store: SlugStore) -> int:
    return sum(path.stat().st_size for path in Path(store.directory).glob("work/fetch-*/archive"))


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to be"
        time.sleep(0.005)


def test_the_half_of_a_slug_is_swept(
    store: SlugStore, many_files: bytes, tmp_path: Path, left_over: Callable[[], list[str]]
) -> None:
    (tmp_path / "slug.tar").write_bytes(many_files)
    assert store.sweep() == []
    process = start(store, str(tmp_path / "slug.tar"), UNPACKS_HALF)
    wait_until(lambda: any(Path(store.directory).glob("work/*/slug/app")))
    assert store.sweep() == []
    process.kill()
    process.communicate()
    assert [name.startswith("incomplete slug ") for name in store.sweep()] == [True]
    assert left_over() == []
