from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from hsup.api import (
    Adopts,
    BindsPaths,
    Checked,
    Closes,
    Examines,
    ExecutesInside,
    Explains,
    Fetched,
    Finding,
    KeepsReleases,
    LogBatch,
    Measurement,
    Measures,
    RunningDyno,
    RunsForeground,
    Settings,
    SizesDynos,
    Sweeps,
)
from hsup.errors import DriverError, DynoStartError, HsupError, PluginError, SourceError
from hsup.model import Address, Author, Command, ExitStatus, Fault, ProcessType, Release, Slug
from hsup.plugins.calls import Calls, PluginPart
from hsup.plugins.guards import (
    GuardedDriver,
    GuardedService,
    GuardedSink,
    GuardedSource,
    GuardedSourceFactory,
    PluginFailed,
    create_driver,
    create_service,
    create_sink,
)
from hsup.testing import MemorySupervisor, make_batch, make_spec

BUG = PluginPart("part", "bug", "hsup-bug", "0.1")
ABILITIES = (RunsForeground, BindsPaths, SizesDynos, Sweeps, Adopts, Closes, Examines, Explains)
#: Of another type than the contracts say, as a plugin may give it.
NOWHERE: Any = None

MEASURED = Measurement(memory_rss=1, cpu_seconds=0.5, runnable=0)
BATCH = make_batch(b"one\n")
GOOD: Any = Release(app="shop", version=1, processes=(ProcessType("web", Command(("serve",))),))


