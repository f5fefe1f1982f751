from __future__ import annotations

import asyncio
import errno
import re
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from hsup.errors import DriverError, DynoStartError, HsupError, SourceError
from hsup.long_work import LongWork, waited_for
from hsup.plugins.calls import Blocking, Call, Calls, Interrupted, PluginPart, call_plugin
from hsup.plugins.contracts import Wrong
from tests.conftest import TurnUntil

BUG = PluginPart("driver", "bug", "hsup-driver-bug", "0.1")


class Heard:
    """Keeps what calls say, warn of and note."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.noted: list[str] = []
        self.errors: list[BaseException | None] = []
        self.calls = Calls(say=self.said.append, warn=self.warned.append, note=self._note)

    def _note(self, text: str, error: BaseException | None) -> None:
        self.noted.append(text)
        self.errors.append(error)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def is_said(heard: Heard) -> threading.Event:
    """Return what is set when calls say something, which an alarm has them do."""
    event = threading.Event()

    def say(text: str) -> None:
        heard.said.append(text)
        event.set()

    heard.calls.has_alarm = True
    heard.calls.say = say
    return event


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hsup wait for no call that it has given up."""
    monkeypatch.setattr("hsup.plugins.calls.LAST_SECONDS", 0.0)


def raising(error: BaseException) -> Callable[..., Any]:
    def work(*_: object) -> None:
        raise error

    return work


def run(calls: Calls, work: Callable[..., Any], **rest: Any) -> Any:
    return calls.run(BUG, "start web.1", work, failure=DynoStartError, **rest)


def awaited(calls: Calls, begin: Callable[..., Any], **rest: Any) -> Coroutine[object, object, Any]:
    return calls.await_(BUG, "start web.1", begin, failure=DynoStartError, **rest)


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def deaf(heard: Heard) -> Callable[[], Awaitable[None]]:
    """Return what neither ends nor heeds that it is cancelled, until hsup has given it up."""

    async def begin() -> None:
        while not heard.calls.has_abandoned:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    return begin


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("start"), "ZeroDivisionError: start"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("several\n lines"), "ValueError: several lines"),
    ],
    ids=repr,
)
class TestWhatIsRaised:
    def test_names_the_plugin_and_what_it_should_do(
        self, heard: Heard, error: BaseException, told: str
    ) -> None:
        with pytest.raises(DynoStartError) as failed:
            run(heard.calls, raising(error))
        assert str(failed.value) == (
            f'driver "bug" of hsup-driver-bug 0.1 failed to start web.1: {told}'
        )
        assert heard.errors == [error]

    async def test_names_it_too_where_it_is_awaited(
        self, heard: Heard, error: BaseException, told: str
    ) -> None:
        async def begin() -> None:
            await asyncio.sleep(0)
            raise error

        for one in (begin, raising(error)):
            with pytest.raises(DynoStartError, match=f"failed to start web.1: {told}$"):
                await awaited(heard.calls, one)

    async def test_names_it_too_where_it_is_called_in_a_thread(
        self, heard: Heard, error: BaseException, told: str
    ) -> None:
        method = Blocking(heard.calls, BUG, lambda: "build v1", raising(error), failure=DriverError)
        with pytest.raises(DriverError, match=f"failed to build v1: .*{told}$"):
            await call_plugin(method)


async def test_an_error_of_hsups_own_kind_is_raised_as_it_is(heard: Heard) -> None:
    error = DriverError("the engine is away", hint="start it")
    with pytest.raises(DriverError) as failed:
        run(heard.calls, raising(error))
    assert failed.value is error
    with pytest.raises(DriverError) as failed:
        await awaited(heard.calls, raising(error))
    assert failed.value is error


