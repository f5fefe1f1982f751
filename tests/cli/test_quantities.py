from __future__ import annotations

import pytest

from hsup.cli.quantities import parse_types
from hsup.errors import UsageError


@pytest.mark.parametrize(
    ("words", "types"),
    [
        ([], {}),
        (["web"], {"web": (None, None)}),
        (["web=0"], {"web": (0, None)}),
        (["web=2"], {"web": (2, None)}),
        (["web=2:standard-2x"], {"web": (2, "standard-2x")}),
        (["web=2:a:b"], {"web": (2, "a:b")}),
        (["web:eco"], {"web:eco": (None, None)}),
        (["web=007"], {"web": (7, None)}),
        (["web=000"], {"web": (0, None)}),
        (["web=10000"], {"web": (10_000, None)}),
        (["web=" + "0" * 5000 + "1"], {"web": (1, None)}),
        (["web=2", "worker"], {"web": (2, None), "worker": (None, None)}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_type_has_one_dyno_or_a_quantity_which_may_have_a_size(
    words: list[str], types: dict[str, tuple[int | None, str | None]]
) -> None:
    assert parse_types(words) == types


def test_types_keep_their_order() -> None:
    assert list(parse_types(["worker", "web=2", "clock"])) == ["worker", "web", "clock"]


@pytest.mark.parametrize(
    "faulty",
    [
        "web=two",
        "web=-1",
        "web=+1",
        "web=1.5",
        "web= 1",
        "web=1_0",
        "web=",
        "web=\N{SUPERSCRIPT TWO}",
        "web=2:",
        "web=:",
        "web=:standard-2x",
        "web=10001",
        "web=" + "1" * 5000,
        "=2",
        "",
    ],
    ids=lambda faulty: faulty[:40],
)
def test_what_is_no_quantity_is_bad_usage_that_has_the_word_in_it(faulty: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_types(["worker=1", faulty])
    assert f'"{faulty}"' in str(caught.value)


def test_a_type_twice_is_bad_usage() -> None:
    with pytest.raises(UsageError, match='"web=2"'):
        parse_types(["web", "web=2"])
