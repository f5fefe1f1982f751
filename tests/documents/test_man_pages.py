"""The manual pages have what `--help` says, and man shows it as it is written."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from hsup.cli.commands import hsup
from hsup.cli.shared import SHARED_OPTIONS
from tests.documents.pages import man_pages

PAGES = man_pages().pages()


def shown(name: str, directory: Path) -> str:
    """Return a page as man prints it, without hyphens of its own; it must not warn of anything."""
    path = directory / f"{name}.1"
    path.write_text(PAGES[name])
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "500"}
    man = ["man", "--warnings", "--no-hyphenation", "--no-justification", "--local-file", str(path)]
    told = subprocess.run(man, capture_output=True, text=True, check=True, env=environ)
    assert not told.stderr
    return re.sub(".\b", "", told.stdout)


def test_every_command_has_a_page() -> None:
    commands = hsup.list_commands(click.Context(hsup))
    assert {"hsup", "hsup-stacks-import", *(f"hsup-{one}" for one in commands)} <= PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_all_sections_in_order(name: str, tmp_path: Path) -> None:
    found = re.findall("^([A-Z].*[A-Z])$", shown(name, tmp_path), re.MULTILINE)
    more = ("COMMANDS", "EXAMPLES", "SIGNALS", "NOTES")
    sections = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"]
    assert [one for one in found if one not in more] == sections


def test_a_page_begins_with_what_the_command_does(tmp_path: Path) -> None:
    assert "hsup-run - run a command as a one-off dyno of the current release\n" in (
        shown("hsup-run", tmp_path)
    )


@pytest.mark.parametrize("name", ["hsup", "hsup-start", "hsup-check", "hsup-stacks-import"])
def test_a_page_has_every_option_and_its_text(name: str, tmp_path: Path) -> None:
    page = " ".join(shown(name, tmp_path).split())
    context = click.Context(hsup, info_name="hsup")
    command: click.Command = hsup
    for word in name.split("-")[1:]:
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None
        command = found
    own = [one for one in command.params if isinstance(one, click.Option)]
    records = [
        one.get_help_record(context) for one in own if name == "hsup" or one not in SHARED_OPTIONS
    ]
    assert records
    for names, text in filter(None, records):
        assert f"{names} {' '.join(text.replace('`', '').split())}" in page


def test_examples_are_set_as_they_are_written(tmp_path: Path) -> None:
    line = """hsup run -- echo "a  b" '$HOME'        several words are run as they are\n"""
    assert line in shown("hsup-run", tmp_path)


def test_what_troff_would_take_for_something_else_is_shown(tmp_path: Path) -> None:
    text = r""".a line '\n' -- `x` ^~ a\b"""
    PAGES["text"] = f'.TH "T" 1\n.SH NAME\n{man_pages().troff(text)}\n'
    assert text in shown("text", tmp_path)


def test_exit_statuses_are_those_of_their_page(tmp_path: Path) -> None:
    page = shown("hsup-start", tmp_path)
    assert re.search(r"^ +130 +SIGINT \(Ctrl-C\) stopped it, even if", page, re.MULTILINE)
    assert re.search(r"^ +1 +it has a fault$", shown("hsup-check", tmp_path), re.MULTILINE)


def test_pages_refer_to_one_another(tmp_path: Path) -> None:
    assert shown("hsup-stacks-import", tmp_path).split("SEE ALSO")[1].split()[:2] == [
        "hsup(1),",
        "hsup-stacks(1)",
    ]
    referred = {
        one for page in PAGES.values() for one in re.findall(r"^\.BR \\%(\S+) ", page, re.MULTILINE)
    }
    assert {one.replace(r"\-", "-") for one in referred} <= PAGES.keys()
