"""Lines that do not fit in a datagram."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup_log_drain.syslog.cutting import TELLING_SECONDS, Cutting


def test_what_fits_is_left_as_it_is() -> None:
    datagrams = [b"x" * 10, b""]
    assert Cutting(10).cut(datagrams) == datagrams


@given(st.text(), st.integers(4, 40))
def test_a_cut_is_between_characters_and_as_late_as_it_can_be(text: str, size: int) -> None:
    whole = text.encode(errors="surrogatepass")
    (cut,) = Cutting(size).cut([whole])
    assert whole.startswith(cut)
    assert len(cut) <= size
    assert len(cut) == len(whole) or len(cut) > size - 4
    assert cut.decode(errors="surrogatepass") == text[: len(cut.decode(errors="surrogatepass"))]


def test_what_is_not_utf_8_is_cut_at_the_size() -> None:
    assert Cutting(10).cut([b"\x80" * 20]) == [b"\x80" * 10]


def _told(cutting: Cutting, now: float) -> bytes:
    told = cutting.take(now)
    assert told is not None
    return told.lines


def test_what_was_cut_is_told_with_its_number() -> None:
    cutting = Cutting(10)
    cutting.note([b"x" * 11, b"x" * 10, b"x" * 12])
    assert cutting.is_due(0)
    text = b"Warning: Cut 2 lines to fit in datagrams of 10 bytes since 20"
    assert _told(cutting, 0).startswith(text)
    assert cutting.take(0) is None


@pytest.mark.parametrize(("seconds", "is_due"), [(0, False), (TELLING_SECONDS, True)])
def test_it_is_told_once_in_a_while(*, seconds: float, is_due: bool) -> None:
    cutting = Cutting(10)
    cutting.note([b"x" * 11])
    _told(cutting, 100)
    assert not cutting.is_due(100 + seconds)
    cutting.note([b"x" * 11])
    assert cutting.is_due(100 + seconds) == is_due
    assert _told(cutting, 100 + seconds).startswith(b"Warning: Cut 1 line to fit")
