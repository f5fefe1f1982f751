from __future__ import annotations

import pytest

from hsup.columns import columns, cut, cut_before, padded


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("shop", 4),
        ("cafe\u0301", 4),
        ("กำลัง", 4),
        ("1\u20dd", 1),
        ("a\u200bb", 2),
        ("a\xadb", 3),
        ("店舗", 4),
        ("🚀", 2),
        ("👩\u200d💻", 4),
    ],
)
def test_a_text_takes_as_many_columns_as_a_terminal_gives_it(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "width", "beginning", "end"),
    [
        ("shop", 4, "shop", "shop"),
        ("shop", 3, "sh…", "…op"),
        ("shop", 1, "…", "…"),
        ("shop", 0, "", ""),
        ("shop", -2, "", ""),
        ("店舗の", 5, "店舗…", "…舗の"),
        ("店舗の", 4, "店…", "…の"),
    ],
)
def test_what_is_cut_has_room(text: str, width: int, beginning: str, end: str) -> None:
    assert cut(text, width) == beginning
    assert cut_before(text, width) == end


def test_a_padded_text_has_as_many_columns() -> None:
    assert padded("店舗", 6) == "店舗  "
    assert padded("shop", 2) == "shop"
