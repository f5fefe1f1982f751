from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.numerals import amount, are_digits, port_number, whole_number

#: What int() takes, or str.isdigit, and is no number as people and programs write them.
ODD = ["", " 5", "5 ", "5\n", "+5", "-5", "1_000", "²", "٣", "\uff15", "5.0", "0x5", "five"]


@pytest.mark.parametrize("text", ODD)
def test_nothing_but_digits_is_a_number(text: str) -> None:
    assert not are_digits(text)
    assert whole_number(text) is None
    assert whole_number(text.encode()) is None


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert are_digits(text)
    assert whole_number(text) == whole_number(text.encode()) == number


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_number_that_no_machine_has_is_none(digits: int) -> None:
    assert are_digits("9" * digits)
    assert whole_number("9" * digits) is None


def test_how_many_digits_may_be_said() -> None:
    assert whole_number("123", most_digits=3) == 123
    assert whole_number("0123", most_digits=3) is None
    assert whole_number(b"9" * 20, most_digits=20) == 10**20 - 1


@given(text=st.text() | st.binary())
def test_whatever_is_written_is_a_number_or_none(text: str | bytes) -> None:
    number = whole_number(text)
    assert number is None or number >= 0


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("65535", 65535), ("0", None), ("65536", None), ("-1", None), ("9" * 5000, None)],
)
def test_ports_are_from_1_to_65535(text: str, number: int | None) -> None:
    assert port_number(text) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20G", (20, "G")),
        ("7", (7, "")),
        ("30d", (30, "d")),
        ("G", (None, "G")),
        ("5x", (None, "")),
    ],
)
def test_an_amount_is_a_number_with_a_unit(text: str, expected: tuple[int | None, str]) -> None:
    assert amount(text) == expected
