"""Show on a terminal how far a slug is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

#: Called with a number of bytes that have been dealt with since the call before.
Advance = Callable[[int], None]
#: Called with what is done ("downloading slug.tgz") and how many bytes there are of it.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def bar(label: str, length: int) -> Iterator[Advance]:
    """Draw a bar on standard error, if that is a terminal and `length` is known (not 0)."""
    if not (length and sys.stderr.isatty()):
        yield _ignore
        return
    import click

    with click.progressbar(length=length, label=label, file=sys.stderr) as drawn:
        yield drawn.update


def _ignore(_: int) -> None:
    pass
