from __future__ import annotations

import pytest

from hsup.cli.suggestions import hint, meant

COMMANDS = ("run", "start", "build", "check", "doctor", "plugins", "port", "root")


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("star", "start"),
        ("strat", "start"),
        ("chekc", "check"),
        ("prot", "port"),
        ("plugin", "plugins"),
        ("docter", "doctor"),
        ("plug", "plugins"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_a_mistyped_word_is_recognized(typed: str, word: str | None) -> None:
    assert meant(typed, COMMANDS) == word


def test_a_hint_has_the_word_that_may_be_meant_or_all_of_them() -> None:
    assert hint("strat", COMMANDS) == 'did you mean "start"?'
    assert hint("xyzzy", ("b", "a")) == "choose from a, b"
