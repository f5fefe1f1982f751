from __future__ import annotations

from typing import Any

import pytest

from hsup.model import Command, Fault, ProcessType, Release, Slug
from hsup.validation import (
    MOST_SHOWN,
    bounded_faults,
    line_problem,
    release_faults,
    type_problem,
    value_problem,
    variable_problem,
)


@pytest.mark.parametrize("name", ["web", "a_b-9", "x" * 128])
def test_a_process_type_is_a_word(name: str) -> None:
    assert type_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "a b", "a\n", "a\0", "../x", "ä", "a=b", "\033[2J"]
)
def test_a_process_type_is_nothing_else(name: str) -> None:
    assert type_problem(name) == "must consist of 1 to 128 letters, digits, hyphens and underscores"


@pytest.mark.parametrize("name", ["", "A=B", "A\0", "A\nB", "\033[2J", "A\x85", "A\u2028"])
def test_a_name_of_a_variable_that_would_be_another_one_is_refused(name: str) -> None:
    assert variable_problem(name) == 'must not be empty or contain "=" or control characters'


@pytest.mark.parametrize("text", ["", "two\nlines", "\033[1m", "a=b", "\t"])
def test_a_value_may_be_all_that_an_environment_can_hold(text: str) -> None:
    assert value_problem(text) is None


def test_a_value_is_not_shown_where_it_is_refused() -> None:
    assert value_problem("s3cret\0") == "must be text without NUL, got a NUL character"
    assert value_problem("s3cret\ud800") == "must be Unicode text, got a lone surrogate"


@pytest.mark.parametrize("character", ["\0", "\n", "\033", "\x7f", "\x9b", "\u2028"])
def test_a_line_has_no_control_character(character: str) -> None:
    found = f"U+{ord(character):04X}"
    assert line_problem(f"https://s3cret{character}") == (
        f"must be one line of text, got the character {found}"
    )


GOOD = Release(
    app="shop",
    version=1,
    config={"A": "1\n2"},
    processes=(ProcessType("web", Command(("./web\n",)), size="eco"),),
    slug=Slug("slug.tgz", "SHA256:"),
    stack="heroku-24",
    metadata={"HEROKU_SLUG_DESCRIPTION": "two\nlines"},
)


def test_a_good_release_has_no_fault() -> None:
    assert [*release_faults(GOOD)] == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"app": "a\nb"}, "the application's name"),
        ({"stack": "\033"}, "the stack"),
        ({"slug": Slug("a\0b")}, "the slug"),
        ({"slug": Slug("a", "\n")}, "the slug's checksum"),
        ({"logplex_url": "\n"}, "the log URL"),
        ({"config": {"A=": ""}}, "the name of a config var"),
        ({"config": {"A": "\0"}}, "the config var A"),
        ({"metadata": {"HEROKU_SLUG_COMMIT": "\0"}}, "the config var HEROKU_SLUG_COMMIT"),
        ({"processes": (ProcessType("a b", Command(("x",))),)}, "the name of a process type"),
        (
            {"processes": (ProcessType("web", Command(("x", "\0"))),)},
            "the command of the process type web",
        ),
        (
            {"processes": (ProcessType("web", Command(("x",)), size="\n"),)},
            "the size of the process type web",
        ),
        (
            {"processes": (ProcessType("web", Command(("x",)), quantity=10_001),)},
            "the quantity of the process type web",
        ),
    ],
)
def test_each_text_of_a_release_is_looked_at(changes: dict[str, Any], place: str) -> None:
    assert [fault.place for fault in release_faults(GOOD._replace(**changes))] == [place]


def test_of_the_faults_of_a_file_the_first_of_each_kind_are_told() -> None:
    counter = MOST_SHOWN + 3
    faults = (Fault(f"line {n}", "x", is_warning=n % 2 == 0) for n in range(2 * counter))
    found = bounded_faults(faults)
    assert found[: 2 * MOST_SHOWN] == tuple(
        Fault(f"line {n}", "x", is_warning=n % 2 == 0) for n in range(2 * MOST_SHOWN)
    )
    text = "3 more like these are not shown"
    assert found[2 * MOST_SHOWN :] == (Fault("", text), Fault("", text, is_warning=True))
    assert bounded_faults(found[:3]) == found[:3]
