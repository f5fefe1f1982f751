"""Dynos do not see files that the author of their release may not read."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from hsup.model import Author, Slug
from hsup.slugs import ChecksumError, SlugError, SlugStore, SlugUnreachable
from hsup.slugs.rights import open_slug
from tests.archives.server import Server

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

#: Of no user and no group of any machine.
BOB = Author(3_000_001, 3_000_001)


def give(path: Path, author: Author = BOB) -> Path:
    os.chown(path, author.uid, author.gid)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Return a directory that everybody may enter, as well as its parents."""
    directory = tmp_path
    while directory.stat().st_uid == os.geteuid() and directory.name != "tmp":
        directory.chmod(0o755)
        directory = directory.parent
    return tmp_path


@pytest.fixture
def archive(world: Path, build: ModuleType) -> Path:
    path = world / "slug.tgz"
    path.write_bytes(build.slug())
    return path


def opened(path: Path, author: Author | None = BOB, allowed: Sequence[Path] = ()) -> os.stat_result:
    descriptor = open_slug(str(path), author, [str(one) for one in allowed])
    found = os.fstat(descriptor)
    os.close(descriptor)
    return found


@needs_root
@pytest.mark.parametrize("path", ["/", "/etc", "/root", "/proc/self/root", "/proc/1/root"])
def test_what_is_roots_is_not_shown_to_dynos_of_others(path: str, store: SlugStore) -> None:
    with pytest.raises(
        SlugError,
        match=r"author of the release, uid 3000001.*parent directories to HSUP_SLUG_FOLDERS",
    ):
        store.unpack(Slug(location=path), author=BOB)
    with pytest.raises(SlugError, match=r"author of the release, uid 3000001"):
        store.unpack(Slug(location=f"file://{path}"), author=BOB)


@needs_root
def test_a_link_is_followed_with_the_rights_of_the_author(store: SlugStore, world: Path) -> None:
    link = world / "link"
    link.symlink_to("/root")
    os.lchown(link, *BOB)
    with pytest.raises(SlugError, match="author of the release"):
        store.unpack(Slug(location=str(link)), author=BOB)


@needs_root
@pytest.mark.parametrize("owner", [Author(3_000_002, 3_000_002), Author(BOB.uid, 42)])
def test_a_directory_that_has_the_user_or_the_group_of_others_is_refused(
    store: SlugStore, world: Path, owner: Author
) -> None:
    directory = world / "app"
    directory.mkdir()
    give(directory, owner)
    with pytest.raises(SlugError, match=r'directory ".*/app" does not belong to the author'):
        store.unpack(Slug(location=str(directory)), author=BOB)


@needs_root
def test_an_own_directory_is_what_was_opened_whatever_takes_its_place(
    store: SlugStore, world: Path
) -> None:
    directory = world / "app"
    directory.mkdir()
    (directory / "mine").write_text("mine")
    give(directory)
    with store.unpack(Slug(location=str(directory)), author=BOB) as unpacked:
        directory.rename(world / "aside")
        directory.symlink_to("/root")
        assert os.listdir(unpacked.directory) == ["mine"]


@needs_root
def test_a_directory_that_the_operator_allows_may_be_anybodys(
    make_store: Callable[..., SlugStore], world: Path
) -> None:
    directory = world / "allowed" / "app"
    directory.mkdir(parents=True)
    directory.chmod(0o700)
    store = make_store(HSUP_SLUG_FOLDERS=f"/nowhere:{world}/allowed")
    with store.unpack(Slug(location=str(directory)), author=BOB) as unpacked:
        assert os.stat(unpacked.directory).st_ino == directory.stat().st_ino
    (world / "allowed" / "link").symlink_to("/root")
    for path in (world / "allowed/link", world / "allowed/../", f"{world}/allowed-not"):
        with pytest.raises(SlugError):
            store.unpack(Slug(location=str(path)), author=BOB)


@needs_root
def test_an_archive_has_to_be_readable_for_the_author(
    store: SlugStore, archive: Path, build: ModuleType
) -> None:
    os.chmod(archive, 0o600)
    with pytest.raises(SlugError, match=r'uid 3000001, is not allowed to read ".*slug.tgz"'):
        store.unpack(Slug(location=str(archive)), author=BOB)
    store.unpack(Slug(location=str(archive))).close()
    # It is in the store now: who knows its checksum gets it all the same only if he may read it.
    checksum = f"SHA256:{build.sha256(archive.read_bytes())}"
    for slug in (Slug(location=str(archive)), Slug(location=str(archive), checksum=checksum)):
        with pytest.raises(SlugError, match="is not allowed to read"):
            store.unpack(slug, author=BOB)
    os.chmod(archive, 0o644)
    store.unpack(Slug(location=str(archive)), author=BOB).close()


@needs_root
def test_the_other_groups_of_the_author_count(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(archive, 0, 3_000_007)
    os.chmod(archive, 0o640)
    with pytest.raises(SlugError, match="is not allowed to read"):
        opened(archive)
    monkeypatch.setattr(
        pwd, "getpwuid", lambda _: pwd.struct_passwd(("bob",) * 2 + BOB + ("",) * 3)
    )
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, 3_000_007])
    assert stat.S_ISREG(opened(archive).st_mode)


@needs_root
def test_the_rights_of_hsup_are_what_they_were(archive: Path) -> None:
    def credentials() -> list[str]:
        with open("/proc/thread-self/status") as file:
            return [line for line in file if line.startswith(("Uid", "Gid", "Groups", "Cap"))]

    before = credentials()
    opened(archive)
    assert credentials() == before


