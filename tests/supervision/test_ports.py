from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import DriverError, InvalidRelease
from hsup.events import ReleaseRejected as RejectedEvent
from hsup.model import DynoName
from hsup.supervision.ports import Ports, base_of
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource, make_release
from hsup.testing.memory_driver import MemoryDyno
from tests.supervision.supervised import Supervise, end

DYNO_NAMES = st.builds(DynoName, st.sampled_from(["web", "worker", "clock"]), st.integers(1, 250))
LEASES = st.lists(st.tuples(st.booleans(), DYNO_NAMES), max_size=60)


@pytest.mark.parametrize(
    ("name", "port"),
    [
        (DynoName("web", 1), 5000),
        (DynoName("web", 100), 5099),
        (DynoName("worker", 1), 5100),
        (DynoName("worker", 3), 5102),
        (DynoName("clock", 1), 5200),
    ],
    ids=str,
)
def test_a_port_is_known_beforehand(name: DynoName, port: int) -> None:
    assert Ports(["web", "worker", "clock"]).lease(name) == port


@pytest.mark.parametrize(
    ("config", "base"), [({}, 5000), ({"PORT": ""}, 5000), ({"PORT": "8080"}, 8080)], ids=str
)
def test_the_base_is_the_port_of_the_release_or_5000(config: dict[str, str], base: int) -> None:
    assert base_of(make_release(config=config, web=1)) == base


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", " 80"])
def test_a_port_of_the_release_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(InvalidRelease) as caught:
        base_of(make_release(config={"PORT": port}, web=1))
    told = 'v1 of shop: config var "PORT" must be a number from 1 to 65535'
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("base", "expected"), [(5100, [5100, 5101, 5200]), (5001, [5001, 5002, 5101])]
)
def test_dynos_get_other_ports_when_the_base_has_changed(base: int, expected: list[int]) -> None:
    """However much the old and the new ports overlap."""
    ports = Ports(["web", "worker"])
    names = (DynoName("web", 1), DynoName("web", 2), DynoName("worker", 1))
    assert [*map(ports.lease, names)] == [5000, 5001, 5100]
    ports.count_from(base)
    assert [*map(ports.lease, names)] == expected


def test_what_is_only_asked_for_is_not_leased() -> None:
    ports = Ports(["web"])
    with ports.for_now():
        ports.count_from(7000)
        assert ports.lease(DynoName("web", 1)) == 7000
    assert ports.lease(DynoName("web", 1)) == 5000


def test_what_fails_takes_and_changes_nothing() -> None:
    ports = Ports(["web"])
    web = DynoName("web", 1)
    ports.lease(web)

    def fail() -> None:
        with ports.all_or_none():
            ports.count_from(7000)
            ports.lease(web)
            ports.lease(DynoName("web", 2))
            raise DriverError("no")

    with pytest.raises(DriverError):
        fail()
    assert (ports.base, ports.lease(web), ports.lease(DynoName("web", 2))) == (5000, 5000, 5001)


def test_a_dyno_keeps_its_port() -> None:
    ports = Ports(["web"])
    assert ports.lease(DynoName("web", 1)) == ports.lease(DynoName("web", 1))


def test_a_type_keeps_its_index_when_others_come() -> None:
    ports = Ports(["web", "worker"])
    ports.know(["admin", "worker", "web"])
    assert ports.lease(DynoName("worker", 1)) == 5100
    assert ports.lease(DynoName("admin", 1)) == 5200


def test_a_type_that_nobody_named_before_gets_the_next_index() -> None:
    assert Ports(["web"]).lease(DynoName("run", 1)) == 5100


def test_a_port_that_another_type_has_reached_is_skipped() -> None:
    ports = Ports(["web", "worker"])
    assert ports.lease(DynoName("web", 101)) == 5100
    assert ports.lease(DynoName("worker", 1)) == 5101
    assert ports.lease(DynoName("worker", 2)) == 5102


def test_a_port_that_was_given_back_is_leased_again() -> None:
    ports = Ports(["web"])
    ports.lease(DynoName("web", 1))
    ports.release(DynoName("web", 1))
    assert ports.lease(DynoName("web", 1)) == 5000


