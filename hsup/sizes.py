"""What a dyno of each of the platform's sizes has.

Memory and processes are those of Heroku's Dev Center, articles
dyno-memory-behavior and limits (October and December 2024). Cpus are what
`nproc` has to tell for the WEB_CONCURRENCY scripts of Heroku's buildpacks,
min(nproc × 2 + 1, MB / 256), to come to the platform's results. Weights are the
lower bounds of the column Compute of the article dyno-types (June 2024): `1x`
is an eighth of a shared machine's cpu and a half, the same for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from hsup.errors import DynoStartError, UsageError

DEFAULT_NAME = "standard-1x"

#: How many files a process may have open, whatever the size.
OPEN_FILES = 10_000

_MIB = 1024**2
_GIB = 1024**3


class Size(NamedTuple):
    """What a dyno has.

    `memory` is its quota in bytes, and what it is told; beyond it lies swap, up
    to `hard_limit` for both. `pids` counts threads too. `cpus` is what `nproc`
    tells on a machine that has as many. `weight` is its part of cpu time where
    several dynos want it, 1 for Standard-1X. A size that is dedicated never
    gets more than its cpus; a shared one has what others leave idle.
    """

    name: str
    memory: int
    hard_limit: int
    pids: int
    cpus: int
    weight: int
    is_dedicated: bool

    @property
    def swap(self) -> int:
        """Return how many bytes may lie in swap."""
        return self.hard_limit - self.memory


def _shared(name: str, memory: int, pids: int, weight: int) -> Size:
    return Size(name, memory, 2 * memory, pids, cpus=8, weight=weight, is_dedicated=False)


def _dedicated(letters: str, memory: int, hard_limit: int, *rest: int) -> tuple[Size, ...]:
    """Return a size of performance, and those of private and shield, which have no swap."""
    pids, cpus, weight = rest
    performance = Size(
        f"performance-{letters}", memory, hard_limit, pids, cpus, weight, is_dedicated=True
    )
    isolated = performance._replace(hard_limit=memory)
    names = (f"private-{letters}", f"shield-{letters}")
    return (performance, *(isolated._replace(name=name) for name in names))


_TABLE = (
    _shared("eco", 512 * _MIB, 256, 1),
    _shared("basic", 512 * _MIB, 256, 1),
    _shared("standard-1x", 512 * _MIB, 256, 1),
    _shared("standard-2x", 1 * _GIB, 512, 2),
    *_dedicated("s", 1 * _GIB, 1 * _GIB, 512, 2, 12)[1:],
    *_dedicated("m", 2560 * _MIB, 5 * _GIB, 16384, 2, 12),
    *_dedicated("l", 14 * _GIB, 28 * _GIB, 32768, 8, 50),
    *_dedicated("l-ram", 30 * _GIB, 36 * _GIB, 16384, 4, 24),
    *_dedicated("xl", 62 * _GIB, 74 * _GIB, 32768, 8, 50),
    *_dedicated("2xl", 126 * _GIB, 151 * _GIB, 65536, 16, 100),
)

#: Every size by its name, which is in lower case.
SIZES: Mapping[str, Size] = {size.name: size for size in _TABLE}

#: What the platform called them once, or still does in its command line's `ps:type`. PX and
#: Performance, of 6 GB then, are billed about as Performance-L.
_RENAMED: Mapping[str, str] = {
    "free": "eco",
    "hobby": "basic",
    "1x": "standard-1x",
    "2x": "standard-2x",
    "px": "performance-l",
    "performance": "performance-l",
    "private-memory-l": "private-l-ram",
    "private-memory-xl": "private-xl",
    "private-memory-2xl": "private-2xl",
    "shield-memory-l": "shield-l-ram",
    "shield-memory-xl": "shield-xl",
    "shield-memory-2xl": "shield-2xl",
}


def known(name: str) -> Size | None:
    """Return a size by its name of today or an earlier one, in any case of letters."""
    name = name.lower()
    return SIZES.get(_RENAMED.get(name, name))


def named(name: str) -> Size:
    """Return a size as `known` does. Raises DynoStartError."""
    size = known(name)
    if size is None:
        hint = f"sizes are {', '.join(SIZES)}"
        raise DynoStartError(f'there is no dyno size "{name}"', hint=hint)
    return size


def default_size(environ: Mapping[str, str], variable: str) -> Size:
    """Return the size of a dyno that was given none, as a driver's variable has it.

    Raises UsageError.
    """
    name = environ.get(variable) or DEFAULT_NAME
    try:
        return named(name)
    except DynoStartError as error:
        raise UsageError(f"{variable} is wrong: {error}") from error


def cpu_set(size: Size, host_cpus: Collection[int], number: int) -> set[int]:
    """Return the cpus that a dyno runs on, for sched_setaffinity; `nproc` counts them.

    `host_cpus` are those that hsup may use. `number` counts dynos, so that they
    spread over the machine.
    """
    cpus = sorted(host_cpus)
    if size.cpus >= len(cpus):
        return set(cpus)
    first = number * size.cpus
    return {cpus[(first + index) % len(cpus)] for index in range(size.cpus)}
