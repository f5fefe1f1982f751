from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from hsup.archives.progress import Advance, bar, tell_of_waiting
from hsup.long_work import LongWork, current, waited_for
from hsup.model import Slug
from hsup.slugs import SlugStore
from tests.archives.server import Server, url
from tests.archives.window import pseudo_terminal


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pseudo_terminal(monkeypatch) as window:
        with bar("unpacking slug.tgz", 100_000_000) as advance:
            advance(40_000_000)
            assert re.search(
                r"unpacking slug\.tgz  \[##+--+\]  40 of 100 MB, .* MB/s", window.drawn()
            )
            advance(60_000_000)
        assert re.search(r"\[##+\]  100 of 100 MB, .* MB/s\r\n\Z", window.drawn())


def test_the_line_of_a_step_that_fails_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pseudo_terminal(monkeypatch) as window:
        with pytest.raises(OSError, match="gone"), bar("fetching", 0):
            raise OSError("gone")
        assert window.drawn().endswith("fetching  0.0 MB, 0.0 MB/s\r\n")


def test_who_waits_is_told_elsewhere(capfd: pytest.CaptureFixture[str]) -> None:
    with waited_for(LongWork()) as work:
        assert work.text() is None
        with bar("downloading slug.tgz", 100_000_000) as advance:
            advance(12_345_678)
            assert work.text() == "downloading slug.tgz (12 of 100 MB)"
        with bar("pulling debian", 0) as advance:
            advance(1_234_567)
            assert work.text() == "pulling debian (1.2 MB)"
        assert work.text() is None
    assert capfd.readouterr() == ("", "")


def test_the_end_of_a_step_that_was_reported_is_told() -> None:
    ends: list[str] = []
    with waited_for(LongWork()) as work:
        work.say_end = ends.append
        with bar("downloading slug.tgz", 100_000_000) as advance:
            advance(100_000_000)
        assert ends == []
        with bar("downloading slug.tgz", 100_000_000) as advance:
            work.text()
            advance(100_000_000)
    assert ends == ["downloading slug.tgz: done, 100 MB in 0 s"]


def test_nothing_is_drawn_beside_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with waited_for(LongWork(is_drawn=False)) as work, bar("unpacking slug.tgz", 0) as advance:
        advance(1)
        assert work.text() == "unpacking slug.tgz (0.0 MB)"


def test_that_another_hsup_is_waited_for_is_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    tell_of_waiting()
    assert caplog.messages == ["waiting for another hsup to fetch or unpack the same slug"]
    assert capfd.readouterr() == ("", "")


class Seen:
    """A progress that records its calls in `bars`: label, length, and the bytes processed."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int, int]] = []

    @contextmanager
    def __call__(self, label: str, length: int) -> Iterator[Advance]:
        counts: list[int] = []
        yield counts.append
        self.bars.append((label, length, sum(counts)))


def test_both_bars_come_to_their_end(store: SlugStore, server: Server) -> None:
    seen = Seen()
    store.unpack(Slug(location=f"{server.origin}/slug.tgz?signature=secret"), seen).close()
    length = len(server.content)
    assert seen.bars == [
        (f"fetching slug slug.tgz from {server.origin.removeprefix('http://')}", length, length),
        ("unpacking slug.tgz", length, length),
    ]


class Watched:
    """A progress that records what a waiting caller would see after the first bytes and later."""

    def __init__(self, work: LongWork) -> None:
        self._work = work
        self.said: list[str | None] = []

    @contextmanager
    def __call__(self, label: str, length: int) -> Iterator[Advance]:
        with bar(label, length) as advance:

            def advance_and_keep(count: int) -> None:
                advance(count)
                self.said.append(self._work.text())

            yield advance_and_keep


def test_what_is_fetched_is_told_without_what_is_secret(
    store: SlugStore, large: Server, build: ModuleType
) -> None:
    location = url(large, "/x/y.tgz?signature=secret").replace("://", "://me:own@")
    slug = Slug(location=location, checksum=build.checksum(large.content))
    host = large.origin.removeprefix("http://")
    with waited_for(LongWork("the slug of v2", is_drawn=False)) as work:
        seen = Watched(work)
        store.unpack(slug, seen).close()
    assert seen.said[0] == f"fetching the slug of v2 from {host} (0.0 of 2.0 MB)"
    assert f"fetching the slug of v2 from {host} (2.0 of 2.0 MB)" in seen.said
    assert seen.said[-1] == "unpacking the slug of v2 (2.0 of 2.0 MB)"


def test_it_is_told_where_a_download_was_resumed(
    store: SlugStore, large: Server, build: ModuleType
) -> None:
    large.breaks_after = [500_000]
    slug = Slug(location=url(large), checksum=build.checksum(large.content))
    with waited_for(LongWork("the slug of v2", is_drawn=False)) as work:
        seen = Watched(work)
        store.unpack(slug, seen).close()
    host = large.origin.removeprefix("http://")
    resumed = f"fetching the slug of v2 from {host}, resumed at 0.5 MB"
    assert f"{resumed} (0.5 of 2.0 MB)" in seen.said
    assert f"{resumed} (2.0 of 2.0 MB)" in seen.said


def test_it_is_told_why_a_download_is_tried_again(
    store: SlugStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [503]
    said = []
    monkeypatch.setattr("hsup.archives.download.pause", lambda _: said.append(current().text()))
    with waited_for(LongWork("the slug of v2")):
        store.unpack(Slug(location=url(server))).close()
    host = server.origin.removeprefix("http://")
    why = "the server answered 503 Service Unavailable"
    assert said == [f"fetching the slug of v2 from {host}: {why}, retrying"]
