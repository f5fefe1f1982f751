from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.output.printer import UnmixedLines
from hsup.output.screen import ScreenFormatter
from hsup.testing import make_batch


@pytest.fixture
def form() -> ScreenFormatter:
    return ScreenFormatter(coloured=False, has_times=False)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        (b"\x1bc\x1b[2J\x1b[3J\x1b[Hcleared\n", b"web.1 | cleared\n"),
        (b"\x1b[?25l\x1b[?1049h\x1b[2Aup\x1b[10;2Hthere\n", b"web.1 | upthere\n"),
        (b"\x1b]0;title\x07a\x1b]2;title\x1b\\b\n", b"web.1 | ab\n"),
        (b"old\x1b[2K\x1b[1Gnew\n", b"web.1 | old\rweb.1 | \x1b[K\rweb.1 | new\x1b[0m\n"),
        (b"\x1b[1;38:5:1ma\x1b[K\x1b[0K\n", b"web.1 | \x1b[1;38:5:1ma\x1b[K\x1b[0K\x1b[0m\n"),
        (b"\x1b[1000Da\x1b[3Cb\x1b[P\x1b[1K\x1b[5`c\n", b"web.1 | abc\n"),
        (b"\x1b(0a\x1b)B\x0eb\x0f\x0b\x0c\x1b#8\x1b%Gc\n", b"web.1 | abc\n"),
        (b"\x1b[!pa\x1b[8;10;10tb\x1b[6nc\x1b[?1;2$yd\x05\n", b"web.1 | abcd\n"),
        (b"\x1bPq#0\x1b\\a\x1b_title\x1b\\b\x1b^c\x1b\\\x1bXd\x1b\\e\n", b"web.1 | abe\n"),
        (b"a\x1b[2\nJ\x1b]0;title\n\x1b\x1b[2Jb\n", b"web.1 | a\nweb.1 | J0;title\nweb.1 | b\n"),
        (b"\xc2\x9b2Ja\xc2\x05\x9bb\xc2\xa0\xc3\x9f\n", b"web.1 | 2Jab\xc2\xa0\xc3\x9f\n"),
        (b"\x1b]8;;\x18\x0e\x07a\n", b"web.1 | a\n"),
        (b"\x1b]8;;http://a\x07a\n", b"web.1 | \x1b]8;;http://a\x07a\x1b[0m\n"),
    ],
)
def test_a_dyno_keeps_to_its_lines(form: ScreenFormatter, written: bytes, printed: bytes) -> None:
    assert form(make_batch(written)) == printed


BYTES = st.lists(st.sampled_from(b"a\x1b[2Jm;]8 \x07\\P(0K\r\n\xc2\x9b\x0e\x18"), max_size=16)
#: What is left of sequences: colours, links, and what erases to the end of the line.
HARMLESS = re.compile(rb"\x1b(?:\[[0-9;:]*m|\[0?K|\]8;[ -~]*(?:\x07|\x1b\\)|\\)")


@given(given_bytes=BYTES)
def test_in_whatever_pieces_it_comes_nothing_is_left_for_the_whole_screen(
    given_bytes: list[int],
) -> None:
    lines = UnmixedLines(ScreenFormatter(coloured=False, has_times=False))
    written, printed = b"", b""
    for byte in given_bytes:
        written += bytes([byte])
        if written.endswith(b"\n"):
            printed += lines(make_batch(written))
            written = b""
        else:
            printed += lines.unfinished(make_batch(written, is_partial=True))
    printed += lines(make_batch(written))
    assert not re.search(rb"[\x1b\x0e]|\xc2[\x80-\x9f]", HARMLESS.sub(b"", printed))


def test_a_sequence_in_two_pieces_is_left_out(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(make_batch(b"a\x1b[2", is_partial=True)) == b"web.1 | a"
    assert lines(make_batch(b"a\x1b[2Jb\n")) == b"b\n"
    assert lines.unfinished(make_batch(b"a\x1b[3", is_partial=True)) == b"web.1 | a"
    assert lines(make_batch(b"a\x1b[31mred\n")) == b"\x1b[31mred\x1b[0m\n"


def test_a_sequence_that_does_not_end_is_not_waited_for(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    long = b"\x1b]0;" + b"x" * 5000
    assert lines.unfinished(make_batch(long, is_partial=True)) == b"web.1 | 0;" + b"x" * 5000


def test_without_a_prefix_a_dyno_has_the_screen() -> None:
    form = ScreenFormatter(coloured=False, has_prefix=False)
    assert form(make_batch(b"\x1b[2J\x1b[Hcleared\n")) == b"\x1b[2J\x1b[Hcleared\x1b[0m\n"