def test_a_library_that_is_missing_is_installed_again(heard: Heard) -> None:
    with pytest.raises(DynoStartError) as failed:
        run(heard.calls, raising(ImportError("no frob")))
    assert failed.value.hint == f"reinstall hsup-driver-bug where hsup is: {sys.prefix}"


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), SourceError("x", hint="free some space")],
)
def test_a_shortage_of_descriptors_is_told_with_its_remedy(
    heard: Heard, error: OSError | SourceError
) -> None:
    if isinstance(error, SourceError):
        error.__cause__ = OSError(errno.ENFILE, "Too many open files in system")
    with pytest.raises(HsupError) as failed:
        run(heard.calls, raising(error))
    assert failed.value.hint == "raise the open-file limit, for example ulimit -n 4096"
    assert "Errno" not in str(failed.value)


@pytest.mark.filterwarnings("error")
def test_what_is_async_and_must_not_be_is_told(heard: Heard) -> None:
    with pytest.raises(DynoStartError, match=r"it is async, but must not be"):
        run(heard.calls, for_ever)


async def test_what_must_be_async_and_is_not_is_told(heard: Heard) -> None:
    with pytest.raises(
        DynoStartError, match=r"failed to start web.1: it is not async, but must be"
    ):
        await awaited(heard.calls, lambda: 3)


async def test_a_wrong_value_is_told_with_what_it_should_be(heard: Heard) -> None:
    async def begin() -> str:
        return "x" * 1000

    wrong = f"it returned '{'x' * 79}... instead of a dyno$"
    with pytest.raises(DynoStartError, match=wrong):
        await awaited(heard.calls, begin, check=lambda _: Wrong("a dyno"))
    with pytest.raises(DynoStartError, match=r"it returned an object instead of a dyno$"):
        run(heard.calls, object, check=lambda _: Wrong("a dyno"))


async def test_what_is_returned_is_returned_and_its_time_noted(heard: Heard) -> None:
    async def begin() -> int:
        await asyncio.sleep(0)
        return 3

    assert await awaited(heard.calls, begin, check=lambda _: None) == 3
    assert run(heard.calls, lambda: 4) == 4
    assert len(heard.noted) == 2
    for note in heard.noted:
        assert note.startswith('driver "bug" of hsup-driver-bug 0.1 took 0.')
        assert note.endswith(" s to start web.1")
    assert heard.calls.waited_for() == []


async def test_after_some_seconds_hsup_says_what_it_waits_for(
    heard: Heard, turn_until: TurnUntil
) -> None:
    waiting = asyncio.create_task(awaited(heard.calls, for_ever, notice_seconds=0.0))
    await turn_until(lambda: heard.said)
    assert heard.said == ['Waiting for driver "bug" to start web.1 (0 s so far)']
    assert heard.calls.waited_for() == ['driver "bug" to start web.1 (0 s so far)']
    waiting.cancel()


