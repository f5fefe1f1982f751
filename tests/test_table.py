from __future__ import annotations

from hsup.table import table


def test_cells_stand_below_one_another() -> None:
    rows = [("NAME", "SIZE", "FROM"), ("heroku-24", "1 MB", ""), ("x", "", "y")]
    assert list(table(rows)) == ["NAME       SIZE  FROM", "heroku-24  1 MB", "x                y"]


def test_wide_characters_take_two_columns() -> None:
    assert list(table([("店舗", "a"), ("shop", "b")])) == ["店舗  a", "shop  b"]
