"""Which variables of hsup's caller dynos get."""

from __future__ import annotations

import pytest

from hsup.model import Release, Slug
from hsup.supervision.passing import Passing

THEIRS = {"A": "1", "AWS_KEY": "2", "PYTHONUNBUFFERED": ""}
OWN = dict.fromkeys(
    (
        *("HSUP_X", "HEROKU_API_KEY", "HEROKU_ACCESS_TOKEN", "HEROKU_OAUTH_TOKEN"),
        *("HEROKU_HEADERS", "NOTIFY_SOCKET", "LISTEN_PIDFDID", "MANAGERPID", "SYSTEMD_EXEC_PID"),
        *("MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "CREDENTIALS_DIRECTORY"),
        *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY"),
        *("CONFIGURATION_DIRECTORY", "PWD"),
    ),
    "x",
)
HERE = Release(app="shop", version=1, slug=Slug(location="/srv/shop", inode=7))
ELSEWHERE = HERE._replace(slug=Slug(location="/srv/shop"))


def test_all_but_hsups_own_are_passed_on_where_the_release_was_read() -> None:
    passing = Passing(environ={**THEIRS, **OWN}, in_place=True)
    assert passing.variables(HERE) == THEIRS
    assert passing.variables(ELSEWHERE) == passing.variables(Release("shop", 1)) == {}


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("release", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
def test_where_hsup_passes_output_on_python_does_not_buffer_it(
    release: Release, *, in_place: bool
) -> None:
    relayed = Passing(in_place=in_place, relayed=True)
    assert relayed.variables(release) == {"PYTHONUNBUFFERED": "1"}
    assert Passing(in_place=in_place).variables(release) == {}


def test_python_buffers_where_the_caller_wants_it_to() -> None:
    theirs = {"PYTHONUNBUFFERED": ""}
    assert Passing(environ=theirs, in_place=True, relayed=True).variables(HERE) == theirs


def test_colours_are_as_the_caller_wants_them() -> None:
    theirs = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
    passed = Passing(environ={**theirs, **THEIRS}, relayed=True).variables(ELSEWHERE)
    assert passed == {"PYTHONUNBUFFERED": "1", **theirs}


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
