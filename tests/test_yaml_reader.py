from __future__ import annotations

import pytest

from hsup.yaml_reader import load


def test_values_are_read() -> None:
    assert load("a: [1, yes, x]\n") == {"a": [1, True, "x"]}
    assert load("") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "while parsing a flow node expected the node content, but found '<stream end>'"),
        ("[" * 9000, "it is nested too deeply"),
        ("a: 2024-13-01", "month must be in 1..12"),
        ("!!int foo", "invalid literal for int"),
        ("!!bool foo", "it has a value that its tag does not fit"),
        ('!!int ""', "it has a value that its tag does not fit"),
        ("!!timestamp foo", "it has a value that its tag does not fit"),
        ("!!timestamp {=: 1}", "it has a value that its tag does not fit"),
        (r'"\U99999999"', ""),  # each version of Python has its own words for it
        ("!!python/name:os.system x", "could not determine a constructor"),
        ("a: \0", "unacceptable character #x0000"),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        load(text)
    assert told in str(caught.value)
