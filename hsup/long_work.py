"""Say how far long work is, where somebody waits for it.

The work says what it does; who waits for it asks for that from time to time, whatever is
between the two: a driver, for example, that does not know of it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hsup.visible import say_at_once

#: After how long it is said for the first time, and how often from then on.
FIRST_SECONDS, EVERY_SECONDS = 2.0, 10.0

#: From here on, tenths of a megabyte are not said.
_MANY_BYTES = 10_000_000


class LongWork:
    """What is done for somebody who waits: `slug` is what a slug is called, `the slug of v2`.

    `is_drawn` tells whether a terminal may be drawn on meanwhile, for bars.
    """

    def __init__(self, slug: str | None = None, *, is_drawn: bool = True) -> None:
        self.slug = slug
        self.is_drawn = is_drawn
        self._steps: list[Callable[[], str]] = []

    @contextmanager
    def doing(self, describe: Callable[[], str]) -> Iterator[None]:
        """Have what is done meanwhile described by a function; "" is what shows itself."""
        self._steps.append(describe)
        try:
            yield
        finally:
            self._steps.remove(describe)

    def text(self) -> str | None:
        """Return what is being done, None where that is not known; may be called by any thread."""
        for describe in reversed(tuple(self._steps)):
            return describe()
        return None


_CURRENT: ContextVar[LongWork | None] = ContextVar("long_work", default=None)


@contextmanager
def waited_for(work: LongWork) -> Iterator[LongWork]:
    """Have what is called meanwhile, in this context, be part of a work."""
    token = _CURRENT.set(work)
    try:
        yield work
    finally:
        _CURRENT.reset(token)


def current() -> LongWork:
    """Return the work that the caller is part of, one that nobody waits for where it is none."""
    return _CURRENT.get() or LongWork()


@contextmanager
def said() -> Iterator[None]:
    """Say how far the work is that is done meanwhile, in the main thread and without a loop.

    It is said on standard error, and by a signal handler.
    """
    work = LongWork()

    def tell() -> float:
        text = work.text()
        if not text:  # what takes long has not begun
            return FIRST_SECONDS
        say_at_once(text)
        return EVERY_SECONDS

    with waited_for(work), alarm(FIRST_SECONDS, tell):
        yield


@contextmanager
def alarm(seconds: float, ring: Callable[[], float]) -> Iterator[None]:
    """Call a function after some seconds, and then again after as many as it returns.

    It interrupts whatever the main thread does meanwhile, and waits for (man 2 setitimer).
    """

    def handle(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, ring())

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def amount(done: int, total: int) -> str:
    """Return how many megabytes are done, and of how many where that is known."""
    digits = 0 if max(done, total) >= _MANY_BYTES else 1
    of = f" of {total / 1e6:.{digits}f}" if total else ""
    return f"{done / 1e6:.{digits}f}{of} MB"
