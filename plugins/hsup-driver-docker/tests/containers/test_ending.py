"""The end of a container is known, whichever stream of the engine reports it first."""

from __future__ import annotations

import itertools
import json

import pytest

from hsup.model import ExitStatus
from hsup_driver_docker.containers.ending import Ending
from hsup_driver_docker.engine.client import State
from hsup_driver_docker.engine.connection import EngineError


def event(what: str, **attributes: str) -> bytes:
    actor = {"ID": "c1", "Attributes": attributes}
    return (json.dumps({"Action": what, "Actor": actor}) + "\n").encode()


def removed(code: int) -> bytes:
    return b'{"Error":null,"StatusCode":%d}\n' % code


def test_nothing_is_known_at_first() -> None:
    ending = Ending(b"", b"")
    assert (ending.code, ending.is_sure, ending.status()) == (None, False, None)


@pytest.mark.parametrize(("code", "is_sure"), [(0, True), (3, True), (137, False), (255, False)])
def test_a_status_is_sure_unless_the_engine_may_know_better(code: int, is_sure: bool) -> None:
    ending = Ending(b"", b"")
    assert not ending.hear(event("die", exitCode=str(code)))
    assert (ending.code, ending.is_sure) == (code, is_sure)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_memory_that_ran_out_is_known_in_whatever_order_it_is_told(
    order: tuple[int, int, int],
) -> None:
    ending = Ending(b"", b"")

    def be_removed() -> None:
        ending.see_removal(removed(137))
        ending.see_removal(b"")

    tell = (
        lambda: ending.hear(event("die", exitCode="137")),
        lambda: ending.hear(event("oom")),
        be_removed,
    )
    for number in order:
        tell[number]()
    assert ending.is_sure
    assert ending.status() == ExitStatus(signal=9, out_of_memory=True)


def test_a_removal_is_told_in_pieces_some_of_which_came_before() -> None:
    text = removed(5)
    ending = Ending(b"", text[:9])
    ending.see_removal(text[9:])
    assert not ending.is_sure
    ending.see_removal(b"")
    assert (ending.is_sure, ending.status()) == (True, ExitStatus(code=5))


def test_an_engine_that_goes_away_has_told_nothing() -> None:
    ending = Ending(b"", b"")
    ending.see_removal(b"")
    assert (ending.is_sure, ending.status()) == (True, None)


def test_a_container_that_runs_has_not_ended() -> None:
    ending = Ending(b"", b"")
    assert not ending.see_state(State(is_running=True))
    assert not ending.is_sure


def test_a_look_tells_no_more_than_was_known() -> None:
    ending = Ending(event("die", exitCode="137"), b"")
    ending.hear(b"")
    assert ending.see_state(State(is_running=False, code=1))
    assert (ending.is_sure, ending.code) == (True, 137)


def test_a_container_that_is_gone_with_its_status_is_an_error() -> None:
    with pytest.raises(EngineError, match="Podman did not report the exit status of the command"):
        Ending(b"", b"").see_state(None)
