from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Fetched
from hsup.errors import DriverError, InvalidRelease, UsageError
from hsup.model import RELEASE_TYPE, Bind, Command, DynoName, ProcessType, Release
from hsup.supervision import port_conflicts
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.port_reservation import PortReservation
from hsup.supervision.ports import AUTO, Base, Ports
from hsup.supervision.specs import SpecMaker
from hsup.testing import MemoryDriver, MemorySink, MemorySource, make_release
from tests.supervision.supervised import Supervise, end

AS_RELEASED = ScaleRequest(follows_release=True)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture
def make(ports: Ports, said: list[str]) -> Callable[..., SpecMaker]:
    """Return a maker of makers of specs, from a request and more options."""

    def maker(asked: ScaleRequest = AS_RELEASED, **options: Any) -> SpecMaker:
        plan = SupervisorOptions(source_name="s", driver_name="d", asked=asked, **options)
        return SpecMaker(plan, ports, said.append)

    return maker


def test_every_dyno_has_the_command_of_its_type_and_a_port_of_its_own(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    release = make_release(web=2, worker=1, clock=0, release=1)
    maker = make()
    maker.check(release, is_first=True)
    specs = maker.specs(release)
    assert [(str(name), str(one.command), one.port) for name, one in specs.items()] == [
        ("web.1", "serve web", 5000),
        ("web.2", "serve web", 5001),
        ("worker.1", "serve worker", 5100),
    ]
    assert all(name == one.name for name, one in specs.items())
    assert said == []


def test_the_release_phase_takes_no_ports_from_the_types_after_it(
    make: Callable[..., SpecMaker],
) -> None:
    release = make_release(release=1, web=1)
    maker = make()
    maker.check(release, is_first=True)
    assert maker.specs(release)[DynoName("web", 1)].port == 5000


def test_a_dyno_keeps_its_port_from_one_release_to_the_next(make: Callable[..., SpecMaker]) -> None:
    maker, name = make(), DynoName("web", 1)
    for release in (make_release(web=1), make_release(admin=1, web=1)):
        maker.check(release, is_first=False)
        assert maker.specs(release)[name].port == 5000


@pytest.mark.parametrize(("asked", "base"), [(None, 8080), (7000, 7000), (AUTO, 8080)], ids=str)
def test_ports_count_from_what_the_user_asked_for_or_the_port_of_the_release(
    make: Callable[..., SpecMaker], said: list[str], asked: Base | None, base: int
) -> None:
    release = make_release(config={"PORT": "8080"}, web=2, worker=1)
    maker = make(port=asked)
    maker.check(release, is_first=True)
    ports_of_dynos = [one.port for one in maker.specs(release).values()]
    assert ports_of_dynos == [base, base + 1, base + 100]
    assert said == []


def test_a_port_of_the_release_that_is_none_matters_only_where_it_is_used(
    make: Callable[..., SpecMaker],
) -> None:
    release = make_release(config={"PORT": "http"}, web=1)
    with pytest.raises(InvalidRelease, match="must be a number from 1 to 65535"):
        make().check(release, is_first=True)
    make(port=7000).check(release, is_first=True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ScaleRequest(),
            ["Notice: the release asks for web=3; start as many with --quantities release"],
        ),
        (AS_RELEASED, []),
        (ScaleRequest(quantities={"web": 1}), []),
    ],
    ids=["one of each", "as released", "typed"],
)
def test_where_fewer_dynos_are_started_than_the_release_asks_for_it_is_said(
    make: Callable[..., SpecMaker], said: list[str], asked: ScaleRequest, told: list[str]
) -> None:
    make(asked).tell_of_quantities(make_release(web=3, worker=1, clock=0, release=1))
    assert said == told


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Return the ports that other programs have."""
    ports: set[int] = set()

    def probe(port: int) -> int | None:
        return errno.EADDRINUSE if port in ports else None

    monkeypatch.setattr(port_conflicts, "probe", probe)
    return ports


def test_where_ports_are_shared_the_user_is_told_of_those_that_others_have(
    make: Callable[..., SpecMaker], taken: set[int]
) -> None:
    release = make_release(web=2)
    taken.add(5001)
    maker = make(shares_ports=True)
    specs = maker.specs(release)
    assert maker.port_warning(specs, held=()) == (
        "port 5001 of web.2 is taken by another program; choose free ports with -p 5500, or -p auto"
    )
    assert maker.port_warning(specs, held={5001}) is None
    assert make().port_warning(specs, held=()) is None


def test_a_free_base_is_chosen_once(make: Callable[..., SpecMaker], taken: set[int]) -> None:
    taken.update({5001, 5500})
    maker = make(shares_ports=True, port=AUTO)
    first = maker.specs(make_release(web=2))
    assert [one.port for one in first.values()] == [6500, 6501]
    taken.add(6500)  # by the dyno
    second = maker.specs(make_release(web=2, config={"PORT": "3000"}))
    assert [one.port for one in second.values()] == [6500, 6501]


def test_a_base_that_another_hsup_has_is_neither_chosen_nor_named(
    make: Callable[..., SpecMaker], taken: set[int]
) -> None:
    release = make_release(web=1, worker=1)
    plain, first, second, third = (make(shares_ports=True, port=one) for one in (None, *[AUTO] * 3))
    bases = [next(iter(one.specs(release).values())).port for one in (plain, first, second, third)]
    assert bases == [5000, 5500, 6500, 7000]
    taken.add(5000)
    warning = plain.port_warning(plain.specs(release), held=())
    assert warning is not None
    assert warning.endswith("choose free ports with -p 7500, or -p auto")


def test_a_free_base_is_reserved_as_soon_as_it_is_chosen(
    make: Callable[..., SpecMaker], taken: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken.add(5000)
    choose, asked = port_conflicts.free_base, []

    def choose_and_ask_another(*given: Any) -> int | None:
        base = choose(*given)
        assert base is not None
        asked.append((base, PortReservation().could_take([base])))
        return base

    monkeypatch.setattr(port_conflicts, "free_base", choose_and_ask_another)
    make(shares_ports=True, port=AUTO).specs(make_release(web=1))
    assert asked == [(5500, False)]


def test_dynos_see_binds_and_metadata_where_the_user_asked_for_them(
    make: Callable[..., SpecMaker], tmp_path: Path
) -> None:
    release = make_release(web=1, release=1)._replace(metadata={"HEROKU_SLUG_COMMIT": "5ca1e"})
    bind = Bind(host=tmp_path, dyno=tmp_path)
    maker = make(binds=(bind,), has_metadata=True)
    for one in (*maker.specs(release).values(), maker.release_phase(release)):
        assert one is not None
        assert one.binds == (bind,)
        assert one.metadata["HEROKU_SLUG_COMMIT"] == "5ca1e"
    plain = make().specs(release)[DynoName("web", 1)]
    assert (plain.binds, plain.metadata) == ((), {})


def test_the_release_phase_is_a_one_off_of_the_release_type(make: Callable[..., SpecMaker]) -> None:
    spec = make().release_phase(make_release(web=1, release=0))
    assert spec is not None
    assert spec.name.type == RELEASE_TYPE
    assert 1000 <= spec.name.number <= 9999
    assert spec.command == Command(("serve release",))
    assert spec.port is not None


def test_the_release_phase_has_the_port_of_the_release(make: Callable[..., SpecMaker]) -> None:
    spec = make().release_phase(make_release(config={"PORT": "8080"}, web=2, release=0))
    assert spec is not None
    assert spec.port is None


def test_the_port_of_the_release_phase_counts_from_what_the_user_asked_for(
    make: Callable[..., SpecMaker],
) -> None:
    spec = make(port=7000).release_phase(make_release(config={"PORT": "x"}, web=1, release=0))
    assert spec is not None
    assert spec.port is not None
    assert spec.port >= 7000


def test_without_a_release_type_there_is_no_release_phase(make: Callable[..., SpecMaker]) -> None:
    assert make().release_phase(make_release(web=1)) is None


def test_more_dynos_than_ports_are_an_error_that_takes_no_port(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr("hsup.supervision.ports.HIGHEST_PORT", 5001)
    ports = Ports()
    plan = SupervisorOptions(source_name="s", driver_name="d", asked=AS_RELEASED)
    with pytest.raises(DriverError):
        SpecMaker(plan, ports, said.append).specs(make_release(web=3))
    assert [ports.lease(DynoName("clock", number)) for number in (1, 2)] == [5000, 5001]


def test_a_type_that_is_asked_for_must_be_in_the_first_release(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    maker = make(ScaleRequest(quantities={"web": 1, "wroker": 1}))
    with pytest.raises(UsageError, match='"wroker"'):
        maker.check(make_release(web=1, worker=1), is_first=True)
    assert said == []


def test_a_type_that_a_later_release_lacks_is_told(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    maker = make(ScaleRequest(quantities={"web": 1, "worker": 1}))
    maker.check(make_release(web=1, worker=1), is_first=True)
    assert said == []
    release = make_release(web=1)
    maker.check(release, is_first=False)
    (warning,) = said
    assert '"worker"' in warning
    assert [str(name) for name in maker.specs(release)] == ["web.1"]


@pytest.mark.parametrize("name", ["wbe", "web.2", "clock"])
def test_what_is_to_be_shown_must_be_started(make: Callable[..., SpecMaker], name: str) -> None:
    release = make_release(web=1, worker=1, clock=0)
    make(shown=("web", "worker.1")).check(release, is_first=True)
    with pytest.raises(UsageError, match=f'--only: no dyno "{name}" is started; choose from web'):
        make(shown=(name,)).check(release, is_first=True)


async def test_a_dyno_has_the_size_of_its_type(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    release = make_release(web=1, worker=1)
    web, worker = release.processes
    source.give(Fetched(release=release._replace(processes=(web._replace(size="eco"), worker))))
    supervisor, running = supervise(asked=ScaleRequest(sizes={"worker": "performance-m"}))
    dynos = [await driver.dyno(name) for name in ("web.1", "worker.1")]
    assert [dyno.spec.size for dyno in dynos] == ["eco", "performance-m"]
    await end(supervisor, running)


async def test_every_dyno_has_a_port_of_its_own(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(web=2, worker=1, release=0)
    driver.statuses = {"release": 0}
    supervisor, running = supervise()
    dynos = [await driver.dyno(name) for name in ("web.1", "web.2", "worker.1")]
    assert [dyno.spec.port for dyno in dynos] == [5000, 5001, 5100]
    await end(supervisor, running)


async def test_ports_count_from_the_port_of_a_release_whenever_it_changes(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(version=1, config={"PORT": "8080"}, web=2)
    supervisor, running = supervise()
    dynos = [await driver.dyno(name) for name in ("web.1", "web.2")]
    assert [dyno.spec.port for dyno in dynos] == [8080, 8081]
    source.release(version=2, config={"PORT": "3000"}, web=2)
    dynos = [await driver.dyno(name, nth=2) for name in ("web.1", "web.2")]
    assert [dyno.spec.port for dyno in dynos] == [3000, 3001]
    await end(supervisor, running)


async def test_a_port_that_another_program_has_keeps_no_dyno_from_starting(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    sink: MemorySink,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source.release(web=1, worker=1)
        supervisor, running = supervise(port=port, shares_ports=True)
        assert (await driver.dyno("web.1")).spec.port == port
        (line,) = [line for line in sink.said() if "Warning" in line]
        assert f"port {port} of web.1 is taken by " in line
        await end(supervisor, running)


async def test_who_takes_a_port_while_a_dyno_is_down_is_told_once_at_its_restart(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    sink: MemorySink,
) -> None:
    port = free_port()
    source.release(web=1)
    policy = CrashPolicy(base_seconds=0)
    supervisor, running = supervise(port=port, shares_ports=True, policy=policy)
    (await driver.dyno("web.1")).end(1)
    dyno = await driver.dyno("web.1", nth=2)
    assert not any("Warning" in line for line in sink.said())
    with socket.create_server(("127.0.0.1", port)):
        dyno.end(1)
        (await driver.dyno("web.1", nth=3)).end(1)
        dyno = await driver.dyno("web.1", nth=4)
        (line,) = [line for line in sink.said("web.1") if "Warning" in line]
        assert line.startswith(f"Warning: port {port} is taken by ")
        assert line.endswith(f"(pid {os.getpid()})")
    dyno.end(1)
    dyno = await driver.dyno("web.1", nth=5)
    with socket.create_server(("127.0.0.1", port)):
        dyno.end(1)
        await driver.dyno("web.1", nth=6)
        assert len([line for line in sink.said("web.1") if "Warning" in line]) == 2
    await end(supervisor, running)


async def test_who_has_a_port_from_the_start_is_not_told_again_at_a_restart(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    sink: MemorySink,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source.release(web=1)
        port = server.getsockname()[1]
        supervisor, running = supervise(
            port=port, shares_ports=True, policy=CrashPolicy(base_seconds=0)
        )
        (await driver.dyno("web.1")).end(1)
        dyno = await driver.dyno("web.1", nth=2)
        assert len([line for line in sink.said() if "Warning" in line]) == 1
    dyno.end(1)
    dyno = await driver.dyno("web.1", nth=3)
    with socket.create_server(("127.0.0.1", port)):
        dyno.end(1)
        await driver.dyno("web.1", nth=4)
        assert len([line for line in sink.said() if "Warning" in line]) == 2
    await end(supervisor, running)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_the_first_release_is_announced_before_it_is_built(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    announced: list[tuple[int, dict[str, int | None], int]] = []

    def announce(release: Release, ports: Mapping[str, int | None], _: object) -> None:
        announced.append((release.version, dict(ports), len(driver.built)))

    source.release(version=1, web=2, worker=1)
    supervisor, running = supervise(announce=announce)
    await driver.dyno("worker.1")
    source.release(version=2, web=1)
    await driver.dyno("web.1", nth=1)
    await end(supervisor, running)
    assert announced == [(1, {"web.1": 5000, "web.2": 5001, "worker.1": 5100}, 0)]


async def test_a_release_that_cannot_be_announced_runs_all_the_same(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def announce(*_: object) -> None:
        raise ValueError("no width")

    source.release(web=1)
    supervisor, running = supervise(announce=announce)
    await driver.dyno("web.1")
    await end(supervisor, running)
    assert "cannot say what is going to run: no width" in caplog.messages


@pytest.mark.parametrize(("base", "is_told"), [(65334, False), (65335, True), (65500, True)])
def test_a_base_too_high_for_ports_of_each_type_is_told_with_the_highest(
    make: Callable[..., SpecMaker], said: list[str], base: int, *, is_told: bool
) -> None:
    make(port=base).check(make_release(web=1, worker=1, clock=2), is_first=True)
    text = f"from port {base} up, not every dyno has the port of its type and its number"
    assert said == [f"Warning: {text}; choose 65334 at most with -p"] * is_told


@pytest.mark.parametrize("shares_ports", [True, False])
def test_ports_on_which_dynos_cannot_listen_are_known(
    make: Callable[..., SpecMaker], monkeypatch: pytest.MonkeyPatch, *, shares_ports: bool
) -> None:
    monkeypatch.setattr(port_conflicts, "probe", {5001: errno.EADDRINUSE, 5100: errno.EACCES}.get)
    specs = make(shares_ports=shares_ports)
    found = [specs.may_listen(port) for port in (5000, 5001, 5100)]
    assert found == ([True, False, False] if shares_ports else [True] * 3)


def test_a_base_of_the_release_that_is_too_high_is_told(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    release = make_release(web=1, worker=1)._replace(config={"PORT": "65500"})
    make().check(release, is_first=True)
    (text,) = said
    assert text.startswith("Warning: from port 65500 up, ")
    assert text.endswith("; choose 65435 at most with -p")


def test_a_base_from_which_there_are_too_few_ports_is_an_error_alone(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    maker, release = make(port=65535), make_release(web=1, worker=1)
    maker.check(release, is_first=True)
    assert said == []
    with pytest.raises(DriverError, match=r"no port is left for worker\.1"):
        maker.specs(release)


def test_more_types_than_there_are_ports_100_apart_are_told_without_a_base(
    make: Callable[..., SpecMaker], said: list[str]
) -> None:
    types = tuple(ProcessType(f"t{number}", Command(("serve",)), 1) for number in range(700))
    make().check(make_release()._replace(processes=types), is_first=True)
    (text,) = said
    assert text.endswith("not every dyno has the port of its type and its number")
