"""When a receiver wants to be asked again."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from hsup_log_drain.http.retry_after import retry_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        ("901", 900),
        ("9" * 5000, 900),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("²", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 900),
        ("Fri, 99 Dec 9999 23:59:59 GMT", None),
    ],
)
def test_seconds_and_dates_are_understood(text: str, expected: float | None) -> None:
    assert retry_seconds([(b"retry-after", text.encode("latin-1"))]) == expected


def test_a_date_is_in_so_many_seconds() -> None:
    text = formatdate(time.time() + 600, usegmt=True)
    seconds = retry_seconds([(b"retry-after", text.encode())])
    assert seconds is not None
    assert 500 < seconds <= 600


def test_no_header_and_two_of_them_say_nothing() -> None:
    assert retry_seconds([(b"server", b"x")]) is None
    assert retry_seconds([(b"retry-after", b"1"), (b"retry-after", b"2")]) is None
