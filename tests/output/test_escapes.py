from __future__ import annotations

import pytest

from hsup.output.screen import ScreenFormatter
from hsup.testing import make_batch


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        (b"\x1bc\x1b[2J\x1b[3J\x1b[Hcleared\n", b"web.1 | cleared\n"),
        (b"\x1b[?25l\x1b[?1049h\x1b[2Aup\x1b[10;2Hthere\n", b"web.1 | upthere\n"),
        (b"\x1b]0;title\x07a\x1b]2;title\x1b\\b\n", b"web.1 | ab\n"),
        (b"old\x1b[2K\x1b[1Gnew\n", b"web.1 | old\rweb.1 | \x1b[K\rweb.1 | new\x1b[0m\n"),
        (b"\x1b[1;31ma\x1b[K\x1b[3D\n", b"web.1 | \x1b[1;31ma\x1b[K\x1b[3D\x1b[0m\n"),
        (b"\x1b]8;;http://a\x07a\n", b"web.1 | \x1b]8;;http://a\x07a\x1b[0m\n"),
    ],
)
def test_a_dyno_keeps_to_its_lines(written: bytes, printed: bytes) -> None:
    form = ScreenFormatter(coloured=False, has_times=False)
    assert form(make_batch(written)) == printed


def test_without_a_prefix_a_dyno_has_the_screen() -> None:
    form = ScreenFormatter(coloured=False, has_prefix=False)
    assert form(make_batch(b"\x1b[2J\x1b[Hcleared\n")) == b"\x1b[2J\x1b[Hcleared\x1b[0m\n"
