from __future__ import annotations

import json

from tests.cli.calling import call
from tests.cli.telling import TELLING
from tests.conftest import Installer


def test_plugins_are_listed_with_their_hooks(install: Installer) -> None:
    install("hsup-driver-telling", TELLING, version="4.5", entry_point="driver-telling")
    lines = [line.split() for line in call("plugins").output.splitlines()]
    assert lines[0] == ["NAME", "DISTRIBUTION", "VERSION", "HOOKS"]
    assert ["driver-telling", "hsup-driver-telling", "4.5", "hsup_register_drivers"] in lines


def test_a_broken_plugin_is_listed_with_its_fault(install: Installer) -> None:
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    output = call("plugins").output
    assert "not loaded" in output
    assert 'fault: plugin "driver-frob" of hsup-driver-frob 4.5 is not loaded: ZeroDiv' in output


def test_plugins_are_listed_as_json_too(install: Installer) -> None:
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    listing = json.loads(call("plugins", "--json").output)
    assert {
        "name": "driver-frob",
        "distribution": "hsup-driver-frob",
        "version": "4.5",
        "hooks": [],
        "error": "ZeroDivisionError: division by zero",
    } in listing["plugins"]
    assert "simple" in listing["drivers"]
    assert {"directory", "procfile"} <= set(listing["sources"])
    assert len(listing["faults"]) == 1
