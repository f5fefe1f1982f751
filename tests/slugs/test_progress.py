from __future__ import annotations

import os
import pty
import select
import sys

import pytest

from hsup.archives.progress import bar, tell_of_waiting
from hsup.long_work import LongWork, waited_for
from hsup.model import Slug

PATIENCE_SECONDS = 60


def test_a_bar_is_drawn_on_a_terminal(monkeypatch):
    controller, terminal = pty.openpty()
    with open(terminal, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with bar("downloading slug.tgz", 100) as advance:
            advance(40)
            advance(60)
        stream.flush()
        drawn = b""
        while b"100%" not in drawn and select.select([controller], [], [], PATIENCE_SECONDS)[0]:
            drawn += os.read(controller, 65536)  # the kernel hands it over piece by piece
    os.close(controller)
    assert b"downloading slug.tgz" in drawn
    assert b"100%" in drawn


def test_who_waits_is_told_elsewhere(capfd):
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


def test_nothing_is_drawn_beside_a_log(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with waited_for(LongWork(is_drawn=False)) as work, bar("unpacking slug.tgz", 0) as advance:
        advance(1)
        assert work.text() == "unpacking slug.tgz (0.0 MB)"


def test_that_another_hsup_is_waited_for_is_logged(caplog, capfd):
    tell_of_waiting()
    assert caplog.messages == ["waiting for another hsup, which is bringing in the same slug"]
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def seen():
    """Return a progress that keeps what it was told in `seen.bars`, and itself."""

    class Seen:
        def __init__(self):
            self.bars = []

        def __call__(self, label, length):
            self.bars.append([label, length, 0])
            return self

        def __enter__(self):
            return self.advance

        def __exit__(self, *_):
            pass

        def advance(self, count):
            self.bars[-1][2] += count

    return Seen()


def test_both_bars_come_to_their_end(store, server, seen):
    store.unpack(Slug(location=f"{server.origin}/slug.tgz?signature=secret"), seen).close()
    length = len(server.content)
    assert seen.bars == [
        [f"fetching slug slug.tgz from {server.origin.removeprefix('http://')}", length, length],
        ["unpacking slug.tgz", length, length],
    ]
