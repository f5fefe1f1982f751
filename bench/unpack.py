"""Compare how long hsup and `tar xzf` take to unpack a slug."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

TAR = "tar"
TOTAL_BYTES = 100_000_000
FILES_IN_DIRECTORY = 25
#: 100 MB in files of an ordinary size, and in as many as a large node_modules has.
FILE_COUNTS = (1_500, 23_000)

UNPACKS = """
import sys, time
from hsup.api import Settings
began = time.perf_counter()
from hsup.model import Slug
from hsup.slugs import SlugStore
store = SlugStore(Settings(directory="/", environ={"HSUP_SLUGS_DIR": sys.argv[1]}))
unpacked = store.unpack(Slug(location=sys.argv[2]))
print(time.perf_counter() - began, time.monotonic())
unpacked.close()
store.sync()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Both sides, on one archive; every round has a directory of its own."""

    python: Path
    archive: Path
    directory: Path
    rounds: count[int] = field(default_factory=count)

    def unpack_with_tar(self) -> Sample:
        directory = self._new_directory()
        began = time.monotonic()
        subprocess.run(["tar", "xzf", str(self.archive), "-C", str(directory)], check=True)
        unpacked = time.monotonic() - began
        subprocess.run(["sync", "--file-system", str(directory)], check=True)
        return {"seconds": unpacked, "synced": time.monotonic() - began}

    def unpack_with_hsup(self) -> Sample:
        command = self._command(self._new_directory())
        began = time.monotonic()
        ended = subprocess.run(command, check=True, capture_output=True)
        synced = time.monotonic() - began
        _, usable = map(float, ended.stdout.split())
        return {"seconds": usable - began, "synced": synced}

    def find_with_hsup(self) -> Sample:
        """Ask for a slug that is there; as in hsup, Python is running already."""
        store = self.directory / "kept"
        ended = subprocess.run(self._command(store), check=True, capture_output=True)
        return {"milliseconds": float(ended.stdout.split()[0]) * 1e3}

    def _command(self, store: Path) -> list[str]:
        return [str(self.python), "-c", UNPACKS, str(store), str(self.archive)]

    def _new_directory(self) -> Path:
        # Nothing is removed meanwhile: ext4 passes over inodes that were freed seconds ago
        # one by one (recently_deleted), which can take longer than all the rest.
        directory = self.directory / str(next(self.rounds))
        directory.mkdir()
        return directory


def main() -> None:
    parser = measure.argument_parser(__doc__, rounds=5)
    parser.add_argument("--directory", metavar="PATH", help="where to unpack, such as /dev/shm")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="hsup-bench-", dir=arguments.directory) as name:
        directories = {files: Path(name, str(files)) for files in FILE_COUNTS}
        archives = {
            files: make_archive(directory, files) for files, directory in directories.items()
        }
        for files, archive in archives.items():
            python = arguments.hsup.with_name("python")
            contest = Contest(python=python, archive=archive, directory=directories[files])
            report(contest, files, arguments.rounds)


def report(contest: Contest, files: int, rounds: int) -> None:
    sides = {HSUP: contest.unpack_with_hsup, TAR: contest.unpack_with_tar}
    samples = measure.alternate(rounds, sides, warm_up=True)
    size = contest.archive.stat().st_size / 1e6
    title = f"unpack {TOTAL_BYTES / 1e6:g} MB in {files} files, {size:.0f} MB packed"
    measure.print_row(title, "seconds", "s", samples, Reach(limit=1.3, of_peer=TAR))
    measure.print_row(
        "until it is on the disk", "synced", "s", samples, Reach(limit=1.3, of_peer=TAR)
    )
    there = measure.alternate(rounds, {HSUP: contest.find_with_hsup}, warm_up=True)
    measure.print_row("find it unpacked", "milliseconds", "ms", there, Reach(limit=10))


def make_archive(directory: Path, files: int) -> Path:
    """Make a slug of text that packs to about a half, in files of very unequal sizes."""
    chance = random.Random(files)
    words = [chance.randbytes(chance.randint(1, 4)).hex().encode() for _ in range(4000)]
    text = b" ".join(chance.choices(words, k=800_000)) + chance.randbytes(800_000)
    tree = directory / "tree"
    mean = TOTAL_BYTES / files
    for number in range(files):
        path = tree / f"app/lib/{number // FILES_IN_DIRECTORY}/{number}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = min(int(chance.expovariate(1 / mean)), len(text))
        at = chance.randrange(len(text) - size + 1)
        path.write_bytes(text[at : at + size])
    archive = directory / "slug.tgz"
    subprocess.run(["tar", "czf", str(archive), "-C", str(tree), "./app"], check=True)
    return archive


if __name__ == "__main__":
    main()
