"""Show how far a slug is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hsup.cancellation import require_wanted
from hsup.visible import visible, warn

#: Called with a number of bytes that have been dealt with since the call before.
Advance = Callable[[int], None]
#: Called with what is done ("downloading slug.tgz") and how many bytes there are of it.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


_SHOW_SECONDS = 0.1


@contextmanager
def bar(label: str, length: int) -> Iterator[Advance]:
    """Draw a bar on standard error if that is a terminal; count bytes where `length` is 0."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    import click

    label = visible(label)
    if not length:
        yield from _counter(label)
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as drawn:
        yield drawn.update


def while_wanted(progress: Progress) -> Progress:
    """Return a progress that ends the work with GivenUp once it is not wanted any more."""

    @contextmanager
    def watched(label: str, length: int) -> Iterator[Advance]:
        with progress(label, length) as advance:

            def advance_if_wanted(count: int) -> None:
                require_wanted()
                advance(count)

            yield advance_if_wanted

    return watched


def tell_of_waiting() -> None:
    """Say that another process has a slug in hand."""
    warn("waiting for another hsup, which is bringing in the same slug")


def _counter(label: str) -> Iterator[Advance]:
    """Show how many megabytes have come, ten times a second."""
    done, shown_at = 0, 0.0

    def advance(count: int) -> None:
        nonlocal done, shown_at
        done += count
        if time.monotonic() - shown_at > _SHOW_SECONDS:
            shown_at = time.monotonic()
            sys.stderr.write(f"\r{label}  {done / 1e6:.1f} MB")
            sys.stderr.flush()

    yield advance
    sys.stderr.write(f"\r{label}  {done / 1e6:.1f} MB\n")


def _ignore(_: int) -> None:
    pass
