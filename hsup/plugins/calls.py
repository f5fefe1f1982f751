"""Call into plugins, time each call, and check its result.

Every call goes through `Calls`. Whatever a plugin raises, or returns against its contract,
becomes an HsupError that names the plugin. A call that does not return cannot keep hsup
from ending.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar

from hsup.errors import HsupError
from hsup.long_work import FIRST_SECONDS, alarm, current

if TYPE_CHECKING:
    import asyncio

    from hsup.long_work import LongWork
    from hsup.plugins.contracts import Check

# asyncio is imported only where an event loop runs: `hsup run` needs none.

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")

#: How long hsup waits before it first says what it is waiting for.
NOTICE_SECONDS = 10.0
#: The most time of a call after it was cancelled, or after hsup was told twice to stop.
LAST_SECONDS = 5.0
#: How long a call may block the event loop before it is reported and may be interrupted.
BLOCKED_SECONDS = 1.0

#: The most characters of a value in a message.
_MOST_CHARACTERS = 80
_VOWELS = frozenset("AEIOUaeiou")


class PluginPart(NamedTuple):
    """Something that a plugin registered: `driver "simple" of hsup-driver-simple 0.1`."""

    kind: str
    name: str
    distribution: str
    version: str

    @property
    def title(self) -> str:
        """Return its kind and name, as a user knows it."""
        return f'{self.kind} "{self.name}"' if self.name else self.kind

    def __str__(self) -> str:
        return f"{self.title} of {self.distribution} {self.version}"


class Interrupted(BaseException):
    """A call that blocked the event loop was interrupted; raised in a signal handler."""


class Call:
    """A call into a plugin; `what` says what it should do: `start web.1`."""

    __slots__ = ("began", "is_noted", "is_told", "part", "wait", "was_hurried", "what")

    def __init__(self, part: PluginPart, what: str, *, is_told: bool = True) -> None:
        self.part = part
        self.what = what
        self.is_told = is_told
        self.is_noted = True
        self.began = time.monotonic()
        self.was_hurried = False
        self.wait: _Wait | None = None

    def __str__(self) -> str:
        return f"{self.part.title} to {self.what} ({self.seconds:.0f} s so far)"

    def describe(self, seconds: float) -> str:
        """Return the component, what it is doing, and how long it has taken."""
        return f"{self.part.title} has been trying to {self.what} for {seconds:.0f} s"

    @property
    def seconds(self) -> float:
        """Return how long the call has taken so far."""
        return time.monotonic() - self.began

    def hurry(self) -> None:
        """Have the call end soon, or stop waiting for it."""
        self.was_hurried = True
        if self.wait is not None:
            self.wait.hurry()


def _ignore(text: str, error: BaseException | None = None) -> None:
    """Ignore a text."""


class Calls:
    """Makes all calls into plugins, and knows which have not returned.

    `say` gets what hsup is waiting for, `warn` failures that stop nothing, and `note` each
    call with its time, and its error if it failed. If `has_alarm` is set, a timer signal
    reports waits while no event loop runs. `has_abandoned` tells that a call is still running
    although it was cancelled.
    """

    def __init__(
        self,
        *,
        say: Callable[[str], None] = _ignore,
        warn: Callable[[str], None] = _ignore,
        note: Callable[[str, BaseException | None], None] = _ignore,
        has_alarm: bool = False,
    ) -> None:
        self.say = say
        self.warn = warn
        self.note = note
        self.is_hurried = False
        self.has_abandoned = False
        self.has_alarm = has_alarm
        self._pending: dict[int, Call] = {}
        self._running: Call | None = None
        self._running_since = 0.0

    def waited_for(self) -> list[str]:
        """Return the calls that should have returned but have not, oldest first."""
        return [str(one) for one in self._pending.values() if one.is_told]

    def blocking(self, seconds: float = 0.0) -> str | None:
        """Return which call has blocked the main thread, and so the event loop, for so long.

        The least is BLOCKED_SECONDS.
        """
        running, since = self._running, self._running_since  # another thread may ask
        blocked = time.monotonic() - since
        if running is None or blocked < max(seconds, BLOCKED_SECONDS):
            return None
        return running.describe(blocked)

    def interrupt(self) -> None:
        """Interrupt the call that blocks the main thread, if any; for signal handlers."""
        if self.blocking() is not None:
            raise Interrupted

    def hurry(self) -> None:
        """Cancel pending calls, and limit later ones to LAST_SECONDS."""
        self.is_hurried = True
        for call in list(self._pending.values()):
            call.hurry()

    def run(
        self,
        part: PluginPart,
        what: str,
        work: Callable[[], Any],
        *,
        failure: type[HsupError],
        check: Check | None = None,
        is_told: bool = True,
    ) -> Any:
        """Return what a blocking function returns, called in the main thread.

        Raises an HsupError; any other exception becomes a `failure`. Unless `is_told` is set,
        hsup does not report the wait: it may last forever.
        """
        with self._pending_call(part, what, is_told=is_told) as call, self._alarm(call):
            try:
                with self.on_main_thread(call):
                    result = work()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise self.failed(call, failure, error) from error
            return self._checked(call, failure, check, result)

    async def await_(
        self,
        part: PluginPart,
        what: str,
        begin: Callable[[], Awaitable[Any]],
        *,
        failure: type[HsupError],
        check: Check | None = None,
        notice_seconds: float | None = NOTICE_SECONDS,
        is_last: bool = False,
        is_noted: bool = True,
    ) -> Any:
        """Return what a coroutine returns; `begin` makes it.

        Raises as `run` does, also if hsup stopped waiting. `notice_seconds` says when hsup
        reports the wait, None for never. With `is_last`, the call is not cancelled when hsup
        has to end at once, as it ends a dyno itself, but hsup waits only LAST_SECONDS for it.
        Unless it `is_noted`, its time is not logged, as it is made again and again.
        If this is cancelled, so is the call, which then has LAST_SECONDS to end.
        """
        import asyncio

        with self._pending_call(part, what, is_told=notice_seconds is not None) as call:
            task = asyncio.get_running_loop().create_task(self._drive(call, begin))
            call.is_noted = is_noted
            call.wait = wait = _Wait(task, is_last=is_last)
            work = current()  # its progress is reported elsewhere
            notice = _Notice(lambda: self._say_waiting(call, work), notice_seconds)
            if self.is_hurried:
                call.was_hurried = True
                wait.expire()
            try:
                await wait.over
            except asyncio.CancelledError:
                await self._cancel(call, task)
                raise
            finally:
                notice.end()
                wait.leave()
            return self._result(call, task, failure, check)

    async def iterate(
        self,
        part: PluginPart,
        what: str,
        begin: Callable[[], AsyncGenerator[_Result, None]],
        *,
        failure: type[HsupError],
    ) -> AsyncGenerator[_Result, None]:
        """Yield what an async generator yields; `begin` makes it. Raises as `run` does.

        After NOTICE_SECONDS hsup says that it is waiting for the first item; later items may
        take forever.
        """
        with self._pending_call(part, what) as call:
            notice = _Notice(lambda: self.say(f"Waiting for {call}"), NOTICE_SECONDS)
            try:
                with self.on_main_thread(call):
                    items = _async_generator(begin())
                try:
                    while True:
                        try:
                            item = await Steps(self, call, items.__anext__())
                        except StopAsyncIteration:
                            return
                        notice.end()
                        call.is_told = False
                        yield item
                finally:
                    await Steps(self, call, items.aclose())
            except BaseException as error:
                if isinstance(error, GeneratorExit) or is_cancelled(error):
                    raise
                cause = error.error if isinstance(error, Escaped) else error
                raise self.failed(call, failure, cause) from cause
            finally:
                notice.end()

    @contextmanager
    def on_main_thread(self, call: Call) -> Iterator[None]:
        """Record which call uses the main thread, for `blocking`."""
        outer = self._running, self._running_since
        self._running, self._running_since = call, time.monotonic()
        try:
            yield
        finally:
            blocked = time.monotonic() - self._running_since
            self._running, self._running_since = outer
            if blocked > BLOCKED_SECONDS:
                self.note(f"{call.part} blocked the main thread for {blocked:.1f} s", None)

    def failed(self, call: Call, failure: type[HsupError], error: BaseException) -> HsupError:
        """Return the HsupError for what a call raised."""
        from hsup.descriptors import REMEDY, shortage  # slow to import, rarely needed

        self.note(f"{call.part} failed to {call.what} after {call.seconds:.3f} s", error)
        short = shortage(error)
        if isinstance(error, HsupError):
            error.hint = error.hint if short is None else REMEDY
            return error
        hint = None if short is None else REMEDY
        if isinstance(error, ImportError):
            hint = f"reinstall {call.part.distribution} where hsup is: {sys.prefix}"
        text = short or _text_of(error)
        mistake = failure(f"{call.part} failed to {call.what}: {text}", hint=hint)
        mistake.is_mistake = True
        return mistake

    async def _cancel(self, call: Call, task: asyncio.Task[Any]) -> None:
        """Cancel a call, and wait at most LAST_SECONDS for its end."""
        import asyncio

        task.cancel()
        await asyncio.wait({task}, timeout=LAST_SECONDS)
        if not task.done():
            self.has_abandoned = True
            self.warn(f"{call.part} is still trying to {call.what} after being cancelled")
        elif not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it

    async def _drive(self, call: Call, begin: Callable[[], Awaitable[Any]]) -> Any:
        try:
            with self.on_main_thread(call):
                begun = begin()
        except Exception:
            raise
        except BaseException as error:
            raise Escaped(error) from error
        if not hasattr(type(begun), "__await__"):
            raise _NotAsync
        return await Steps(self, call, begun)

    def _result(
        self,
        call: Call,
        task: asyncio.Task[Any],
        failure: type[HsupError],
        check: Check | None,
    ) -> Any:
        if not task.done():
            task.cancel()
            self.has_abandoned = True
            text = (
                f"{call.part} did not {call.what} within {call.seconds:.0f} s; hsup stopped waiting"
            )
            self.note(text, None)
            raise failure(text)
        if task.cancelled():
            why = "hsup was told to stop a second time" if call.was_hurried else "it was cancelled"
            text = f"{call.part} failed to {call.what}: {why}"
            self.note(text, None)
            raise failure(text)
        error = task.exception()
        if isinstance(error, Escaped):
            error = error.error
        if error is not None:
            raise self.failed(call, failure, error) from error
        return self._checked(call, failure, check, task.result())

    def _checked(
        self, call: Call, failure: type[HsupError], check: Check | None, result: Any
    ) -> Any:
        try:
            with self.on_main_thread(call):  # the check reads properties of the plugin's object
                wrong = _wrong(check, result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.failed(call, failure, error) from error
        if wrong is not None:
            mistake = failure(f"{call.part} failed to {call.what}: {wrong}")
            mistake.is_mistake = True
            self.note(str(mistake), None)
            raise mistake
        if call.is_noted:
            self.note(f"{call.part} took {call.seconds:.3f} s to {call.what}", None)
        return result

    @contextmanager
    def _pending_call(self, part: PluginPart, what: str, *, is_told: bool = True) -> Iterator[Call]:
        call = Call(part, what, is_told=is_told)
        self._pending[id(call)] = call
        try:
            yield call
        finally:
            del self._pending[id(call)]

    def _say_waiting(self, call: Call, work: LongWork) -> None:
        if work.text() is None:
            self.say(f"Waiting for {call}")

    @contextmanager
    def _alarm(self, call: Call) -> Iterator[None]:
        """Report progress, or what hsup is waiting for, where no event loop runs."""
        if not (call.is_told and self.has_alarm):
            yield
            return
        work = current()

        def tell() -> float:
            left = NOTICE_SECONDS - call.seconds
            if text := work.text():
                self.say(text)
            elif left > 0:  # the long work may not have begun
                return min(FIRST_SECONDS, left)
            else:
                self._say_waiting(call, work)
            return left if left > 0 else NOTICE_SECONDS

        with alarm(min(FIRST_SECONDS, NOTICE_SECONDS), tell):
            yield


class _Wait:
    """Waits for a task: `over` is done when the task is, or when its time is up."""

    def __init__(self, task: asyncio.Task[Any], *, is_last: bool) -> None:
        self._loop = task.get_loop()
        self._task = task
        self._is_last = is_last
        self._last: asyncio.TimerHandle | None = None
        self.over: asyncio.Future[None] = self._loop.create_future()
        task.add_done_callback(lambda _: self._end())

    def hurry(self) -> None:
        """Cancel the task unless it ends by itself, and limit the wait for it."""
        if not self._is_last:
            self._task.cancel()
        self.expire()

    def expire(self) -> None:
        """Limit the wait to LAST_SECONDS from now."""
        if self._last is None:
            self._last = self._loop.call_later(LAST_SECONDS, self._end)

    def leave(self) -> None:
        """Cancel the timer."""
        if self._last is not None:
            self._last.cancel()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class _Notice:
    """Reports a wait after some seconds, and then less and less often."""

    def __init__(self, say: Callable[[], None], seconds: float | None) -> None:
        self._say = say
        self._timer: asyncio.TimerHandle | None = None
        if seconds is not None:
            self._begin(seconds)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self, seconds: float) -> None:
        import asyncio

        self._timer = asyncio.get_running_loop().call_later(seconds, self._tell, seconds)

    def _tell(self, seconds: float) -> None:
        self._say()
        self._begin(max(NOTICE_SECONDS, 2 * seconds))


class Blocking(Generic[_Given, _Result]):
    """A method of a plugin that may block: call it, or `call_plugin` where a loop runs.

    `what` makes from the arguments a text that says what the method should do.
    """

    def __init__(
        self,
        calls: Calls,
        part: PluginPart,
        what: Callable[..., str],
        method: Callable[_Given, _Result],
        *,
        failure: type[HsupError],
        check: Check | None = None,
        is_told: bool = True,
    ) -> None:
        self._calls = calls
        self._part = part
        self._what = what
        self._method = method
        self._failure = failure
        self._check = check
        self._is_told = is_told

    def __call__(self, *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """Return what the method returns. Raises HsupError."""
        result: _Result = self._calls.run(
            self._part,
            self._what(*given, **named),
            lambda: self._method(*given, **named),
            failure=self._failure,
            check=self._check,
            is_told=self._is_told,
        )
        return result

    async def in_thread(self, *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """Return what the method returns, called in a thread. Raises HsupError."""
        from hsup.descriptors import unless_lowered
        from hsup.threads import in_thread

        def work() -> _Result:
            return unless_lowered(lambda: self._method(*given, **named))

        result: _Result = await self._calls.await_(
            self._part,
            self._what(*given, **named),
            lambda: in_thread(work),
            failure=self._failure,
            check=self._check,
        )
        return result


async def call_plugin(
    method: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs
) -> _Result:
    """Return what a blocking method of a plugin returns, without blocking the loop."""
    assert isinstance(method, Blocking), method
    result: _Result = await method.in_thread(*given, **named)
    return result


class _NotAsync(Exception):
    """A result that should be awaited is not awaitable."""


class Escaped(Exception):
    """An exception that would end the event loop, for example SystemExit."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Steps:
    """Awaits an awaitable, and records when its code is running."""

    def __init__(self, calls: Calls, call: Call, work: Awaitable[Any]) -> None:
        self._calls = calls
        self._call = call
        self._work = work

    def __await__(self) -> Generator[Any, None, Any]:
        steps: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                with self._calls.on_main_thread(self._call):
                    steps = steps or self._work.__await__()
                    waited_for = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            except (SystemExit, KeyboardInterrupt, Interrupted) as error:
                raise Escaped(error) from error
            thrown = None
            try:
                yield waited_for
            except BaseException as error:  # noqa: BLE001 - passed on to the awaitable
                thrown = error


def is_cancelled(error: BaseException) -> bool:
    """Tell whether an error means that the current task was cancelled, not a plugin's own."""
    import asyncio

    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())


def _async_generator(made: Any) -> Any:
    if not (hasattr(made, "__anext__") and hasattr(made, "aclose")):
        raise _NotAsync
    return made


def _wrong(check: Check | None, result: Any) -> str | None:
    """Return what is wrong with the result of a call, None if nothing is."""
    if hasattr(type(result), "__await__") and hasattr(result, "close"):
        result.close()  # it would never be awaited
        return "it is async, but must not be"
    if check is not None and (wrong := check(result)):
        return f"it returned {shortened(result)} {wrong}"
    return None


def _text_of(error: BaseException) -> str:
    if isinstance(error, Interrupted):
        return "it blocked hsup and was interrupted"
    if isinstance(error, _NotAsync):
        return "it is not async, but must be"
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def shortened(value: object) -> str:
    """Return a plugin's value for a message; only its type if it may contain secrets."""
    if not isinstance(value, (str, int, float, type(None))):
        name = type(value).__name__
        return f"{'an' if name[:1] in _VOWELS else 'a'} {name}"
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
