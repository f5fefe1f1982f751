"""What hsup says has the platform's words and its sources, whatever the driver."""

from __future__ import annotations

import re

from ftest.program import Hsup, Running, process

SECRET = "correct-horse-battery-staple"


def said(running: Running, source: str) -> list[str]:
    """Return the lines of a source, without their times."""
    return re.findall(rf"^\S+ {re.escape(source)}: (.*)$", running.out, re.MULTILINE)


def test_what_a_release_changes_is_told_without_a_value(hsup: Hsup) -> None:
    def release(version: int, quantity: int, **env: str) -> None:
        types = [process("one", hsup.born, quantity=quantity), process("two", "x", quantity=0)]
        hsup.release(Version=version, Env=env, Processes=types)

    release(3, 1, A="1", B="2")
    running = hsup.start("--quantities", "release")
    running.wait_for("born$")
    release(4, 1, A="1", TOKEN=SECRET, Z="")
    running.wait_for("born$", count=2)
    release(4, 2, A="1", TOKEN=SECRET, Z="")
    running.wait_for("born$", count=3)
    assert running.stop() == 0
    assert said(running, "app[api]") == [
        "Release v3 created",
        "Set TOKEN, Z config vars",
        "Remove B config vars",
        "Release v4 created",
        "Scaled to one@2 two@0",
    ]
    assert SECRET not in running.said


def test_a_life_is_told_as_on_the_platform(hsup: Hsup) -> None:
    hsup.release(Version=1, Processes=[process("one", hsup.born)])
    running = hsup.start()
    running.wait_for("born$")
    hsup.release(Version=2, Env={"A": "1"}, Processes=[process("one", hsup.born)])
    running.wait_for("born$", count=2)
    assert running.stop() == 0
    once = [f"Starting process with command `{hsup.born}`", "State changed from starting to up"]
    assert said(running, "heroku[one.1]") == [
        *once,
        "Restarting",
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
        "State changed from up to starting",
        *once,
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
        "State changed from up to down",
    ]
    assert said(running, "hsup[one.1]") == []


def test_a_release_phase_is_told_with_the_name_that_its_dyno_has(hsup: Hsup) -> None:
    hsup.procfile(release="echo I am $DYNO", one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    hsup.procfile(release="exit 3", one=f"true; {hsup.born}")
    running.wait_for("Release rejected, still running v1: ")
    assert running.stop() == 0
    assert said(running, "app[api]") == [
        "Running release v1 commands",
        "Release v1 created",
        "Running release v2 commands",
        "Release v2 command failed",
    ]
    name = re.search(r"heroku\[(release\.\d{4})\]: Starting process", running.out)
    assert name
    assert said(running, f"app[{name[1]}]") == [f"I am {name[1]}"]
    assert said(running, f"heroku[{name[1]}]") == [
        "Starting process with command `echo I am $DYNO`",
        "State changed from starting to up",
        "Process exited with status 0",
        "State changed from up to complete",
    ]


def test_the_platform_is_not_at_fault_for_a_command_that_does_not_exist(hsup: Hsup) -> None:
    hsup.release(Version=1, Processes=[process("one", "/nosuch/command", "with", "words")])
    done = hsup.call("start", "--oneshot")
    command = "Starting process with command `/nosuch/command with words`"
    assert f" heroku[one.1]: {command}\n" in done.text
    assert done.text.count("/nosuch/command") > 1  # the cause
    assert "R99" not in done.text
