"""The fixtures of the tests of slugs: archives, a store, a web server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from hsup.api import Settings
from hsup.archives.limits import Limits
from hsup.archives.progress import Progress
from hsup.model import Slug
from hsup.slugs import SlugStore, Unpacked
from hsup.slugs.unpack import unpack
from tests.archives import making
from tests.archives.making import LIMITS
from tests.archives.server import Server, serving


@pytest.fixture
def build() -> ModuleType:
    """Return the makers of archives: `build.tar(build.member("./app/x", b"…"))`."""
    return making


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., SlugStore]:
    """Return a maker of stores in one directory: `make_store(HSUP_SLUGS_KEEP="1")`."""

    def make(**environ: str) -> SlugStore:
        directory = str(tmp_path / "slugs")
        settings = Settings(
            directory=str(tmp_path), environ={"HSUP_SLUGS_DIR": directory, **environ}
        )
        return SlugStore(settings, backoff_seconds=0.001)

    return make


@pytest.fixture
def store(make_store: Callable[..., SlugStore]) -> SlugStore:
    return make_store()


@pytest.fixture
def left_over(tmp_path: Path) -> Callable[[], list[str]]:
    """Return a function that lists the directories left by work that has ended."""

    def look() -> list[str]:
        work = tmp_path / "slugs" / "work"
        return sorted(path.name for path in work.iterdir()) if work.exists() else []

    return look


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server()) as running:
        running.content = making.slug()
        yield running


@pytest.fixture
def read() -> Callable[[Unpacked, str], bytes]:
    """Return a reader of an unpacked file."""
    return lambda unpacked, name: (Path(unpacked.directory) / name).read_bytes()


@pytest.fixture
def silent() -> Progress:
    """Return a progress that shows nothing."""
    return lambda _label, _length: nullcontext(lambda _: None)


@pytest.fixture
def unpacked(tmp_path: Path, silent: Progress) -> Callable[..., Path]:
    """Return a function that unpacks an archive, and returns the directory of ./app/."""

    def do(content: bytes, limits: Limits = LIMITS) -> Path:
        archive, directory = tmp_path / "slug", tmp_path / "new"
        archive.write_bytes(content)
        directory.mkdir()
        unpack(str(archive), str(directory), limits, silent, archive.name)
        return directory / "app"

    return do


@pytest.fixture
def archive(tmp_path: Path, build: ModuleType) -> Path:
    path = tmp_path / "slug.tgz"
    path.write_bytes(build.slug())
    return path


@pytest.fixture
def slug(build: ModuleType, tmp_path: Path) -> Slug:
    (tmp_path / "slug.tgz").write_bytes(build.slug())
    return Slug(location=str(tmp_path / "slug.tgz"))
