"""The reference and troubleshooting say what the code says, all of it and nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from hsup import events
from hsup.cli.shared import SHARED_OPTIONS
from hsup.lifecycle import TABLE
from hsup.sizes import SIZES
from tests.documents.pages import DOCS, MODULES, ROOT, all_strings, generated

VARIABLE = re.compile(r"_?HSUP_[A-Z_]+|HEROKU_[A-Z_]+|DOCKER_[A-Z_]+|LIBCONTAINER_[A-Z_]+|NO_COLOR")
#: What hsup gives to dynos or to itself.
GIVEN = re.compile(r"HEROKU_(?:APP|BUILD|DYNO|RELEASE|SLUG)_[A-Z_]+|HSUP_EXECUTION|HSUP_PS1")
CODE = "\n".join(path.read_text() for path in MODULES)


def variables_in(text: str) -> set[str]:
    return {one for one in VARIABLE.findall(text) if not GIVEN.fullmatch(one)}


def test_every_variable_is_in_the_reference() -> None:
    read = {one for text in all_strings() if VARIABLE.fullmatch(text) for one in variables_in(text)}
    assert len(read) > 50
    page = (DOCS / "reference/variables.md").read_text()
    assert not read - variables_in(page + made("shared-options", "commands"))


def test_every_variable_of_the_reference_is_one() -> None:
    assert not {one for one in variables_in((DOCS / "reference/variables.md").read_text())
                if one not in CODE}  # fmt: skip


def test_every_event_is_in_the_reference() -> None:
    told = {events.HOOKS[event].removeprefix("hsup_") for event in events.Supervision.__args__}
    told |= set(re.findall(r'LogEvent\("(\w+)"', CODE))
    page = (DOCS / "reference/log.md").read_text() + made("log-lines")
    assert not {one for one in told if f"`{one}`" not in page}


def test_every_line_of_the_screen_is_in_the_reference() -> None:
    page = made("log-lines")
    assert "| `web.1 started (pid 4711, http://localhost:5000)` |" in page
    assert "| `web.1 was killed by SIGKILL, restarts now` |" in page
    assert "| `web.1 was killed by SIGKILL, out of memory (R15), restarts in 2 s` |" in page
    assert "| `Process exited with status 1` | `exited`: status `1` | nothing |" in page
    assert "| `Release v4 created` | `release_received` | `release v4` |" in page


def test_every_source_of_a_line_is_in_the_reference() -> None:
    page = made("log-lines")
    assert "| `heroku[web.1]` | `State changed from starting to up` |" in page
    assert "| `app[api]` | `Set A, B config vars` |" in page
    assert "| `hsup[supervisor]` | `Stopping all dynos: SIGTERM received` |" in page


def test_every_fact_of_a_line_is_in_the_reference() -> None:
    fields = (DOCS / "reference/log.md").read_text()
    facts = re.findall(r"; ((?:`[a-z_]+`(?:, )?)+) \|", made("log-lines"))
    named = {name for one in facts for name in re.findall("[a-z_]+", one)}
    assert {"formation", "config_vars", "expected"} <= named
    assert not {name for name in named if f"`{name}`" not in fields}


def test_the_default_of_a_choice_is_in_the_reference() -> None:
    assert re.search(r"^\| `--format .*\| `text` \|$", made("commands"), re.MULTILINE)


def test_every_negative_form_of_the_shared_options_is_in_the_reference() -> None:
    page = (DOCS / "reference/commands.md").read_text()
    forms = {one for option in SHARED_OPTIONS for one in option.secondary_opts}
    assert len(forms) == 6
    assert not {one for one in forms if f"`{one}`" not in page}


def test_the_readme_and_the_promises_say_the_same_of_the_environment() -> None:
    head = "| dynos run |"
    pages = (ROOT / "README.md", DOCS / "promises.md")
    first, second = (path.read_text().partition(head)[2].partition("\n\n")[0] for path in pages)
    assert first == second
    assert "PYTHONUNBUFFERED=1" in first


def made(*parts: str) -> str:
    """Return what is made from the code for a page."""
    return "\n".join(generated().PARTS[part]() for part in parts)


def test_every_size_is_in_the_reference() -> None:
    assert not {name for name in SIZES if f"`{name}`" not in made("sizes")}


def test_every_transition_is_in_the_concepts() -> None:
    assert len(made("lifecycle").splitlines()) == len(TABLE) + 2


def test_the_architecture_has_every_contract_of_imports() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    page = (DOCS / "architecture.md").read_text().partition("| contract | says |")[2]
    rows = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    assert rows == ["---", *(contract["name"] for contract in contracts)]


def test_every_part_that_is_made_is_on_a_page() -> None:
    pages = "\n".join(path.read_text() for path in DOCS.rglob("*.md"))
    asked = set(re.findall(r"^<!-- generated: (.+) -->$", pages, re.MULTILINE))
    assert asked == set(generated().PARTS)


@pytest.mark.parametrize("command", ["start", "run", "stacks import", "releases"])
def test_every_command_has_its_section(command: str) -> None:
    assert f"### hsup {command}\n" in made("commands")


def messages() -> Iterator[str]:
    """Return the messages of troubleshooting, as they stand in its tables."""
    for line in (DOCS / "troubleshooting.md").read_text().splitlines():
        if line.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def is_said(message: str) -> bool:
    """Tell whether some text in the code has all pieces of a message, in this order."""
    pieces = [piece.strip() for piece in message.split("…")]
    pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
    return any(map(pattern.search, all_strings()))


@pytest.mark.parametrize("message", sorted(set(messages())))
def test_every_message_of_troubleshooting_is_one_of_hsups(message: str) -> None:
    assert message.strip("…\" :,.'")
    assert is_said(message)


def test_a_message_that_hsup_does_not_say_is_found() -> None:
    assert is_said('there is no … "…"')
    assert not is_said("there is no … at all, whatever you do")
