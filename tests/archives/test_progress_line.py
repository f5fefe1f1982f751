from __future__ import annotations

import sys

import pytest

from hsup.archives import progress_line
from hsup.archives.progress import bar
from hsup.archives.progress_line import ProgressLine
from hsup.columns import columns
from tests.archives.window import Window, pseudo_terminal

LABELS = [
    "unpacking slug.tgz",
    "fetching slug a-long-name.tgz from host.example.com",
    "取得" * 9,
]


@pytest.fixture(autouse=True)
def always_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_SHOW_SECONDS", -1.0)


def shown(window: Window) -> str:
    """Return the line, after which the cursor must be at its start, with nothing below it."""
    drawn = window.drawn()
    assert drawn.startswith("\r\x1b[J")
    assert drawn.endswith("\r")
    return drawn.removeprefix("\r\x1b[J").removesuffix("\r")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("length", [0, 50_000_000])
def test_a_line_is_narrower_than_the_window_whatever_its_size_becomes(
    monkeypatch: pytest.MonkeyPatch, label: str, length: int
) -> None:
    with pseudo_terminal(monkeypatch) as window:
        line = ProgressLine(sys.stderr, label, length)
        for width in (200, 80, 40, 20, 3, 1, 120):
            window.resize(width)
            line.advance(1_000_000)
            assert columns(shown(window)) < width


def test_what_has_no_room_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pseudo_terminal(monkeypatch, columns=70) as window:
        line = ProgressLine(sys.stderr, "unpacking slug.tgz", 50_000_000)
        line.advance(25_000_000)
        assert shown(window).startswith("unpacking slug.tgz  [####")
        window.resize(50)
        line.advance(0)
        assert shown(window).startswith("unpacking slug.tgz  25 of 50 MB, ")
        window.resize(36)
        line.advance(0)
        assert "…  25 of 50 MB, " in shown(window)


def test_the_last_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with pseudo_terminal(monkeypatch) as window:
        line = ProgressLine(sys.stderr, "unpacking slug.tgz", 0)
        line.end()
        assert window.drawn().endswith("unpacking slug.tgz  0.0 MB, 0.0 MB/s\r\n")


def test_a_terminal_that_has_gone_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack() -> None:
        with bar("unpacking slug.tgz", 0) as advance:
            advance(1)
            window.close()
            advance(1)
            raise KeyboardInterrupt

    with pseudo_terminal(monkeypatch) as window, pytest.raises(KeyboardInterrupt):
        unpack()


def test_a_stream_that_is_closed_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pseudo_terminal(monkeypatch), bar("unpacking slug.tgz", 0) as advance:
        advance(1)
        sys.stderr.close()
        advance(1)