@pytest.mark.parametrize("author", [None, Author(0, 0), Author(os.geteuid(), 7)])
def test_who_is_trusted_may_name_whatever_hsup_may_read(author: Author | None, world: Path) -> None:
    (world / "app").mkdir(mode=0o700)
    assert stat.S_ISDIR(opened(world / "app", author).st_mode)


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
def test_what_is_neither_a_file_nor_a_directory_is_not_opened(kind: int, world: Path) -> None:
    os.mknod(world / "odd", kind | 0o666)
    with pytest.raises(SlugError, match="neither a file nor a directory"):
        opened(world / "odd", None)


@pytest.mark.parametrize(
    ("path", "text"),
    [("/dev/zero", "neither"), ("/dev/tty", "neither"), ("/proc/version", "empty")],
)
def test_what_has_no_end_is_refused(path: str, text: str, store: SlugStore) -> None:
    with pytest.raises(SlugError, match=text):
        store.unpack(Slug(location=path))


def test_a_file_that_is_larger_than_a_slug_may_be_is_not_read(
    store: SlugStore, world: Path
) -> None:
    with open(world / "sparse.tgz", "wb") as file:
        file.truncate(8 << 40)
    with pytest.raises(SlugError, match="has 8796093022208 bytes, more than the limit"):
        store.unpack(Slug(location=str(world / "sparse.tgz")))


SECRET, OWN = b"web: ./secret\n", b"web: ./own\n"


class Place:
    """A file or a URL with content that a test sets."""

    def __init__(self, path: Path, server: Server | None = None) -> None:
        self._path, self._server = path, server
        self.location = f"{server.origin}/slug.tgz" if server else str(path)

    def has(self, content: bytes) -> None:
        if self._server:
            self._server.content = content
        else:
            self._path.unlink(missing_ok=True)
            self._path.write_bytes(content)


@pytest.fixture(params=["file", "URL"])
def place(request: pytest.FixtureRequest, world: Path, server: Server) -> Place:
    return Place(world / "own.tgz", server if request.param == "URL" else None)


@pytest.fixture
def checksum(store: SlugStore, world: Path, build: ModuleType) -> str:
    """Return the checksum of a slug that belongs to root and is in the store."""
    secret = world / "secret.tgz"
    secret.write_bytes(build.slug(SECRET))
    secret.chmod(0o600)
    store.unpack(Slug(location=str(secret))).close()
    return f"SHA256:{build.sha256(build.slug(SECRET))}"


@needs_root
def test_a_checksum_alone_gives_nothing_of_what_others_have(
    store: SlugStore, place: Place, checksum: str, build: ModuleType
) -> None:
    place.has(build.slug(OWN))
    for _ in range(2):
        with pytest.raises(ChecksumError):
            store.unpack(Slug(location=place.location, checksum=checksum), author=BOB)
    place.has(b"no archive, which nobody has unpacked")
    with pytest.raises(ChecksumError):
        store.unpack(Slug(location=place.location, checksum=checksum), author=BOB)


@needs_root
def test_who_has_shown_an_archive_once_needs_it_no_more(
    store: SlugStore, place: Place, checksum: str, build: ModuleType
) -> None:
    place.has(build.slug(SECRET))
    slug = Slug(location=place.location, checksum=checksum)
    store.unpack(slug, author=BOB).close()
    place.has(build.slug(OWN))
    with store.unpack(slug, author=BOB) as unpacked:
        assert (Path(unpacked.directory) / "Procfile").read_bytes() == SECRET
    with pytest.raises(ChecksumError):
        store.unpack(slug, author=Author(BOB.uid + 1, BOB.gid))


@needs_root
def test_what_has_run_without_a_checksum_runs_with_it_later(
    store: SlugStore, world: Path, build: ModuleType
) -> None:
    """After a restart hsup runs the release from before, even if its archive has changed."""
    archive = world / "slug.tgz"
    archive.write_bytes(build.slug(OWN))
    store.unpack(Slug(location=str(archive))).close()
    store.unpack(Slug(location=str(archive)), author=BOB).close()
    archive.write_bytes(build.slug(SECRET))
    checksum = f"SHA256:{build.sha256(build.slug(OWN))}"
    store.unpack(Slug(location=str(archive), checksum=checksum), author=BOB).close()


@needs_root
def test_what_came_of_anothers_download_is_not_gone_on_with(
    store: SlugStore, server: Server, build: ModuleType
) -> None:
    """The server of a user who only knows the checksum could claim that nothing is missing."""
    server.content = build.slug(os.urandom(1 << 19))
    checksum = f"SHA256:{build.sha256(server.content)}"
    server.breaks_after = [1 << 18] + [0] * 5
    with pytest.raises(SlugUnreachable):
        store.unpack(Slug(location=f"{server.origin}/a.tgz", checksum=checksum))
    store.unpack(Slug(location=f"{server.origin}/b.tgz", checksum=checksum), author=BOB).close()
    assert "Range" not in server.requests[-1][1]


@needs_root
def test_without_root_an_author_gets_of_others_nothing_that_hsups_user_could_read(
    store: SlugStore, world: Path
) -> None:
    own, anothers = world / "own", world / "anothers"
    for path, owner in ((own, BOB), (anothers, Author(3_000_002, 3_000_002))):
        path.mkdir()
        give(path, owner)
    os.seteuid(3_000_003)
    try:
        store.unpack(Slug(location=str(own)), author=BOB).close()
        with pytest.raises(
            SlugError, match="author of the release, uid 3000001, is not allowed to read"
        ):
            store.unpack(Slug(location=str(anothers)), author=BOB)
    finally:
        os.seteuid(0)
