from __future__ import annotations

import pytest

from hsup.errors import UsageError
from hsup.sizes import named
from hsup_driver_libcontainer import scratch


@pytest.mark.parametrize(
    ("text", "size"), [("256M", 256 << 20), ("2g", 2 << 30), ("1KB", 1024), ("7", 7)]
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert scratch.read_size({scratch.VARIABLE: text}) == size


@pytest.mark.parametrize("text", ["0", "-1", "1T", "much", "1.5G"])
def test_another_size_is_an_error_that_shows_one(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as 256M"):
        scratch.read_size({scratch.VARIABLE: text})


def test_half_of_the_memory_is_the_default() -> None:
    assert scratch.read_size({}) is None
    assert scratch.default_size(named("standard-1x")) == 256 << 20