def test_giving_back_what_was_never_taken_does_nothing() -> None:
    ports = Ports(["web"])
    ports.release(DynoName("web", 9))
    assert ports.lease(DynoName("web", 9)) == 5008


@given(calls=LEASES)
def test_no_two_dynos_have_the_same_port(calls: list[tuple[bool, DynoName]]) -> None:
    ports = Ports(["web", "worker"])
    leases: dict[DynoName, int] = {}
    for is_lease, name in calls:
        if is_lease:
            port = ports.lease(name)
            assert leases.setdefault(name, port) == port
        else:
            ports.release(name)
            leases.pop(name, None)
        assert len(set(leases.values())) == len(leases)


@given(number=st.integers(1, 10**6), types=st.integers(1, 1000))
def test_a_port_is_one_that_there_is(number: int, types: int) -> None:
    names = [f"type{index}" for index in range(types)]
    assert 5000 <= Ports(names).lease(DynoName(names[-1], number)) <= 65535


def test_when_no_port_is_left_it_is_said() -> None:
    ports = Ports(["web"])
    for number in range(1, 65535 - 5000 + 2):
        ports.lease(DynoName("web", number))
    told = r"^no port is left for web\.70000: dynos use every port from 5000 up; "
    told += r"start fewer dynos, or choose a lower base with -p$"
    with pytest.raises(DriverError, match=told):
        ports.lease(DynoName("web", 70_000))


async def test_a_port_that_was_given_back_is_given_again(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=2)
    supervisor, running = supervise()
    await told.state("web.2", "up")
    source.release(version=2, web=1)
    await told.state("web.2", "stopped")
    source.release(version=3, web=2)
    assert (await driver.dyno("web.2", nth=2)).spec.port == 5001
    await end(supervisor, running)


WAITING = "Waiting for port 6100, which worker.1 has until it ends"


#: Makes a supervisor whose dyno keeps a port.
Leaving = Callable[[], AbstractAsyncContextManager[MemoryDyno]]


@pytest.fixture
def leaving(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> Leaving:
    """Return a supervisor's dyno that keeps the port which the next release gives to web.1."""

    @asynccontextmanager
    async def supervised() -> AsyncIterator[MemoryDyno]:
        driver.obeys = False
        source.release(version=1, config={"PORT": "6000"}, web=1, worker=1)
        supervisor, running = supervise(shares_ports=True)
        for name in ("web.1", "worker.1"):
            await told.state(name, "up")
        driver.obeys = True
        source.release(version=2, config={"PORT": "6100"}, web=1, worker=1)
        await told.state("web.1", "restarting")
        (await driver.dyno("web.1")).end(0)
        await sink.until(lambda one: WAITING in one.said("web.1"))
        leaving = await driver.dyno("worker.1")
        yield leaving
        leaving.end(0)
        await end(supervisor, running)

    return supervised


async def test_a_dyno_starts_once_its_port_is_given_up_by_one_of_the_release_before(
    leaving: Leaving, driver: MemoryDriver
) -> None:
    async with leaving() as worker:
        assert worker.spec.port == 6100
        assert len(driver.started["web.1"]) == 1
        worker.end(0)
        assert (await driver.dyno("web.1", nth=2)).spec.port == 6100
        assert (await driver.dyno("worker.1", nth=2)).spec.port == 6200


async def test_a_dyno_that_waits_for_its_port_can_be_stopped(
    leaving: Leaving, source: MemorySource, told: EventRecorder
) -> None:
    async with leaving() as worker:
        source.release(version=3, config={"PORT": "6100"}, worker=1)
        await told.state("web.1", "stopped")
        assert not worker.has_ended


async def test_a_release_with_too_many_dynos_takes_no_port_of_a_later_one(
    supervise: Supervise, source: MemorySource, told: EventRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.supervision.ports.HIGHEST_PORT", 5001)
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, web=1, worker=2)
    await told.until(lambda one: one.of(RejectedEvent))
    assert "no port is left for worker.2: " in str(told.of(RejectedEvent)[0].error)
    source.release(version=3, web=1, clock=1)
    await told.state("clock.1", "up")
    await end(supervisor, running)