def test_it_says_so_too_where_no_loop_runs(
    heard: Heard, is_said: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.plugins.calls.NOTICE_SECONDS", 0.01)
    assert run(heard.calls, lambda: is_said.wait(60))
    assert re.fullmatch(r'Waiting for driver "bug" to start web\.1 \(\d+ s so far\)', heard.said[0])


def test_it_says_how_far_the_work_is_where_that_is_known(
    heard: Heard, is_said: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.plugins.calls.FIRST_SECONDS", 0.01)
    with waited_for(LongWork()) as work, work.doing(lambda: "fetching (1 of 2 MB)"):
        assert run(heard.calls, lambda: is_said.wait(60))
    assert heard.said == ["fetching (1 of 2 MB)"]


def test_it_looks_again_soon_where_what_takes_long_has_not_begun(
    heard: Heard, is_said: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.plugins.calls.FIRST_SECONDS", 0.01)
    looks = iter(["", "", "fetching"])
    with waited_for(LongWork()) as work, work.doing(lambda: next(looks)):
        assert run(heard.calls, lambda: is_said.wait(60))
    assert heard.said == ["fetching"]


async def test_what_says_itself_how_far_it_is_is_not_said_to_be_waited_for(heard: Heard) -> None:
    with waited_for(LongWork()) as work, work.doing(lambda: ""):
        waiting = asyncio.create_task(awaited(heard.calls, for_ever, notice_seconds=0.0))
        for _ in range(20):
            await asyncio.sleep(0)
    assert heard.said == []
    waiting.cancel()


async def test_what_is_cancelled_is_cancelled(heard: Heard) -> None:
    ended = []

    async def begin() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    waiting = asyncio.create_task(awaited(heard.calls, begin))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended
    assert not heard.calls.has_abandoned


@pytest.mark.usefixtures("at_once")
async def test_what_does_not_heed_that_is_waited_for_no_longer(
    heard: Heard, deaf: Callable[[], Awaitable[None]]
) -> None:
    waiting = asyncio.create_task(awaited(heard.calls, deaf))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert heard.calls.has_abandoned
    assert heard.warned == [f"{BUG} is still trying to start web.1 after being cancelled"]


async def test_in_a_hurry_what_is_waited_for_is_cancelled(heard: Heard) -> None:
    waiting = asyncio.create_task(awaited(heard.calls, for_ever))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    heard.calls.hurry()
    with pytest.raises(DynoStartError, match=r"hsup was told to stop a second time"):
        await waiting
    assert not heard.calls.has_abandoned


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("is_first", [True, False], ids=["hurried then", "hurried before"])
async def test_in_a_hurry_what_does_not_end_is_given_up(
    heard: Heard, deaf: Callable[[], Awaitable[None]], is_first: bool, is_last: bool
) -> None:
    if not is_first:
        heard.calls.hurry()
    waiting = asyncio.create_task(awaited(heard.calls, deaf, is_last=is_last))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if is_first:
        heard.calls.hurry()
    with pytest.raises(
        DynoStartError, match=r"did not start web.1 within \d s; hsup stopped waiting"
    ):
        await waiting
    assert heard.calls.has_abandoned


async def test_in_a_hurry_what_makes_an_end_is_not_cancelled(heard: Heard) -> None:
    may_end = asyncio.Event()

    async def begin() -> str:
        await may_end.wait()
        return "ended"

    waiting = asyncio.create_task(awaited(heard.calls, begin, is_last=True))
    await asyncio.sleep(0)
    heard.calls.hurry()
    await asyncio.sleep(0)
    may_end.set()
    assert await waiting == "ended"


async def test_in_a_hurry_no_thread_is_waited_for(heard: Heard) -> None:
    may_end = threading.Event()
    method = Blocking(heard.calls, BUG, lambda: "build v1", may_end.wait, failure=DriverError)
    waiting = asyncio.create_task(call_plugin(method))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    heard.calls.hurry()
    with pytest.raises(
        DriverError, match=r"failed to build v1: hsup was told to stop a second time"
    ):
        await waiting
    may_end.set()


async def test_a_call_that_cancels_itself_has_failed(heard: Heard) -> None:
    async def begin() -> None:
        raise asyncio.CancelledError

    with pytest.raises(DynoStartError, match=r"it was cancelled"):
        await awaited(heard.calls, begin)


async def test_timeouts_of_a_plugin_work(heard: Heard) -> None:
    async def begin() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "in time"
        return "too late"

    assert await awaited(heard.calls, begin) == "in time"


async def test_who_keeps_the_main_thread_is_known(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.plugins.calls.BLOCKED_SECONDS", 0.0)
    seen = []

    async def begin() -> None:
        seen.append(heard.calls.blocking())
        await asyncio.sleep(0)
        seen.append(heard.calls.blocking())

    assert heard.calls.blocking() is None
    await awaited(heard.calls, begin)
    assert seen == ['driver "bug" has been trying to start web.1 for 0 s'] * 2
    assert heard.calls.blocking() is None
    assert any("blocked the main thread for" in one for one in heard.noted)


async def test_who_keeps_the_main_thread_is_told_with_how_long_it_does_so(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.plugins.calls.BLOCKED_SECONDS", 0.0)
    call = Call(BUG, "write")
    call.began -= 86_400
    with heard.calls.on_main_thread(call):
        assert heard.calls.blocking() == 'driver "bug" has been trying to write for 0 s'


class TestIterate:
    def changes(self, heard: Heard, begin: Callable[[], Any]) -> AsyncGenerator[Any, None]:
        return heard.calls.iterate(BUG, "watch for changes", begin, failure=DriverError)

    async def test_what_is_yielded_is_yielded_until_the_end(self, heard: Heard) -> None:
        async def begin() -> AsyncIterator[int]:
            yield 1
            yield 2

        assert [one async for one in self.changes(heard, begin)] == [1, 2]

    @pytest.mark.parametrize("begin", [lambda: iter([None]), lambda: None], ids=["iter", "None"])
    async def test_what_is_no_async_generator_is_told(
        self, heard: Heard, begin: Callable[..., Any]
    ) -> None:
        with pytest.raises(
            DriverError, match=r"failed to watch for changes: it is not async, but must be"
        ):
            await anext(self.changes(heard, begin))

    @pytest.mark.parametrize("error", [ValueError("x"), SystemExit("x")], ids=repr)
    async def test_what_is_raised_is_told(
        self, heard: Heard, error: ValueError | SystemExit
    ) -> None:
        async def begin() -> AsyncIterator[int]:
            yield 1
            raise error

        changes = self.changes(heard, begin)
        assert await anext(changes) == 1
        with pytest.raises(DriverError, match=f"watch for changes: {type(error).__name__}: x"):
            await anext(changes)

    async def test_hsup_says_that_it_waits_for_the_first_and_for_no_other(
        self,
        heard: Heard,
        turn_until: TurnUntil,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("hsup.plugins.calls.NOTICE_SECONDS", 0.0)
        may_begin = asyncio.Event()

        async def begin() -> AsyncIterator[int]:
            await may_begin.wait()
            yield 1
            await asyncio.Event().wait()

        changes = self.changes(heard, begin)
        waiting = asyncio.ensure_future(anext(changes))
        await turn_until(lambda: heard.said)
        assert heard.said[0] == 'Waiting for driver "bug" to watch for changes (0 s so far)'
        assert heard.calls.waited_for() == ['driver "bug" to watch for changes (0 s so far)']
        may_begin.set()
        assert await waiting == 1
        heard.said.clear()
        waiting = asyncio.ensure_future(anext(changes))
        for _ in range(10):
            await asyncio.sleep(0)
        assert heard.said == heard.calls.waited_for() == []
        waiting.cancel()

    async def test_it_is_closed_with_it(self, heard: Heard) -> None:
        closed = []

        async def begin() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                closed.append(True)

        changes = self.changes(heard, begin)
        assert await anext(changes) == 1
        await changes.aclose()
        assert closed

    @pytest.mark.parametrize(
        "error", [SystemExit("x"), Interrupted(), asyncio.CancelledError("x")], ids=repr
    )
    async def test_what_no_generator_is_made_for_is_told(
        self, heard: Heard, error: BaseException
    ) -> None:
        with pytest.raises(DriverError, match=r"hsup-driver-bug 0.1 failed to watch for changes"):
            await anext(self.changes(heard, raising(error)))

    async def test_its_end_is_a_call_as_any_other(
        self, heard: Heard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hsup.plugins.calls.BLOCKED_SECONDS", 0.0)
        seen = []

        async def begin() -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                seen.append(heard.calls.blocking())
                raise SystemExit(3)

        changes = self.changes(heard, begin)
        assert await anext(changes) == 1
        with pytest.raises(DriverError, match=r"failed to watch for changes: SystemExit: 3"):
            await changes.aclose()
        assert seen == ['driver "bug" has been trying to watch for changes for 0 s']

    async def test_that_it_is_cancelled_is_no_failure_of_a_plugin(self, heard: Heard) -> None:
        async def begin() -> AsyncIterator[int]:
            await asyncio.Event().wait()
            yield 1

        waiting = asyncio.ensure_future(anext(self.changes(heard, begin)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert heard.errors == []


async def test_what_exits_where_it_is_to_be_awaited_is_told(heard: Heard) -> None:
    class Exits:
        def __await__(self) -> None:
            raise SystemExit(3)

    with pytest.raises(DynoStartError, match=r"failed to start web.1: SystemExit: 3"):
        await awaited(heard.calls, Exits)
