from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hsup.api import Checked, Fetched, Finding
from hsup.model import Command, ExitStatus, Fault, ProcessType, Release
from hsup.plugins import contracts

GOOD: Any = Release(app="shop", version=1, processes=(ProcessType("web", Command(("serve",))),))
STATUS: Any = ExitStatus()
NO_TEXT: Any = 3


def is_driver_or_none(value: object) -> contracts.Wrong | None:
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
def test_what_is_as_its_contract_says_is_taken(check: Callable[..., Any], value: Any) -> None:
    assert check(value) is None


@pytest.mark.parametrize(
    ("check", "value", "told"),
    [
        (contracts.is_driver, None, "instead of a driver with build and start"),
        (contracts.is_driver, SimpleNamespace(build=print), "instead of a driver with build and"),
        (contracts.is_driver, SimpleNamespace(build=1, start=2), "instead of a driver with build"),
        (is_driver_or_none, 1, "instead of a driver with build and start"),
        (contracts.is_status, 0, "instead of an ExitStatus"),
        (contracts.is_status, STATUS._replace(code="1"), "whose code is not a whole number"),
        (contracts.are_texts, "one text", "instead of a sequence of strings"),
        (contracts.are_texts, ["one", 1], "whose item [1] is not a string"),
        (contracts.are_findings, ["swap: none"], "whose item [0] is not a Finding"),
        (
            contracts.are_findings,
            [Finding("kernel", is_good=True, text=NO_TEXT)],
            "whose item [0].text is not a string",
        ),
        (contracts.is_checked, "good", "instead of a Checked"),
        (
            contracts.is_checked,
            Checked("Procfile", (Fault("", NO_TEXT),)),
            "whose faults[0].problem is not a string",
        ),
        (contracts.is_fetched, GOOD, "instead of a Fetched"),
        (
            contracts.is_fetched,
            Fetched(GOOD._replace(version="1")),
            "whose release.version is not a whole number",
        ),
    ],
)
def test_what_is_not_is_told_with_what_it_should_be(
    check: Callable[..., Any], value: Any, told: str
) -> None:
    assert str(check(value)).startswith(told)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"version": "1"}, "version is not a whole number"),
        ({"app": None}, "app is not a string"),
        ({"config": {"A": 1}}, "config is not a mapping of strings"),
        ({"metadata": None}, "metadata is not a mapping of strings"),
        ({"processes": list(GOOD.processes)}, "processes is not a tuple of ProcessTypes"),
        (
            {"processes": (GOOD.processes[0]._replace(quantity="1"),)},
            "processes[0].quantity is not a whole number",
        ),
        (
            {"processes": (GOOD.processes[0]._replace(command="1"),)},
            "processes[0].command is not a Command",
        ),
        ({"slug": "/slug"}, "slug is not a Slug"),
        ({"author": 0}, "author is not an Author"),
    ],
    ids=str,
)
def test_every_field_of_a_release_has_its_type(fields: dict[str, Any], told: str) -> None:
    assert str(contracts.is_release(GOOD._replace(**fields))) == f"whose {told}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("serve", " is not a tuple of strings"),
        (1, " is not a tuple of strings"),
        (["serve"], " is not a tuple of strings"),
        (("serve", 1), "[1] is not a string"),
    ],
)
def test_the_words_of_a_command_are_a_tuple_of_texts(words: Any, told: str) -> None:
    process = GOOD.processes[0]._replace(command=Command(words))
    wrong = contracts.is_release(GOOD._replace(processes=(process,)))
    assert str(wrong) == f"whose processes[0].command.words{told}"
