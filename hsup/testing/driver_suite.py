"""Tests of the contract of drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, SIGUSR1

import pytest

from hsup.api import (
    Closes,
    Driver,
    ExecutesInside,
    Execution,
    Measurement,
    Measures,
    RunningDyno,
    Settings,
    SizesDynos,
    Sweeps,
)
from hsup.errors import DynoStartError
from hsup.model import Command, DynoInput, DynoName, DynoSpec, ExitStatus, Release
from hsup.sizes import named
from hsup.supervision.dyno_spec import dyno_spec
from hsup.testing.cancelling import CancelResult, Moment, cancel
from hsup.testing.recorder import Recorder

#: No check takes nearly as long with a driver that works.
_TIMEOUT_SECONDS = 60.0
#: Moments at which a call is cancelled; a call with more waits than this waits in a loop.
_MOST_MOMENTS = 20
#: How long killed processes may take to disappear.
_GONE_SECONDS = 30.0
#: What a dyno holds that is measured: much more than a shell itself has.
_HELD_BYTES = 50_000_000
#: A size that is not the default one.
_SIZE = named("standard-2x")
_DECIMAL = str.maketrans("abcdef", "012345")


class DriverSuite:
    """Subclass this, and return your driver from `make_driver`:

        class TestFrobDriver(DriverSuite):
            def make_driver(self, settings):
                return FrobDriver(settings)

    Override a check that cannot hold for your driver with a method whose docstring
    says why.
    """  # noqa: D400, D415 - an example follows

    def make_driver(self, settings: Settings) -> Driver:
        """Return a new driver."""
        raise NotImplementedError

    def release(self) -> Release:
        """Return a release that the driver can build; it has bash and coreutils."""
        return Release(app="conformance", version=1, config={"GREETING": "a  $b\n'c'"})

    def leftovers(self) -> Collection[str]:
        """Return a name for everything that dynos of this driver have on the machine now.

        That is containers, cgroups, directories and the like; no check may leave any behind.
        The checks look for processes themselves.
        """
        return ()

    def test_every_overridden_check_says_why(self) -> None:
        """The contract is not weakened without a reason."""
        for name, method in vars(type(self)).items():
            if name.startswith("test_") and hasattr(DriverSuite, name):
                assert method.__doc__, f"{name} is overridden: say why in its docstring"

    def test_a_release_can_be_built_twice(self) -> None:
        """`build` is idempotent."""

        async def check(driver: Driver) -> None:
            await asyncio.to_thread(driver.build, self.release())

        self._run(check)

    def test_one_word_is_a_line_for_the_shell(self) -> None:
        """A command of one word is run by bash."""
        assert self._output_of("echo one; echo $((1 + 1)) | cat") == (b"one\n2\n", b"")

    def test_several_words_are_taken_as_they_are(self) -> None:
        """A command of several words is an argv."""
        words = ("printf", "%s|", "a  b", "$HOME", "", "*")
        assert self._output_of(*words) == (b"a  b|$HOME||*|", b"")

    def test_the_streams_are_kept_apart(self) -> None:
        """Standard output and standard error do not mix."""
        assert self._output_of("echo out; echo err >&2") == (b"out\n", b"err\n")

    def test_the_input_is_empty(self) -> None:
        """A dyno that reads its standard input gets the end of it at once."""
        assert self._output_of("cat; echo end") == (b"end\n", b"")

    def test_an_open_input_does_not_end(self) -> None:
        """A dyno with `input="open"` that reads it waits, as long as it runs."""
        line = "read -t 0.5 line; [ $? -gt 128 ] && echo waited || echo ended"
        assert self._output_of(line, reads="open") == (b"waited\n", b"")

    def test_config_vars_arrive_as_they_are(self) -> None:
        """Blanks, newlines, quotes and dollar signs are kept."""
        out, _ = self._output_of('printf %s "$GREETING"')
        assert out.decode() == self.release().config["GREETING"]

    def test_a_dyno_knows_its_name_and_port(self) -> None:
        """DYNO and PORT are set."""
        assert self._output_of("echo $DYNO $PORT") == (b"worker.1 5900\n", b"")

    def test_no_variable_of_hsup_gets_to_a_dyno(self) -> None:
        """The secrets in hsup's own environment are not passed on."""
        out, _ = self._output_of("printenv")
        assert b"HEROKU_ACCESS_TOKEN" not in out

    def test_output_is_complete(self) -> None:
        """No output is lost if a dyno writes a lot and ends."""
        out, _ = self._output_of("seq 20000; printf end")
        assert out == b"".join(b"%d\n" % n for n in range(1, 20001)) + b"end"

    @pytest.mark.parametrize("code", [0, 1, 42, 255])
    def test_the_exit_code_is_exact(self, code: int) -> None:
        """The status has the exit code of the program."""
        assert self._status_of(f"exit {code}") == ExitStatus(code=code)

    @pytest.mark.parametrize("number", [SIGTERM, SIGKILL, SIGUSR1])
    def test_the_signal_that_ended_a_dyno_is_told(self, number: int) -> None:
        """The status has the signal that ended the program."""
        assert self._status_of(f"kill -{int(number)} $$").status == 128 + number

    def test_a_command_that_does_not_exist_is_an_error_127(self) -> None:
        """The exit code is the one that a shell uses."""

        async def check(driver: Driver) -> None:
            async with Recorder() as recorder:
                with pytest.raises(DynoStartError) as caught:
                    await driver.start(self._spec("/no/such/program", "x"), recorder)
                assert caught.value.exit_code == 127

        self._run(check)

    def test_a_signal_reaches_every_process(self) -> None:
        """The main process is not the only one that gets it."""
        forever = "while :; do sleep 60 & wait; done"  # also where sleep is signalled first
        line = f"trap 'echo parent' TERM; (trap 'echo child; exit' TERM; echo r; {forever}) & "
        line += forever

        async def check(driver: Driver) -> None:
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"r\n")
                await dyno.signal(SIGTERM)
                await recorder.until(b"parent")
                await recorder.until(b"child")

        self._run(check)

    def test_a_signal_to_a_dyno_that_has_ended_does_nothing(self) -> None:
        """The dyno may end at any moment."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "true") as (dyno, _):
                await dyno.wait()
                await dyno.signal(SIGTERM)

        self._run(check)

    def test_a_signal_is_not_lost_however_soon_it_comes(self) -> None:
        """A signal before the program's first instruction ends the dyno at once or later."""

        async def one(driver: Driver) -> None:
            async with self._started(driver, "sleep 600") as (dyno, _):
                await dyno.signal(SIGTERM)
                assert (await dyno.wait()).status == 128 + SIGTERM

        async def check(driver: Driver) -> None:
            await asyncio.gather(*(one(driver) for _ in range(10)))

        self._run(check)

    def test_destroy_kills_what_ignores_sigterm(self) -> None:
        """`destroy` returns that it killed the dyno."""

        async def check(driver: Driver) -> None:
            line = "trap '' TERM; echo ready; while :; do sleep 60; done"
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"ready")
                await dyno.signal(SIGTERM)
                assert await dyno.destroy(0.1)
                assert await dyno.wait() == ExitStatus(signal=SIGKILL)

        self._run(check)

    def test_destroy_waits_for_what_ends_in_time(self) -> None:
        """A process that finishes its work within the grace period is not killed."""

        async def check(driver: Driver) -> None:
            line = "sleep 60 & trap 'sleep 0.2; echo finished; exit 3' TERM; echo ready; wait"
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"ready")
                await dyno.signal(SIGTERM)
                assert not await dyno.destroy(30)
                assert await dyno.wait() == ExitStatus(code=3)
                await recorder.until(b"finished")

        self._run(check)

    def test_destroy_may_be_called_twice_at_once(self) -> None:
        """The second call shortens the first."""

        async def check(driver: Driver) -> None:
            line = "trap '' TERM; echo ready; while :; do sleep 60; done"
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"ready")
                patient = asyncio.ensure_future(dyno.destroy(3600))
                await asyncio.sleep(0)
                await dyno.destroy()
                await patient
                await dyno.destroy()

        self._run(check)

    def test_nothing_outlives_its_dyno(self) -> None:
        """Daemons that detach themselves end too; one that did not would keep the output open."""
        sleeping = "/bin/bash -c 'echo ready; exec sleep 600'"  # in a session of its own by then
        line = f"(setsid {sleeping} &); (setsid env -i {sleeping} & disown) & sleep 600"

        async def check(driver: Driver) -> None:
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"ready\nready\n")
                await dyno.destroy()
                assert await recorder.all() == (b"ready\nready\n", b"")

        self._run(check)

    def test_many_dynos_run_at_the_same_time(self) -> None:
        """Each dyno has its own output and status."""

        async def one(driver: Driver, number: int) -> None:
            line = f"echo {number}; exit {number}"
            async with self._started(driver, line) as (dyno, recorder):
                assert await dyno.wait() == ExitStatus(code=number)
                await dyno.destroy()
                assert await recorder.all() == (b"%d\n" % number, b"")

        async def check(driver: Driver) -> None:
            await asyncio.gather(*(one(driver, number) for number in range(20)))

        self._run(check)

    def test_a_command_inside_the_dyno_has_streams_and_a_status_of_its_own(self) -> None:
        """An exec'd command reads its input to the end (`ExecutesInside`)."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 600") as (dyno, _), Recorder() as recorder:
                reading, writing = os.pipe()
                streams = (reading, recorder.stdout, recorder.stderr)
                execution = await _execute(dyno, "cat; echo over >&2; exit 7", streams)
                os.close(reading)
                recorder.close_writing_ends()
                os.write(writing, b"one\0two")
                os.close(writing)
                assert await execution.wait() == ExitStatus(code=7)
                assert await recorder.all() == (b"one\0two", b"over\n")

        self._run(check)

    def test_a_command_inside_the_dyno_is_signalled_alone_and_ends_with_it(self) -> None:
        """An exec'd command ends at the latest when its dyno is destroyed (`ExecutesInside`)."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 600") as (dyno, _):
                streams = (os.open(os.devnull, os.O_RDWR),) * 3
                try:
                    one = await _execute(dyno, "sleep 600", streams)
                    other = await _execute(dyno, "sleep 600", streams)
                finally:
                    os.close(streams[0])
                await one.signal(SIGTERM)
                assert (await one.wait()).status == 128 + SIGTERM
                await dyno.destroy()
                assert (await other.wait()).status == 128 + SIGKILL

        self._run(check)

    def test_a_signal_to_a_command_is_not_lost_however_soon_it_comes(self) -> None:
        """A signal before the first instruction of an exec'd command ends it (`ExecutesInside`)."""

        async def one(dyno: RunningDyno, null: int) -> None:
            execution = await _execute(dyno, "sleep 600", (null,) * 3)
            await execution.signal(SIGTERM)
            assert (await execution.wait()).status == 128 + SIGTERM

        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 600") as (dyno, _):
                null = os.open(os.devnull, os.O_RDWR)
                try:
                    await asyncio.gather(*(one(dyno, null) for _ in range(10)))
                finally:
                    os.close(null)

        self._run(check)

    def test_a_dyno_that_holds_memory_is_measured(self) -> None:
        """Of 50 MB about as many are measured (`Measures`)."""
        line = f"printf -v held %{_HELD_BYTES}s; echo ready; read -t 600 forever"

        async def check(driver: Driver) -> None:
            async with self._started(driver, line, reads="open") as (dyno, recorder):
                await recorder.until(b"ready\n")
                measured = await _measure(dyno)
                used = (measured.memory_rss or 0) + (measured.memory_swap or 0)
                assert _HELD_BYTES <= used < 2 * _HELD_BYTES

        self._run(check)

    def test_a_dyno_is_measured_with_all_its_processes(self) -> None:
        """What runs in the background counts, too (`Measures`)."""
        line = "(while :; do :; done) & echo ready; read -t 600 forever"

        async def check(driver: Driver) -> None:
            async with self._started(driver, line, reads="open") as (dyno, recorder):
                await recorder.until(b"ready\n")
                if (await _measure(dyno)).runnable is None:
                    pytest.skip("the driver cannot count runnable threads")
                while not (await _measure(dyno)).runnable:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.01)

        self._run(check)

    def test_the_quota_is_that_of_the_size(self) -> None:
        """A dyno of a size is measured with its quota (`Measures`, `SizesDynos`)."""

        async def check(driver: Driver) -> None:
            if not isinstance(driver, SizesDynos):
                pytest.skip("the driver has no sizes")
            async with self._started(driver, "sleep 600", size=_SIZE.name) as (dyno, _):
                assert (await _measure(dyno)).memory_quota == _SIZE.memory

        self._run(check)

    def test_a_dyno_that_has_ended_is_measured_as_nothing(self) -> None:
        """The answer is None (`Measures`)."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "read -t 600 forever", reads="open") as (dyno, _):
                await _measure(dyno)
                await dyno.destroy()
                assert isinstance(dyno, Measures)
                assert await dyno.measure() is None

        self._run(check)

    def test_a_command_that_has_hardly_begun_ends_with_the_dyno(self) -> None:
        """Waiting for an exec'd command that was just started is no error (`ExecutesInside`)."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 600") as (dyno, _):
                null = os.open(os.devnull, os.O_RDWR)
                try:
                    execution = await _execute(dyno, "sleep 600", (null,) * 3)
                finally:
                    os.close(null)
                await dyno.destroy()
                assert (await execution.wait()).status != 0

        self._run(check)

    def test_a_start_that_is_cancelled_leaves_nothing(self) -> None:
        """Whichever wait is cancelled, nothing is left, and the next dyno of that name starts."""

        async def check(driver: Driver, moment: Moment) -> bool:
            was_cancelled = False
            for _ in range(2):  # a driver may start its second dyno in another way
                sleep = _Sleep()
                async with Recorder() as recorder:
                    outcome = await cancel(moment, driver.start(self._spec(sleep.line), recorder))
                    was_cancelled |= outcome.was_cancelled
                    recorder.close_writing_ends()
                    if outcome.result is not None:
                        await outcome.result.destroy()
                    assert await recorder.all() == (b"", b"")
                await sleep.ended()
                async with self._started(driver, "echo next") as (dyno, recorder):
                    assert await dyno.wait() == ExitStatus(code=0)
                    await recorder.until(b"next")
            return was_cancelled

        self._run_at_each_moment(check)

    @pytest.mark.parametrize("call", ["signal", "destroy"])
    def test_a_dyno_is_destroyed_after_a_call_that_was_cancelled(self, call: str) -> None:
        """A later `destroy` completes what the cancelled call began."""

        async def check(driver: Driver, moment: Moment) -> bool:
            sleep = _Sleep()
            line = f"trap '' TERM; echo ready; while :; do {sleep.line}; done"
            async with self._started(driver, line) as (dyno, recorder):
                await recorder.until(b"ready")
                called = dyno.signal(SIGTERM) if call == "signal" else dyno.destroy(0.1)
                outcome: CancelResult[object] = await cancel(moment, called)
                await dyno.destroy()
                assert await dyno.wait() == ExitStatus(signal=SIGKILL)
                assert (await recorder.all())[0] == b"ready\n"
                await sleep.ended()
            return outcome.was_cancelled

        self._run_at_each_moment(check)

    def test_a_wait_that_is_cancelled_changes_nothing(self) -> None:
        """A later `wait` returns the status."""

        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 0.2; exit 7") as (dyno, _):
                for _ in range(2):
                    await cancel(Moment(1), dyno.wait())
                assert await dyno.wait() == ExitStatus(code=7)

        self._run(check)

    def test_a_command_whose_start_is_cancelled_does_not_run_on(self) -> None:
        """Its dyno keeps running (`ExecutesInside`)."""

        async def check(driver: Driver, moment: Moment) -> bool:
            sleep = _Sleep()
            null = os.open(os.devnull, os.O_RDWR)
            try:
                async with self._started(driver, "sleep 600") as (dyno, _):
                    outcome = await cancel(moment, _execute(dyno, sleep.line, (null,) * 3))
                    if outcome.was_cancelled:
                        await sleep.ended()
                    assert await dyno.destroy()
            finally:
                os.close(null)
            return outcome.was_cancelled

        self._run_at_each_moment(check)

    def _run_at_each_moment(self, check: Callable[[Driver, Moment], Awaitable[bool]]) -> None:
        """Run a check for each moment of a call, until the call ends before the moment."""
        for is_late in (False, True):
            for number in range(1, _MOST_MOMENTS + 1):
                if not self._run_at(Moment(number, is_late), check):
                    break

    def _run_at(self, moment: Moment, check: Callable[[Driver, Moment], Awaitable[bool]]) -> bool:
        """Run a check and return its result; fail if it leaves anything behind."""
        returned = []

        async def run(driver: Driver) -> None:
            returned.append(await check(driver, moment))

        earlier = set(self.leftovers())
        self._run(run)
        self._sweep()
        left = set(self.leftovers()) - earlier
        assert not left, f"cancelled at {moment}, it left behind: {sorted(left)}"
        return returned[0]

    def _sweep(self) -> None:
        """Remove leftovers, as an hsup that is started later does."""
        driver = self.make_driver(_settings())
        if isinstance(driver, Sweeps):
            driver.sweep()
        if isinstance(driver, Closes):
            driver.close()

    def _spec(self, *words: str, reads: DynoInput = "empty", size: str | None = None) -> DynoSpec:
        release, name, command = self.release(), DynoName("worker", 1), Command(words=words)
        return dyno_spec(release, name, command, port=5900, size=size, input=reads)

    @asynccontextmanager
    async def _started(
        self,
        driver: Driver,
        *words: str,
        reads: DynoInput = "empty",
        size: str | None = None,
    ) -> AsyncIterator[tuple[RunningDyno, Recorder]]:
        async with Recorder() as recorder:
            dyno = await driver.start(self._spec(*words, reads=reads, size=size), recorder)
            recorder.close_writing_ends()
            try:
                yield dyno, recorder
            finally:
                await dyno.destroy()

    def _run(self, check: Callable[[Driver], Awaitable[None]]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                driver = self.make_driver(_settings())
                try:
                    await asyncio.to_thread(driver.build, self.release())
                    await check(driver)
                finally:
                    if isinstance(driver, Closes):
                        driver.close()

        asyncio.run(limited())

    def _output_of(self, *words: str, reads: DynoInput = "empty") -> tuple[bytes, bytes]:
        recorded = []

        async def check(driver: Driver) -> None:
            async with self._started(driver, *words, reads=reads) as (dyno, recorder):
                await dyno.wait()
                await dyno.destroy()
                recorded.append(await recorder.all())

        self._run(check)
        return recorded[0]

    def _status_of(self, line: str) -> ExitStatus:
        statuses = []

        async def check(driver: Driver) -> None:
            async with self._started(driver, line) as (dyno, _):
                statuses.append(await dyno.wait())

        self._run(check)
        return statuses[0]


class _Sleep:
    """A command that sleeps for long, and that no other process runs."""

    def __init__(self) -> None:
        self._seconds = f"600.{os.urandom(6).hex().translate(_DECIMAL)}"

    @property
    def line(self) -> str:
        """Return the command."""
        return f"sleep {self._seconds}"

    async def ended(self) -> None:
        """Wait until no process runs the command; those on another machine are not seen."""
        async with asyncio.timeout(_GONE_SECONDS):
            while self._is_running():  # noqa: ASYNC110 - the kernel sends no event
                await asyncio.sleep(0.05)

    def _is_running(self) -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended
                if self._seconds.encode() in path.read_bytes():
                    return True
        return False


async def _execute(dyno: RunningDyno, line: str, streams: Sequence[int]) -> Execution:
    if not isinstance(dyno, ExecutesInside):
        pytest.skip("the driver cannot run commands inside its dynos")
    return await dyno.execute(Command((line,)), streams)


async def _measure(dyno: RunningDyno) -> Measurement:
    if not isinstance(dyno, Measures):
        pytest.skip("the driver cannot measure its dynos")
    measured = await dyno.measure()
    assert measured is not None, "a dyno that runs was not measured"
    return measured


def _settings() -> Settings:
    environ = {"PATH": os.environ["PATH"], "HEROKU_ACCESS_TOKEN": "secret"}
    return Settings(directory=os.getcwd(), environ=environ)
