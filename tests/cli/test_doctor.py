from __future__ import annotations

import json
from pathlib import Path

import pytest

from hsup.errors import PluginError
from tests.cli.calling import call, failed
from tests.cli.telling import DRAINED, EXAMINING
from tests.conftest import Installer


def test_findings_are_marked_and_remedies_stand_beneath(install: Installer) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "-d", "choosy")
    assert ended.exit_code == 1
    assert ended.output == (
        "choosy:\n"
        "  ok       kernel  Linux 6.1\n"
        "  missing  nft     not found\n"
        "                   apt install nftables\n"
        "  absent   swap    none\n"
    )


def test_what_is_not_needed_may_be_absent(install: Installer) -> None:
    install("hsup-driver-choosy", EXAMINING)
    assert call("doctor", "-d", "content").exit_code == 0


def test_a_driver_that_examines_nothing_says_so() -> None:
    ended = call("doctor", HSUP_DRIVER="simple")
    assert (ended.exit_code, ended.output) == (0, "simple: has nothing to check\n")


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("broken", 'CHOOSY is "x"', "write a number"),
        (
            "incomplete",
            "No module named 'no_such_library'",
            "reinstall hsup-driver-choosy where hsup is",
        ),
    ],
)
def test_a_driver_that_cannot_be_made_is_a_finding(
    install: Installer, name: str, text: str, remedy: str
) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "-d", name)
    assert ended.exit_code == 1
    assert text in ended.output
    assert remedy in ended.output


def test_every_driver_is_examined_where_none_is_named(install: Installer) -> None:
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--json")
    assert ended.exit_code == 1
    found = json.loads(ended.output)
    assert {"broken", "choosy", "content", "incomplete", "simple"} <= found.keys()
    assert found["simple"] is None
    assert found["choosy"][1] == {
        "subject": "nft",
        "mark": "missing",
        "text": "not found",
        "remedy": "apt install nftables",
    }


@pytest.mark.parametrize("words", [(), ("--explain",)])
def test_an_unknown_driver_is_an_error(words: tuple[str, ...]) -> None:
    assert isinstance(failed("doctor", "-d", "nothing", *words), PluginError)


def test_each_log_drain_is_a_line_that_says_whether_it_can_be_created(
    install: Installer, directory: Path
) -> None:
    install("hsup-log-kept", DRAINED)
    words = ("doctor", "-d", "simple", "--drain", "kept://x/s3cret", "--drain", "kept://y?a=s3cret")
    ended = call(*words)
    assert ended.exit_code == 1
    assert ended.output.splitlines()[1:] == [
        "log drains:",
        '  ok       kept://x  a drain of kind "kept"',
        '  missing  kept://y  a drain of scheme "kept" has no parameter "a"',
        "                     use colour",
    ]
    assert (directory / "told").read_text() == "created\nclosed\n"
    listed = json.loads(call(*words, "--json").output)["log drains"]
    assert [one["mark"] for one in listed] == ["ok", "missing"]


@pytest.mark.usefixtures("directory")
def test_a_log_drain_whose_plugin_is_not_installed_is_missing() -> None:
    ended = call("doctor", "-d", "simple", HSUP_DRAIN="nosuch://x/s3cret")
    assert ended.exit_code == 1
    assert '  missing  nosuch://x  HSUP_DRAIN: there is no log drain "nosuch"' in ended.output
    assert "s3cret" not in ended.output
