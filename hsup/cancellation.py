"""Give up blocking work whose result is no longer wanted.

The caller that waits for the work sets an event; the work checks it from time to time. The
code between the two, a driver for example, does not need to know of the event.
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
    """The result of the work is no longer wanted."""

    def __init__(self) -> None:
        super().__init__("the result is no longer wanted")


@contextmanager
def until(given_up: Event) -> Iterator[None]:
    """End the work that is called during the block, in this context, when an event is set."""
    token = _GIVEN_UP.set(given_up)
    try:
        yield
    finally:
        _GIVEN_UP.reset(token)


def require_wanted() -> None:
    """Raise GivenUp once the calling work is no longer wanted."""
    given_up = _GIVEN_UP.get()
    if given_up is not None and given_up.is_set():
        raise GivenUp


def pause(seconds: float) -> None:
    """Wait, but only as long as the calling work is wanted. Raises GivenUp."""
    given_up = _GIVEN_UP.get()
    if given_up is None:
        time.sleep(seconds)
    elif given_up.wait(seconds):
        raise GivenUp
