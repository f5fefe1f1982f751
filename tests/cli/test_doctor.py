from __future__ import annotations

import json

import pytest

from hsup.errors import PluginError
from tests.cli.calling import call, failed

# Drivers that examine the machine: `choosy` has two needs, `broken` cannot be made.
EXAMINING = """
from hsup import hookimpl
from hsup.api import Finding
from hsup.errors import DynoStartError, UsageError

class ChoosyDriver:
    def build(self, release):
        pass

    async def start(self, spec, output):
        pass

    def examine(self):
        return [
            Finding("kernel", is_good=True, text="Linux 6.1"),
            Finding("nft", is_good=False, text="not found", remedy="apt install nftables"),
            Finding("swap", is_good=False, text="none"),
        ]

    def explain(self, spec):
        if spec.size == "wrong":
            raise DynoStartError('there is no size "wrong"')
        mounted = [f"bind {one.host} at {one.dyno}" for one in spec.binds]
        return [f"make room for {spec.name} of {spec.slug.location}", *mounted]

class ContentDriver(ChoosyDriver):
    explain = None

    def examine(self):
        return [Finding("swap", is_good=False, text="none")]

def broken(settings):
    raise UsageError('CHOOSY is "x"', hint="write a number")

def incomplete(settings):
    import no_such_library

@hookimpl
def hsup_register_drivers():
    return {
        "choosy": lambda settings: ChoosyDriver(),
        "content": lambda settings: ContentDriver(),
        "broken": broken,
        "incomplete": incomplete,
    }
"""


def test_findings_are_marked_and_remedies_stand_beneath(install):
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


def test_what_is_not_needed_may_be_absent(install):
    install("hsup-driver-choosy", EXAMINING)
    assert call("doctor", "-d", "content").exit_code == 0


def test_a_driver_that_examines_nothing_says_so():
    ended = call("doctor", HSUP_DRIVER="simple")
    assert (ended.exit_code, ended.output) == (0, "simple: has nothing to check\n")


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("broken", 'CHOOSY is "x"', "write a number"),
        ("incomplete", "No module named 'no_such_library'", "pip install --force-reinstall"),
    ],
)
def test_a_driver_that_cannot_be_made_is_a_finding(install, name, text, remedy):
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "-d", name)
    assert ended.exit_code == 1
    assert text in ended.output
    assert remedy in ended.output


def test_every_driver_is_examined_where_none_is_named(install):
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
def test_an_unknown_driver_is_an_error(words):
    assert isinstance(failed("doctor", "-d", "nothing", *words), PluginError)


def test_the_steps_of_a_start_are_numbered(install, folder):
    install("hsup-driver-choosy", EXAMINING)
    binds = [word for name in "abcdefghi" for word in ("--bind", f"{folder}:/mnt/{name}")]
    ended = call("doctor", "--explain", "-d", "choosy", *binds)
    assert ended.exit_code == 0
    lines = ended.output.splitlines()
    assert lines[:3] == [
        "choosy:",
        f"   1  make room for web.1 of {folder}",
        f"   2  bind {folder} at /mnt/a",
    ]
    assert lines[-1] == f"  10  bind {folder} at /mnt/i"


@pytest.mark.parametrize("driver", ["simple", "content"])
def test_a_driver_that_has_no_steps_to_tell_says_so(install, driver):
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--explain", "-d", driver)
    assert ended.exit_code == 0
    assert ended.output == f"{driver}: does not explain how it starts a dyno\n"


def test_one_that_cannot_tell_them_keeps_no_other_from_it(install, capsys):
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


def test_steps_are_a_list_for_programs(install, folder):
    install("hsup-driver-choosy", EXAMINING)
    ended = call("doctor", "--explain", "--json", "-d", "choosy")
    assert json.loads(ended.output) == {"choosy": [f"make room for web.1 of {folder}"]}
