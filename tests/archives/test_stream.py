from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hsup.archives.errors import HostileSlug, SlugError
from hsup.archives.stream import Stream


def test_bytes_come_in_order_whatever_the_pieces_are() -> None:
    stream = Stream(iter([b"a", b"", b"bcd", b"efgh"]), 100)
    assert stream.peek(2) == b"a"  # no piece is the end
    stream = Stream(iter([b"a", b"bcd", b"efgh"]), 100)
    assert (stream.peek(2), stream.position) == (b"ab", 0)
    assert (stream.read(3), stream.position, stream.left) == (b"abc", 3, 97)
    assert bytes(stream.block(10)) == b"d"
    stream.skip_to(6)
    assert stream.read(2) == b"gh"
    assert stream.peek(1) == b""


@pytest.mark.parametrize(
    "read", [lambda one: one.read(4), lambda one: one.skip_to(4)], ids=["read", "skip"]
)
def test_what_ends_too_early_is_told(read: Callable[..., Any]) -> None:
    with pytest.raises(SlugError, match="the archive ends too early, after 3 bytes; create or"):
        read(Stream(iter([b"abc"]), 100))


@pytest.mark.parametrize(
    "read",
    [lambda one: one.read(8), lambda one: one.peek(8), lambda one: one.drain()],
    ids=["read", "peek", "drain"],
)
def test_more_than_there_may_be_is_not_read(read: Callable[..., Any]) -> None:
    with pytest.raises(HostileSlug, match="more than 7 bytes"):
        read(Stream(iter([b"abcd", b"efgh"]), 7))


def test_the_rest_is_read_to_its_end() -> None:
    pieces = iter([b"abc", b"def"])
    Stream(pieces, 100).drain()
    assert list(pieces) == []
