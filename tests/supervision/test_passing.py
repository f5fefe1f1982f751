"""Which variables of hsup's caller dynos get."""

from __future__ import annotations

import pytest

from hsup.model import Release, Slug
from hsup.supervision.passing import Passing

THEIRS = {"A": "1", "AWS_KEY": "2", "PYTHONUNBUFFERED": ""}
OWN = dict.fromkeys(
    ("HSUP_X", "HEROKU_API_KEY", "HEROKU_ACCESS_TOKEN", "NOTIFY_SOCKET", "PWD"), "x"
)
HERE = Release(app="shop", version=1, slug=Slug(location="/srv/shop", inode=7))
ELSEWHERE = HERE._replace(slug=Slug(location="/srv/shop"))


def test_all_but_hsups_own_are_passed_on_where_the_release_was_read() -> None:
    passing = Passing(environ={**THEIRS, **OWN}, in_place=True)
    assert passing.variables(HERE) == THEIRS
    assert passing.variables(ELSEWHERE) == passing.variables(Release("shop", 1)) == {}


def test_python_does_not_buffer_there_unless_the_caller_wants_it_to() -> None:
    assert Passing(in_place=True, relayed=True).variables(HERE) == {"PYTHONUNBUFFERED": "1"}
    theirs = {"PYTHONUNBUFFERED": ""}
    assert Passing(environ=theirs, in_place=True, relayed=True).variables(HERE) == theirs
    assert Passing(in_place=True).variables(HERE) == {}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [((), []), (("A",), ["A"]), (("A*", "P*"), [*THEIRS]), (("*",), [*THEIRS]), (("a",), [])],
    ids=str,
)
def test_patterns_pass_on_what_is_not_hsups_own(
    patterns: tuple[str, ...], names: list[str]
) -> None:
    passing = Passing(environ={**THEIRS, **OWN}, patterns=patterns)
    assert passing.variables(HERE).keys() == passing.variables(ELSEWHERE).keys() == {*names}
