"""Give up blocking work whose result is not wanted any more.

Who waits for the work has an event, which it sets; the work looks at it from time to time,
whatever is between the two: a driver, for example, that does not know of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from hsup.errors import HsupError

_GIVEN_UP: ContextVar[Event | None] = ContextVar("given_up", default=None)


class GivenUp(HsupError):
    """The result is not wanted any more."""

    def __init__(self) -> None:
        super().__init__("it is not wanted any more")


@contextmanager
def until(given_up: Event) -> Iterator[None]:
    """Have what is called meanwhile, in this context, end when an event is set."""
    token = _GIVEN_UP.set(given_up)
    try:
        yield
    finally:
        _GIVEN_UP.reset(token)


def require_wanted() -> None:
    """Raise GivenUp once the work that calls this is not wanted any more."""
    given_up = _GIVEN_UP.get()
    if given_up is not None and given_up.is_set():
        raise GivenUp


def pause(seconds: float) -> None:
    """Wait, but no longer than the work that calls this is wanted. Raises GivenUp."""
    given_up = _GIVEN_UP.get()
    if given_up is None:
        time.sleep(seconds)
    elif given_up.wait(seconds):
        raise GivenUp
