"""Report the progress of long work to a caller that waits for it.

The work describes its current step; the caller asks for the description from time to time.
The code between the two, a driver for example, does not need to know of it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hsup.visible import say_at_once

#: When progress is reported for the first time, and how often from then on.
FIRST_SECONDS, EVERY_SECONDS = 2.0, 10.0

#: From this size on, tenths of a megabyte are left out.
_MANY_BYTES = 10_000_000


class LongWork:
    """Work that a caller waits for; `slug` is the name of its slug: `the slug of v2`.

    `is_drawn` says whether the work may draw progress bars on a terminal. `archive` is the SHA-256
    of the archive that the work has unpacked, or found unpacked, None if there was none.
    `say_end` is called, in the thread of the work, with a text about the end of a step that was
    reported before.
    """

    def __init__(self, slug: str | None = None, *, is_drawn: bool = True) -> None:
        self.slug = slug
        self.is_drawn = is_drawn
        self.archive: str | None = None
        self.say_end: Callable[[str], None] = _say_nothing
        self._steps: list[Callable[[], str]] = []

    @contextmanager
    def doing(self, describe: Callable[[], str]) -> Iterator[None]:
        """Describe the step inside the block by a function; it returns "" if a bar shows it."""
        self._steps.append(describe)
        try:
            yield
        finally:
            self._steps.remove(describe)

    def text(self) -> str | None:
        """Return the description of the current step, None without one; for any thread."""
        for describe in reversed(tuple(self._steps)):
            return describe()
        return None


def _say_nothing(_text: str) -> None:
    """Say nothing, as nobody waits."""


_CURRENT: ContextVar[LongWork | None] = ContextVar("long_work", default=None)


@contextmanager
def waited_for(work: LongWork) -> Iterator[LongWork]:
    """Make the calls during the block, in this context, a part of some work."""
    token = _CURRENT.set(work)
    try:
        yield work
    finally:
        _CURRENT.reset(token)


def current() -> LongWork:
    """Return the work that the caller is part of, or else a new one that nobody waits for."""
    return _CURRENT.get() or LongWork()


@contextmanager
def said() -> Iterator[None]:
    """Report the progress of the work during the block, in a main thread without an event loop.

    A signal handler prints it on standard error.
    """
    work = LongWork()
    work.say_end = say_at_once

    def tell() -> float:
        text = work.text()
        if not text:  # no long step has begun
            return FIRST_SECONDS
        say_at_once(text)
        return EVERY_SECONDS

    with waited_for(work), alarm(FIRST_SECONDS, tell):
        yield


@contextmanager
def alarm(seconds: float, ring: Callable[[], float]) -> Iterator[None]:
    """Call a function after some seconds, and then again after as many as it returns.

    It interrupts the main thread, which may be blocked (man 2 setitimer).
    """

    def handle(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, ring())

    previous_handler = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous_handler)


def amount(done: int, total: int) -> str:
    """Return how many megabytes are done, and of how many if `total` is not 0."""
    digits = 0 if max(done, total) >= _MANY_BYTES else 1
    of = f" of {total / 1e6:.{digits}f}" if total else ""
    return f"{done / 1e6:.{digits}f}{of} MB"
