from __future__ import annotations

import json
from pathlib import Path

import pytest

from hsup.cli.explain import numbered
from tests.cli.calling import call
from tests.cli.telling import EXAMINING
from tests.conftest import Installer


def test_numbers_are_as_wide_as_the_last_one_of_the_driver() -> None:
    steps = {"one": ["do it"], "none": None, "many": [f"do {n}" for n in range(1, 11)], "no": []}
    lines = [*numbered(steps)]
    assert lines[:2] == ["one:", "  1  do it"]
    assert lines[2].startswith("none: ")
    assert lines[3:5] == ["many:", "   1  do 1"]
    assert lines[-2:] == ["  10  do 10", "no:"]


def test_the_steps_of_a_start_are_numbered(install: Installer, directory: Path) -> None:
    install("hsup-driver-choosy", EXAMINING)
    binds = [word for name in "abcdefghi" for word in ("--bind", f"{directory}:/mnt/{name}")]
    ended = call("doctor", "--explain", "-d", "choosy", *binds)
    assert ended.exit_code == 0
    lines = ended.output.splitlines()
    assert lines[:3] == [
        "choosy:",
        f"   1  make room for web.1 of {directory}",
        f"   2  bind {directory} at /mnt/a",
    ]
    assert lines[-1] == f"  10  bind {directory} at /mnt/i"


@pytest.mark.parametrize("driver", ["simple", "content"])
def test_a_driver_that_has_no_steps_to_tell_says_so(install: Installer, driver: str) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--explain", "-d", driver)
    assert ended.exit_code == 0
    assert ended.output == f"{driver}: does not explain how it starts a dyno\n"


def test_one_that_cannot_tell_them_keeps_no_other_from_it(
    install: Installer, capsys: pytest.CaptureFixture[str]
) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--explain", "--json", "--size", "wrong")
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert told["simple"] is None
    assert told["content"] is None
    assert told.keys().isdisjoint({"choosy", "broken", "incomplete"})
    text = f"{ended.stderr}{capsys.readouterr().err}"
    assert 'hsup: choosy: there is no size "wrong"' in text
    assert 'hsup: broken: CHOOSY is "x"' in text


def test_steps_are_a_list_for_programs(install: Installer, directory: Path) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--explain", "--json", "-d", "choosy")
    assert json.loads(ended.output) == {"choosy": [f"make room for web.1 of {directory}"]}
