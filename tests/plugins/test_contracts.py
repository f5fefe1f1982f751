from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hsup.api import Checked, Fetched, Finding
from hsup.model import Command, ExitStatus, ProcessType, Release
from hsup.plugins import contracts

GOOD: Any = Release(app="shop", version=1, processes=(ProcessType("web", Command(("serve",))),))
STATUS: Any = ExitStatus()


def is_driver_or_none(value: object) -> str | None:
    return contracts.unless_none(contracts.is_driver)(value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (contracts.is_driver, SimpleNamespace(build=print, start=print)),
        (contracts.is_source, SimpleNamespace(fetch=print, changes=print)),
        (contracts.is_dyno, SimpleNamespace(wait=print, signal=print, destroy=print)),
        (is_driver_or_none, None),
        (contracts.is_status, ExitStatus(signal=9)),
        (contracts.are_texts, ["one", "two"]),
        (contracts.are_texts, ()),
        (contracts.are_findings, [Finding("kernel", is_good=True, text="Linux 6.1")]),
        (contracts.is_checked, None),
        (contracts.is_checked, Checked("Procfile", ())),
        (contracts.is_fetched, Fetched(release=None)),
        (contracts.is_fetched, Fetched(release=GOOD)),
        (contracts.is_release, GOOD),
    ],
)
def test_what_is_as_its_contract_says_is_taken(check, value):
    assert check(value) is None


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (contracts.is_driver, None, "a driver with build and start"),
        (contracts.is_driver, SimpleNamespace(build=print), "a driver with build and start"),
        (contracts.is_driver, SimpleNamespace(build=1, start=2), "a driver with build and start"),
        (is_driver_or_none, 1, "a driver with build and start"),
        (contracts.is_status, 0, "an ExitStatus"),
        (
            contracts.is_status,
            STATUS._replace(code="1"),
            "an ExitStatus with a whole number for its code",
        ),
        (contracts.are_texts, "one text", "a sequence of strings"),
        (contracts.are_texts, [1], "a sequence of strings, each a string"),
        (contracts.are_findings, ["swap: none"], "a sequence of findings, each a Finding"),
        (contracts.is_checked, "good", "a Checked"),
        (contracts.is_fetched, GOOD, "a Fetched"),
        (
            contracts.is_fetched,
            Fetched(GOOD._replace(version="1")),
            "a Fetched with a Release with a whole number for its version for its release",
        ),
    ],
)
def test_what_is_not_is_told_with_what_it_should_be(check, value, expected):
    assert check(value) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"version": "1"}, "a whole number for its version"),
        ({"app": None}, "a string for its app"),
        ({"config": {"A": 1}}, "a mapping of strings for its config"),
        ({"metadata": None}, "a mapping of strings for its metadata"),
        ({"processes": list(GOOD.processes)}, "a tuple of ProcessTypes for its processes"),
        (
            {"processes": (GOOD.processes[0]._replace(quantity="1"),)},
            "a ProcessType with a whole number for its quantity for its processes",
        ),
        (
            {"processes": (GOOD.processes[0]._replace(command="1"),)},
            "a ProcessType with a Command for its command for its processes",
        ),
        ({"slug": "/slug"}, "a Slug for its slug"),
        ({"author": 0}, "an Author for its author"),
    ],
    ids=str,
)
def test_every_field_of_a_release_has_its_type(fields, expected):
    assert contracts.is_release(GOOD._replace(**fields)) == f"a Release with {expected}"


@pytest.mark.parametrize("words", ["serve", 1, ["serve"], ("serve", 1)])
def test_the_words_of_a_command_are_a_tuple_of_texts(words):
    process = GOOD.processes[0]._replace(command=Command(words))
    told = contracts.is_release(GOOD._replace(processes=(process,)))
    assert told
    assert "a Command with " in told
