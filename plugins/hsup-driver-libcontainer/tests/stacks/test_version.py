from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup_driver_libcontainer.stacks.version import ordered


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9", "1.10"),
        ("9", "10"),
        ("24.v99", "24.v123"),
        ("1.0", "1.0.1"),
        ("1.0.rc1", "1.0.1"),
        ("2026-01-09", "2026-01-10"),
        (None, "0"),
    ],
)
def test_versions_are_in_the_order_of_their_numbers(lower: str | None, higher: str) -> None:
    assert ordered(lower) < ordered(higher)


def test_zeroes_before_a_number_do_not_count() -> None:
    assert ordered("1.09") == ordered("1.9")


@given(st.lists(st.integers(0, 999), min_size=1), st.lists(st.integers(0, 999), min_size=1))
def test_versions_of_numbers_compare_as_lists_of_them(one: list[int], other: list[int]) -> None:
    def text(numbers: list[int]) -> str:
        return ".".join(map(str, numbers))

    assert (ordered(text(one)) < ordered(text(other))) == (one < other)


@given(st.text())
def test_any_two_versions_can_be_compared(text: str) -> None:
    assert ordered(text) >= ordered(None)
