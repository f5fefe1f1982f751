from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsup.supervision import port_reservation
from hsup.supervision.port_reservation import PortReservation


@pytest.fixture
def reserving() -> Iterator[Callable[[], PortReservation]]:
    """Return a maker of reservations, which are given up at the end."""
    made: list[PortReservation] = []

    def make() -> PortReservation:
        made.append(PortReservation())
        return made[-1]

    yield make
    for one in made:
        one.hold(())


def test_what_one_hsup_has_reserved_no_other_can_take(
    reserving: Callable[[], PortReservation],
) -> None:
    first, second = reserving(), reserving()
    assert first.take([5000, 5001, 5100])
    assert first.take([5000, 5001, 5100])
    assert first.could_take([5000, 5100])
    for ports in ([5000], [5100], [5099, 5500]):
        assert not second.could_take(ports)
        assert not second.take(ports)
    assert second.could_take([5200, 5500])
    assert second.take([5200, 5500])
    assert not first.could_take([5200])


def test_other_ports_take_the_place_of_earlier_ones(
    reserving: Callable[[], PortReservation],
) -> None:
    first, second = reserving(), reserving()
    first.hold([5000, 5100])
    first.hold([5100, 5500])
    assert second.could_take([5000])
    assert not second.could_take([5100])
    assert not second.could_take([5500])


def test_an_attempt_that_fails_reserves_nothing_for_the_next_one(
    reserving: Callable[[], PortReservation],
) -> None:
    first, second, third = reserving(), reserving(), reserving()
    assert first.take([5100])
    assert not second.take([5000, 5100, 5200])
    assert third.could_take([5200])
    assert second.take([5500])
    assert third.could_take([5000])


def test_to_hold_ports_does_without_those_of_others(
    reserving: Callable[[], PortReservation],
) -> None:
    first, second, third = reserving(), reserving(), reserving()
    first.hold([5000])
    second.hold([5000, 5100])
    first.hold(())
    assert third.could_take([5000])
    assert not third.could_take([5100])


def test_to_ask_for_ports_reserves_none(reserving: Callable[[], PortReservation]) -> None:
    first, second = reserving(), reserving()
    assert first.could_take([5000])
    assert second.take([5000])


def test_without_a_descriptor_ports_are_as_if_no_hsup_had_them(
    reserving: Callable[[], PortReservation],
) -> None:
    first, second = reserving(), reserving()
    first.hold([5000])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        assert second.could_take([5000])
        assert second.take([5000])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not second.could_take([5000])


def test_what_a_killed_hsup_had_reserved_is_free_even_if_its_dynos_run(
    reserving: Callable[[], PortReservation],
) -> None:
    code = f"""\
import subprocess, time
from hsup.supervision import port_reservation
port_reservation.NAME = {port_reservation.NAME!r}
assert port_reservation.PortReservation().take([5000])
dyno = subprocess.Popen(["sleep", "60"], close_fds=False)
print(dyno.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as hsup:
        assert hsup.stdout is not None
        dyno = int(hsup.stdout.readline())
        try:
            was_taken = not reserving().could_take([5000])
            hsup.kill()
            hsup.wait()
            assert Path(f"/proc/{dyno}").exists()
            assert was_taken
            assert reserving().take([5000])
        finally:
            os.kill(dyno, signal.SIGKILL)
