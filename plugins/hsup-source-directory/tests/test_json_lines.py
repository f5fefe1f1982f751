"""The lines of values in a JSON text are found."""

from __future__ import annotations

from hsup_source_directory.json_lines import lines_of

TEXT = r"""{
  "a": 1, "tricky\"{[,": "}],:",
  "list": [
    10, {"x":
      null},
    [true,
     "é"]
  ],
  "a": 2
}"""


def test_members_are_on_the_line_of_their_key() -> None:
    wanted = {("list",), ("list", 1, "x"), ('tricky"{[,',)}
    assert lines_of(TEXT, wanted) == {("list",): 3, ("list", 1, "x"): 4, ('tricky"{[,',): 2}


def test_elements_are_on_the_line_that_they_begin_on() -> None:
    wanted = {("list", 0), ("list", 1), ("list", 2), ("list", 2, 1)}
    assert list(lines_of(TEXT, wanted).values()) == [4, 4, 6, 7]


def test_of_members_with_the_same_key_the_last_one_counts() -> None:
    assert lines_of(TEXT, {("a",)}) == {("a",): 9}


def test_what_is_not_there_has_no_line() -> None:
    assert lines_of(TEXT, {("b",), ("list", 3)}) == {}


def test_a_text_without_brackets_has_no_lines() -> None:
    assert lines_of('"a"', {()}) == {}