class Object:
    """Whatever a plugin may have made."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)

    def __repr__(self) -> str:
        return f"with {', '.join(self.__dict__) or 'nothing'}"


class Raising(Object):
    """One of whose attributes raises."""

    def __init__(self, raising: str, **attributes: object) -> None:
        super().__init__(**attributes)
        self.raising = raising

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "__dict__").get("raising"):
            raise KeyError("x")
        return super().__getattribute__(name)


def of(**attributes: object) -> Any:
    """Return an object with these attributes, and no more."""
    return Object(**attributes)


def unchecked(kind: Any, *fields: object, **named: object) -> Any:
    """Make a value of the contracts as plugins can whose types nobody checks."""
    return kind(*fields, **named)


def of_command(command: Any) -> Fetched:
    return Fetched(release=GOOD._replace(processes=(ProcessType("web", command),)))


def returning(value: object) -> Callable[..., Awaitable[Any]]:
    async def method(*_: object) -> Any:
        return value

    return method


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def method(*_: object) -> NoReturn:
        raise error

    return method


def a_driver(**more: object) -> Any:
    return of(build=print, start=returning(None), **more)


def a_dyno(**more: object) -> Any:
    methods = {"wait": returning(ExitStatus()), "signal": returning(None)}
    return of(**{"address": None, **methods, "destroy": returning(False), **more})


#: Returns what a guarded driver makes of a dyno that is given to it.
Started = Callable[[Any], Awaitable[RunningDyno]]


@pytest.fixture
def started(calls: Calls) -> Started:
    """Return what has a guarded driver start a dyno."""

    async def start(dyno: Any) -> RunningDyno:
        driver = GuardedDriver(calls, BUG, of(build=None, start=returning(dyno)))
        return await driver.start(make_spec("web.1"), NOWHERE)

    return start


class TestDriver:
    def test_it_has_no_ability_that_the_drivers_has_not(self, calls: Calls) -> None:
        guarded = GuardedDriver(calls, BUG, a_driver())
        assert not [one for one in ABILITIES if isinstance(guarded, one)]

    def test_it_has_every_ability_that_the_drivers_has(self, calls: Calls) -> None:
        names = ("run", "check_size", "sweep", "keep_only", "adopt", "close", "examine", "explain")
        driver = a_driver(binds_paths=True, **dict.fromkeys(names, returning(None)))
        guarded = GuardedDriver(calls, BUG, driver)
        assert [one for one in ABILITIES if isinstance(guarded, one)] == list(ABILITIES)

    def test_an_ability_that_is_a_flag_counts_by_its_value(self, calls: Calls) -> None:
        driver = a_driver(binds_paths=False, sweep=None, close=False)
        guarded = GuardedDriver(calls, BUG, driver)
        assert not [one for one in ABILITIES if isinstance(guarded, one)]

    @pytest.mark.parametrize("made", [None, "driver", of(), of(build=print)], ids=repr)
    def test_what_is_none_is_an_error(self, calls: Calls, settings: Settings, made: Any) -> None:
        with pytest.raises(DriverError, match=r"be created: it returned .* with build and start$"):
            create_driver(calls, BUG, lambda _: made, settings)

    @pytest.mark.parametrize("name", ["start", "run", "adopt", "binds_paths"])
    def test_an_attribute_that_raises_names_the_driver(
        self, calls: Calls, settings: Settings, name: str
    ) -> None:
        driver = Raising(name, **vars(a_driver()))
        with pytest.raises(DriverError, match=r"hsup-bug 0.1 failed to be created: KeyError: 'x'"):
            create_driver(calls, BUG, lambda _: driver, settings)

    def test_a_factory_that_raises_is_named(self, calls: Calls, settings: Settings) -> None:
        with pytest.raises(DriverError, match=r"hsup-bug 0.1 failed to be created: KeyError: 'x'"):
            create_driver(calls, BUG, raising(KeyError("x")), settings)

    @pytest.mark.parametrize("dyno", [None, "dyno", of(wait=returning(0))], ids=repr)
    async def test_a_start_that_returns_no_dyno_has_failed(
        self, started: Started, dyno: Any
    ) -> None:
        with pytest.raises(DynoStartError, match=r"start web.1: it returned .* dyno with"):
            await started(dyno)

    @pytest.mark.parametrize(
        ("name", "given", "wrong"),
        [
            ("run", (None, 0.0), 3),
            ("sweep", (), None),
            ("sweep", (), [3]),
            ("keep_only", ([],), "text"),
            ("examine", (), ["good"]),
            ("examine", (), [unchecked(Finding, "kernel", is_good="yes", text="Linux")]),
            ("examine", (), [unchecked(Finding, "kernel", is_good=True, text=None)]),
            ("examine", (), [unchecked(Finding, "kernel", is_good=False, text="Linux", remedy=3)]),
            ("run", (None, 0.0), unchecked(ExitStatus, code=None)),
            ("run", (None, 0.0), unchecked(ExitStatus, out_of_memory=3)),
            ("explain", (None,), "text"),
            ("explain", (None,), [1]),
        ],
    )
    def test_a_wrong_value_is_an_error(
        self, calls: Calls, name: str, given: tuple[object, ...], wrong: Any
    ) -> None:
        more = {"adopt": returning(None), name: lambda *_: wrong}
        guarded = GuardedDriver(calls, BUG, a_driver(**more))
        if None in given:
            given = (make_spec("web.1"), *given[1:])
        with pytest.raises(DriverError, match=r"it returned .* (instead of|whose)"):
            getattr(guarded, name)(*given)

    def test_what_is_right_is_returned(self, calls: Calls) -> None:
        findings = (Finding("kernel", is_good=True, text="Linux"),)
        driver = a_driver(sweep=lambda: ("one",), examine=lambda: findings)
        guarded = GuardedDriver(calls, BUG, driver)
        assert guarded.sweep() == ("one",)
        assert guarded.examine() == findings


class TestDyno:
    async def test_a_status_that_is_none_is_an_error(self, started: Started) -> None:
        dyno = await started(a_dyno(wait=returning(3)))
        with pytest.raises(DriverError, match=r"web.1: it returned 3 instead of an Exit"):
            await dyno.wait()

    @pytest.mark.parametrize(
        ("call", "what"),
        [
            (lambda dyno: dyno.wait(), "wait for"),
            (lambda dyno: dyno.signal(15), "signal"),
            (lambda dyno: dyno.destroy(), "destroy"),
        ],
    )
    async def test_what_it_raises_names_the_driver_and_the_dyno(
        self, started: Started, call: Callable[..., Any], what: str
    ) -> None:
        fault = raising(ZeroDivisionError("x"))
        dyno = await started(a_dyno(wait=fault, signal=fault, destroy=fault))
        with pytest.raises(DriverError, match=f"0.1 failed to {what} web.1: ZeroDivisionError: x"):
            await call(dyno)

    @pytest.mark.parametrize(("killed", "told"), [(True, True), (False, False), (None, False)])
    async def test_whether_it_had_to_be_killed_is_a_flag(
        self, started: Started, killed: bool | None, told: bool
    ) -> None:
        dyno = await started(a_dyno(destroy=returning(killed)))
        assert await dyno.destroy() is told

    async def test_one_that_exits_where_it_is_asked_for_its_address_has_none(
        self, started: Started
    ) -> None:
        class Exits(Object):
            @property
            def address(self) -> None:
                raise SystemExit(3)

        methods = {name: returning(None) for name in ("wait", "signal", "destroy")}
        assert (await started(Exits(**methods))).address is None

    @pytest.mark.parametrize(
        "address", ["10.0.0.1", unchecked(Address, "10.0.0.1", "80"), unchecked(Address, 1, 80)]
    )
    async def test_what_is_no_address_is_none(
        self, started: Started, address: str | Address
    ) -> None:
        assert (await started(a_dyno(address=address))).address is None

    async def test_an_attribute_that_raises_names_the_driver(self, started: Started) -> None:
        with pytest.raises(DynoStartError, match=r"0.1 failed to start web.1: KeyError: 'x'"):
            await started(Raising("execute", **vars(a_dyno())))

    async def test_it_executes_commands_only_where_the_drivers_does(self, started: Started) -> None:
        assert not isinstance(await started(a_dyno()), ExecutesInside)
        dyno = await started(a_dyno(execute=returning(None)))
        assert isinstance(dyno, ExecutesInside)
        with pytest.raises(DynoStartError, match=r"execute a command in web.1: it returned None"):
            await dyno.execute(Command(("true",)), (0, 1, 2))

    async def test_it_measures_only_where_the_drivers_does(self, started: Started) -> None:
        for dyno in (a_dyno(), a_dyno(measure=None)):
            assert not isinstance(await started(dyno), Measures)
        dyno = await started(a_dyno(measure=returning(MEASURED)))
        assert isinstance(dyno, Measures)
        assert await dyno.measure() == MEASURED

    async def test_what_cannot_be_measured_any_more_is_none(self, started: Started) -> None:
        dyno = await started(a_dyno(measure=returning(None)))
        assert isinstance(dyno, Measures)
        assert await dyno.measure() is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"memory_rss": 1},
            (1, 2),
            unchecked(Measurement, memory_rss=1.5),
            unchecked(Measurement, memory_quota="512 MB"),
            unchecked(Measurement, cpu_seconds="1"),
            unchecked(Measurement, runnable=[1]),
        ],
        ids=repr,
    )
    async def test_what_is_no_measurement_is_an_error(self, started: Started, wrong: Any) -> None:
        dyno = await started(a_dyno(measure=returning(wrong)))
        assert isinstance(dyno, Measures)
        with pytest.raises(DriverError, match=r"measure web.1: it returned .* (instead of|whose)"):
            await dyno.measure()

    async def test_a_measurement_that_fails_names_the_driver(self, started: Started) -> None:
        dyno = await started(a_dyno(measure=raising(ZeroDivisionError("x"))))
        assert isinstance(dyno, Measures)
        with pytest.raises(DriverError, match=r"0.1 failed to measure web.1: ZeroDivisionError: x"):
            await dyno.measure()

    async def test_the_log_does_not_fill_up_with_measurements(
        self, calls: Calls, started: Started
    ) -> None:
        noted: list[str] = []
        dyno = await started(a_dyno(measure=returning(MEASURED)))
        assert isinstance(dyno, Measures)
        calls.note = lambda text, _: noted.append(text)
        await dyno.measure()
        assert not noted
        await dyno.signal(15)
        assert len(noted) == 1


class TestSource:
    @pytest.mark.parametrize(
        "fetched",
        [
            {"a": 1},
            None,
            unchecked(Fetched, release="v1"),
            Fetched(release=GOOD._replace(version="1")),
            Fetched(release=GOOD._replace(app=None)),
            Fetched(release=GOOD._replace(config={"A": 1})),
            Fetched(release=GOOD._replace(config=None)),
            Fetched(release=GOOD._replace(processes=list(GOOD.processes))),
            of_command("serve"),
            of_command(unchecked(Command, (1,))),
            of_command(unchecked(Command, ["serve"])),
            Fetched(release=GOOD._replace(processes=(GOOD.processes[0]._replace(size=2),))),
            Fetched(release=GOOD._replace(slug="https://example.com/slug.tgz")),
            Fetched(release=GOOD._replace(slug=unchecked(Slug, location=None))),
            Fetched(release=GOOD._replace(slug=unchecked(Slug, "/slug", checksum=b"SHA256:"))),
            Fetched(release=GOOD._replace(slug=unchecked(Slug, "/slug", inode="3"))),
            Fetched(release=GOOD._replace(stack=22)),
            Fetched(release=GOOD._replace(logplex_url=["https://example.com"])),
            Fetched(release=GOOD._replace(metadata={"A": None})),
            Fetched(release=GOOD._replace(author="root")),
            Fetched(release=GOOD._replace(features=("log-runtime-metrics",))),
            Fetched(release=GOOD._replace(features=frozenset((1,)))),
            Fetched(release=GOOD._replace(author=unchecked(Author, "root", 0))),
            unchecked(Fetched, release=GOOD, rejected="x"),
            unchecked(Fetched, release=GOOD, warnings=None),
            unchecked(Fetched, release=GOOD, warnings="x"),
            unchecked(Fetched, release=GOOD, warnings=(1,)),
            unchecked(Fetched, release=GOOD, ask_again="no"),
            unchecked(Fetched, release=GOOD, remedy=1),
            unchecked(Fetched, release=GOOD, failure="x"),
        ],
        ids=repr,
    )
    def test_what_is_no_release_is_an_error(
        self, calls: Calls, fetched: dict[str, int] | Fetched | None
    ) -> None:
        source = GuardedSource(calls, BUG, of(fetch=lambda: fetched, changes=None))
        with pytest.raises(SourceError, match=r"failed to fetch the release: it returned"):
            source.fetch()

    def test_what_was_kept_is_looked_at_as_closely(self, calls: Calls) -> None:
        kept = GOOD._replace(slug="/slug")
        source = of(fetch=None, changes=None, keep=print, kept=lambda: kept)
        with pytest.raises(SourceError, match=r"it returned a Release whose slug is not a Slug$"):
            GuardedSource(calls, BUG, source).kept()

    def test_a_release_is_a_release(self, calls: Calls) -> None:
        source = GuardedSource(calls, BUG, of(fetch=lambda: Fetched(release=GOOD), changes=None))
        assert source.fetch().release == GOOD

    @pytest.mark.parametrize(
        ("abilities", "keeps"),
        [({}, False), ({"keep": print}, False), ({"keep": print, "kept": print}, True)],
        ids=repr,
    )
    def test_it_keeps_releases_only_where_the_source_does(
        self, calls: Calls, abilities: dict[str, Callable[..., Any]], keeps: bool
    ) -> None:
        source = GuardedSource(calls, BUG, of(fetch=print, changes=None, **abilities))
        assert isinstance(source, KeepsReleases) == keeps


class TestSourceFactory:
    def factory(self, calls: Calls, **attributes: object) -> GuardedSourceFactory:
        methods = {"applies": print, "create": print, "check": print}
        given = {"remedy": "x", **methods, **attributes}
        return GuardedSourceFactory(calls, BUG, of(**given))

    @pytest.mark.parametrize(
        ("flag", "follows"), [({}, False), ({"follows_formation": True}, True)]
    )
    def test_the_formation_is_followed_where_the_flag_is_set(
        self, calls: Calls, flag: dict[str, bool], follows: bool
    ) -> None:
        assert self.factory(calls, **flag).follows_formation == follows
        assert not self.factory(calls, follows_formation=False).follows_formation

    @pytest.mark.parametrize(
        ("flag", "follows"),
        [({}, False), ({"follows_drains": False}, False), ({"follows_drains": True}, True)],
    )
    def test_drains_are_followed_where_the_flag_is_set(
        self, calls: Calls, flag: dict[str, bool], follows: bool
    ) -> None:
        assert self.factory(calls, **flag).follows_drains == follows

    @pytest.mark.parametrize("method", ["applies", "create", "check"])
    def test_what_it_raises_names_the_source(
        self, calls: Calls, settings: Settings, method: str
    ) -> None:
        factory = self.factory(calls, **{method: raising(KeyError("x"))})
        given = (None, settings) if method == "check" else (settings,)
        with pytest.raises(HsupError, match=r"hsup-bug 0.1 failed to .*: KeyError: 'x'"):
            getattr(factory, method)(*given)

    @pytest.mark.parametrize(
        "checked",
        [
            (),
            unchecked(Checked, what=None, faults=()),
            unchecked(Checked, what="new", faults=None),
            unchecked(Checked, what="new", faults=("line 1",)),
            Checked(what="new", faults=(unchecked(Fault, place=1, problem="x"),)),
            Checked(what="new", faults=(unchecked(Fault, "", "x", is_warning=None),)),
            Checked(what="new", faults=(unchecked(Fault, "", "x", file=None),)),
        ],
        ids=repr,
    )
    def test_what_was_not_checked_is_an_error(
        self, calls: Calls, settings: Settings, checked: Checked | tuple[Any]
    ) -> None:
        factory = self.factory(calls, check=lambda *_: checked)
        with pytest.raises(
            PluginFailed, match=r"it returned (.* instead of a Checked|a Checked whose)"
        ):
            factory.check(None, settings)

    def test_an_attribute_that_raises_names_the_source(
        self, calls: Calls, settings: Settings
    ) -> None:
        source = Raising("kept", fetch=print, changes=print)
        with pytest.raises(SourceError, match=r"hsup-bug 0.1 failed to be created: KeyError: 'x'"):
            self.factory(calls, create=lambda _: source).create(settings)

    @pytest.mark.parametrize("claim", [True, None, 2, "FOUND"])
    def test_a_claim_that_is_none_is_an_error(
        self, calls: Calls, settings: Settings, claim: int | str | None
    ) -> None:
        with pytest.raises(SourceError, match=f"returned {claim!r} instead of a Claim"):
            self.factory(calls, applies=lambda _: claim).applies(settings)

    def test_a_source_that_is_none_is_an_error(self, calls: Calls, settings: Settings) -> None:
        with pytest.raises(SourceError, match=r"instead of a source with fetch and changes"):
            self.factory(calls, create=lambda _: None).create(settings)


class Heard(Calls):
    def __init__(self) -> None:
        self.warned: list[str] = []
        super().__init__(warn=self.warned.append)


class TestSink:
    @pytest.mark.parametrize(
        "write",
        [raising(RuntimeError("x")), raising(SystemExit("x")), returning(None)],
        ids=["raises", "exits", "is async"],
    )
    def test_one_that_fails_is_told_once_and_gets_no_more_lines(
        self, write: Callable[..., Any]
    ) -> None:
        calls = Heard()
        written = []

        def noting(batch: LogBatch) -> None:
            written.append(batch)
            return write(batch)

        sink = GuardedSink(calls, BUG, of(write=noting, is_full=True))
        sink.write(BATCH)
        sink.write(BATCH)
        assert written == [BATCH]
        assert not sink.is_full
        (warned,) = calls.warned
        assert warned.startswith('part "bug" of hsup-bug 0.1 failed to write: ')
        assert warned.endswith("; it gets no more lines")

    async def test_one_that_cannot_say_whether_it_is_full_or_drained_is_not_waited_for(
        self,
    ) -> None:
        for fault in ({}, {"is_full": True, "drained": raising(RuntimeError("x"))}):
            calls = Heard()
            sink = GuardedSink(calls, BUG, of(**fault))
            assert sink.is_full == bool(fault)
            await sink.drained()
            assert not sink.is_full
            assert len(calls.warned) == 1

    async def test_one_that_stays_full_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hsup.plugins.guards._FULL_SECONDS", 0.05)
        calls = Heard()
        written: list[LogBatch] = []
        sink = GuardedSink(
            calls,
            BUG,
            of(write=written.append, is_full=True, drained=asyncio.Event().wait),
        )
        await sink.drained()
        assert calls.warned == [
            'part "bug" of hsup-bug 0.1 was full for 0.05 s; it gets no more lines'
        ]
        assert not sink.is_full
        sink.write(BATCH)
        assert written == []
        await sink.drained()

    def test_one_that_exits_where_it_is_asked_whether_it_is_full_is_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hsup.plugins.calls.BLOCKED_SECONDS", 0.0)
        calls, seen = Heard(), []

        class Exits:
            @property
            def is_full(self) -> None:
                seen.append(calls.blocking())
                raise SystemExit(3)

        exits: Any = Exits()
        assert not GuardedSink(calls, BUG, exits).is_full
        assert seen == ['part "bug" has been trying to write for 0 s']
        (warned,) = calls.warned
        assert "failed to write: SystemExit: 3" in warned

    async def test_one_that_cannot_be_closed_is_told(self) -> None:
        calls = Heard()
        await GuardedSink(calls, BUG, of(close=raising(RuntimeError("x")))).close()
        assert "failed to close: RuntimeError: x" in calls.warned[0]

    @pytest.mark.parametrize("made", ["sink", of(write=print, drained=print)], ids=repr)
    def test_what_is_none_is_an_error(self, calls: Calls, settings: Settings, made: Any) -> None:
        with pytest.raises(PluginFailed, match=r"a log sink with write and drained and close"):
            create_sink(calls, BUG, lambda _: made, settings)
        assert create_sink(calls, BUG, lambda _: None, settings) is None


class TestService:
    @pytest.mark.parametrize(
        "run", [raising(RuntimeError("x")), lambda _: 1], ids=["", "not async"]
    )
    async def test_what_it_raises_names_the_service(
        self, calls: Calls, run: Callable[..., Any]
    ) -> None:
        with pytest.raises(PluginError, match=r"hsup-bug 0.1 failed to serve: "):
            await GuardedService(calls, BUG, of(run=run)).run(MemorySupervisor())

    def test_what_is_none_is_an_error(self, calls: Calls, settings: Settings) -> None:
        with pytest.raises(PluginFailed, match=r"instead of a service with run"):
            create_service(calls, BUG, lambda _: unchecked(int), settings)
        assert create_service(calls, BUG, lambda _: None, settings) is None


async def test_a_second_signal_ends_every_wait(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a driver that never returns, whatever it was asked for."""
    monkeypatch.setattr("hsup.plugins.calls.LAST_SECONDS", 0.0)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    dyno = a_dyno(wait=hang, signal=hang, destroy=hang)
    driver = GuardedDriver(calls, BUG, of(build=None, start=returning(dyno)))
    dyno = await driver.start(make_spec("web.1"), NOWHERE)
    hanging = GuardedDriver(calls, BUG, of(build=None, start=hang))
    waits = (dyno.wait(), dyno.signal(15), dyno.destroy(30), hanging.start(make_spec(), NOWHERE))
    tasks = [asyncio.ensure_future(one) for one in waits]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls.hurry()
    for task in tasks:
        with pytest.raises(DriverError):
            await task
