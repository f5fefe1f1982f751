"""Frames whose octets are counted: what is in them, and what they cannot carry as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch, LogEvent
from hsup_log_drain.frames import (
    MAX_BYTES,
    Cut,
    encode,
    field,
    is_loss,
    priority,
    timestamp,
)
from hsup_log_drain.testing.octet_counted import FramingError, split_frames, take_frames

_TIME = 1_767_366_245_000_042_999  # 2026-01-02T15:04:05.000042999Z


def _batch(lines: bytes, *, is_partial: bool = False) -> LogBatch:
    return LogBatch(_TIME, "app", "web.1", "stdout", lines, is_partial)


def _head(batch: LogBatch) -> bytes:
    return b"<190>1 %s " % batch.dyno.encode()


def _messages(*batches: LogBatch, cut: Cut = Cut.LINES) -> list[bytes]:
    """Return the messages of what was encoded, which is read by its octet counts."""
    frames = encode(batches, _head, cut)
    read = split_frames(frames.data)
    assert len(read) == frames.frame_count
    assert all(one.startswith(b"<190>1 ") for one in read)
    return [one.removeprefix(b"<190>1 web.1 ") for one in read]


def test_the_length_counts_the_newline() -> None:
    # The example of heroku/logplex: doc/README.http_drains.md.
    head = b"<174>1 2012-07-22T00:06:26+00:00 host erlang console - "
    frames = encode([_batch(b"Hi from erlang\n")], lambda _: head)
    assert frames.data == b"70 " + head + b"Hi from erlang\n"


def test_bytes_are_passed_as_they_are() -> None:
    lines = b"two\r\n\n\xff\x00 3\n\x1b[1m\n"
    assert _messages(_batch(lines)) == [b"two\r\n", b"\n", b"\xff\x00 3\n", b"\x1b[1m\n"]


def test_a_last_line_without_a_newline_gets_one() -> None:
    assert _messages(_batch(b"a\nb")) == [b"a\n", b"b\n"]


def test_what_looks_like_a_frame_is_a_message() -> None:
    assert _messages(_batch(b"5 <1>1 \n70\n")) == [b"5 <1>1 \n", b"70\n"]


def test_a_batch_without_lines_has_no_frames() -> None:
    assert encode([_batch(b"")], _head) == (b"", 0)
    assert encode([], _head) == (b"", 0)


def test_each_batch_has_a_head_of_its_own() -> None:
    batches = [_batch(b"a\n"), _batch(b"b\n")._replace(dyno="worker.12")]
    assert split_frames(encode(batches, _head).data) == [
        b"<190>1 web.1 a\n",
        b"<190>1 worker.12 b\n",
    ]


@pytest.mark.parametrize("length", [MAX_BYTES - 1, MAX_BYTES])
def test_a_line_that_is_not_too_long_is_not_cut(length: int) -> None:
    assert _messages(_batch(b"x" * length + b"\nshort\n")) == [b"x" * length + b"\n", b"short\n"]


def test_each_piece_of_a_long_line_is_a_line() -> None:
    lines = b"before\n" + b"x" * 20_001 + b"\n\nafter"
    pieces = [b"before\n", *[b"x" * 10_000 + b"\n"] * 2, b"x\n", b"\n", b"after\n"]
    assert _messages(_batch(lines)) == pieces


def test_a_long_line_is_cut_between_characters() -> None:
    line = "x" * 9_998 + "€uro"
    assert _messages(_batch(line.encode())) == [b"x" * 9_998 + b"\n", "€uro\n".encode()]


def test_a_long_line_that_is_no_text_is_cut_all_the_same() -> None:
    assert [len(one) for one in _messages(_batch(b"\x80" * 20_000))] == [10_001, 10_001]


def test_only_the_last_piece_has_a_newline_if_pieces_are_asked_for() -> None:
    # What the Go program sent of such a line: frames of 10062, 10062 and 68 bytes.
    pieces = _messages(_batch(b"x" * 20_005 + b"\nshort\n"), cut=Cut.PIECES)
    assert pieces == [b"x" * 10_000, b"x" * 10_000, b"xxxxx\n", b"short\n"]


def test_a_partial_batch_of_pieces_goes_on_in_the_next() -> None:
    begun = _batch(b"x" * 10_001, is_partial=True)
    ended = _batch(b"end\n")
    assert _messages(begun, ended, cut=Cut.PIECES) == [b"x" * 10_000, b"x", b"end\n"]


def test_a_short_partial_batch_of_pieces_goes_on_in_the_next() -> None:
    begun = _batch(b"one\n\ntwo", is_partial=True)
    assert _messages(begun, _batch(b"end\n"), cut=Cut.PIECES) == [
        *(b"one\n", b"\n", b"two"),
        b"end\n",
    ]


def test_the_last_line_of_a_dyno_in_pieces_gets_a_newline() -> None:
    assert _messages(_batch(b"x" * 10_000), cut=Cut.PIECES) == [b"x" * 10_000, b"\n"]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40), st.integers(9_990, 30_010).map(lambda size: b"\xc3\xa9" * size)
        )
    ),
    st.sampled_from(Cut),
)
def test_nothing_is_lost_and_nothing_is_added_but_newlines(texts: list[bytes], cut: Cut) -> None:
    read = _messages(*map(_batch, texts), cut=cut)
    longest = MAX_BYTES + (cut is Cut.LINES)
    assert all(len(one) <= longest for one in read)
    assert b"".join(read).replace(b"\n", b"") == b"".join(texts).replace(b"\n", b"")


def _event(code: str | None) -> LogEvent:
    return LogEvent("warning", code=code)


@pytest.mark.parametrize(
    ("source", "event", "expected"),
    [
        ("app", None, 190),
        ("heroku", LogEvent("state_changed", state="up"), 45),
        ("heroku", None, 45),
        ("heroku", _event("L10"), 172),
        ("heroku", _event("L13"), 172),
        ("heroku", _event("R15"), 45),
        ("hsup", _event(None), 45),
    ],
)
def test_priorities_are_the_platforms(source: str, event: LogEvent | None, expected: int) -> None:
    batch = _batch(b"x\n")._replace(source=source, event=event)
    assert priority(batch) == expected
    assert is_loss(batch) == (expected == 172)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (_TIME, b"2026-01-02T15:04:05.000042+00:00"),
        (0, b"1970-01-01T00:00:00.000000+00:00"),
        (-1, b"1969-12-31T23:59:59.999999+00:00"),
        (951_782_400_999_999_999, b"2000-02-29T00:00:00.999999+00:00"),
    ],
)
def test_a_time_has_six_digits(nanoseconds: int, expected: bytes) -> None:
    assert timestamp(nanoseconds) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web.1", b"web.1"),
        ("", b"-"),
        ("a b\n\x00\x7fé", b"a_b____"),
        ("x" * 49, b"x" * 48),
    ],
)
def test_a_field_is_printable_and_short(text: str, expected: bytes) -> None:
    assert field(text, 48) == expected


@pytest.mark.parametrize("data", [b"x", b"0 ", b"05 abcde", b"-1 ", b" 1 a", b"1 ab", b"1\n"])
def test_what_is_no_frame_is_not_read(data: bytes) -> None:
    with pytest.raises(FramingError):
        take_frames(data)


@pytest.mark.parametrize("rest", [b"", b"1", b"12 ", b"3 ab"])
def test_a_frame_may_not_be_whole_yet(rest: bytes) -> None:
    assert take_frames(b"1 a2 b\n" + rest) == ([b"a", b"b\n"], rest)
