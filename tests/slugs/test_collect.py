from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.archives.limits import Keep
from hsup.locks import EXCLUSIVE_NOW, lock, unlock
from hsup.model import Slug
from hsup.slugs import SlugStore, Unpacked
from hsup.slugs.collect import KeptSlug, surplus
from tests.archives import making
from tests.archives.server import Server

NOW = 1000.0
SLUGS = [KeptSlug(990.0, "newest", 10), KeptSlug(500.0, "older", 20), KeptSlug(100.0, "oldest", 5)]


@pytest.mark.parametrize(
    ("keep", "removed"),
    [
        (Keep(), []),
        (Keep(slugs=3), []),
        (Keep(slugs=1), ["older", "oldest"]),
        (Keep(slugs=0), ["newest", "older", "oldest"]),
        (Keep(age_seconds=600), ["oldest"]),
        (Keep(total_bytes=34), ["oldest"]),
        (Keep(total_bytes=29), ["older", "oldest"]),
        (Keep(slugs=2, age_seconds=100), ["older", "oldest"]),
    ],
)
def test_the_slugs_used_longest_ago_are_collected(keep: Keep, removed: list[str]) -> None:
    assert surplus(SLUGS[::-1], keep, NOW) == removed


@pytest.fixture
def bring_in(tmp_path: Path) -> Callable[[SlugStore, str], Unpacked]:
    """Return a function that has a store unpack the slug of a text."""

    def do(store: SlugStore, text: str) -> Unpacked:
        path = tmp_path / f"{text}.tgz"
        path.write_bytes(making.slug(text.encode()))
        return store.unpack(Slug(location=str(path), checksum=f"SHA256:{digest(text)}"))

    return do


def digest(text: str) -> str:
    return making.sha256(making.slug(text.encode()))


def stored(store: SlugStore) -> set[str]:
    return set(os.listdir(Path(store.directory) / "unpacked"))


def test_a_new_slug_makes_the_one_used_longest_ago_go(
    make_store: Callable[..., SlugStore],
    bring_in: Callable[[SlugStore, str], Unpacked],
    left_over: Callable[[], list[str]],
) -> None:
    store = make_store(HSUP_SLUGS_KEEP="2")
    for text in ("one", "two", "one", "three"):
        bring_in(store, text).close()
    assert stored(store) == {digest("one"), digest("three")}
    assert left_over() == []


def test_a_slug_in_use_is_never_collected(
    make_store: Callable[..., SlugStore],
    bring_in: Callable[[SlugStore, str], Unpacked],
    read: Callable[[Unpacked, str], bytes],
) -> None:
    store = make_store(HSUP_SLUGS_KEEP="0")
    with bring_in(store, "one") as used:
        bring_in(make_store(HSUP_SLUGS_KEEP="0"), "two").close()
        assert read(used, "Procfile") == b"one"
    bring_in(store, "three").close()
    assert stored(store) == {digest("three")}


def test_what_was_collected_is_unpacked_again(
    make_store: Callable[..., SlugStore],
    bring_in: Callable[[SlugStore, str], Unpacked],
    read: Callable[[Unpacked, str], bytes],
) -> None:
    store = make_store(HSUP_SLUGS_KEEP="0")
    bring_in(store, "one").close()
    bring_in(store, "two").close()
    with bring_in(store, "one") as unpacked:
        assert read(unpacked, "Procfile") == b"one"


def test_digests_of_what_was_collected_are_forgotten(
    make_store: Callable[..., SlugStore], server: Server, build: ModuleType
) -> None:
    store = make_store(HSUP_SLUGS_KEEP="0")
    for text in (b"one", b"two", b"three"):
        server.content = build.slug(text)
        store.unpack(Slug(location=f"{server.origin}/{text.decode()}")).close()
    assert len(os.listdir(Path(store.directory) / "known")) <= 2


def test_what_a_killed_hsup_left_is_removed(
    store: SlugStore,
    bring_in: Callable[[SlugStore, str], Unpacked],
    left_over: Callable[[], list[str]],
) -> None:
    work = Path(store.directory) / "work"
    (work / "half" / "slug" / "app").mkdir(parents=True)
    (work / "collected-x" / "app").mkdir(parents=True)
    for name in ("fetch-old", "fetch-new"):
        (work / name).mkdir()
        (work / name / "archive").touch()
    os.utime(work / "fetch-old" / "archive", (1, 1))
    bring_in(store, "one").close()
    assert left_over() == ["fetch-new"]


@pytest.mark.parametrize("size", [b"", b"\xff", b"9" * 5000])
def test_a_slug_of_an_unknown_size_is_collected_like_others(
    size: bytes,
    make_store: Callable[..., SlugStore],
    bring_in: Callable[[SlugStore, str], Unpacked],
) -> None:
    store = make_store(HSUP_SLUGS_KEEP="1")
    bring_in(store, "one").close()
    (Path(store.directory) / "unpacked" / digest("one") / "size").write_bytes(size)
    bring_in(store, "two").close()
    assert stored(store) == {digest("two")}


@pytest.mark.parametrize("rest", [b"\xff\xfe\n", b"\0\0\n", b"a\nb\n"])
def test_what_a_power_cut_made_of_a_note_is_forgotten(
    rest: bytes, store: SlugStore, bring_in: Callable[[SlugStore, str], Unpacked]
) -> None:
    bring_in(store, "one").close()
    known = Path(store.directory) / "known"
    note = known / "damaged"
    note.write_bytes(digest("one").encode() + b"\n" + rest)
    assert store.known.get("damaged") is None
    bring_in(store, "two").close()
    assert not note.exists()


def test_a_slug_is_used_although_its_checksum_cannot_be_noted(
    store: SlugStore,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.known, "put", fail)
    store.unpack(Slug(location=f"{server.origin}/slug.tgz")).close()
    assert "cannot record the checksum of a slug in" in caplog.text


def test_a_slug_is_given_up_where_something_fails_after_its_unpacking(
    store: SlugStore,
    bring_in: Callable[[SlugStore, str], Unpacked],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hsup.slugs.intake.collect", fail)
        with pytest.raises(KeyboardInterrupt):
            bring_in(store, "one")
    (slug,) = (Path(store.directory) / "unpacked").iterdir()
    unlock(lock(str(slug), EXCLUSIVE_NOW))
