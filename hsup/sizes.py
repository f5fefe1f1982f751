"""The limits of a dyno of each of the platform's sizes.

Memory and processes are those of Heroku's Dev Center, articles
dyno-memory-behavior and limits (October and December 2024). Cpus are what
`nproc` has to print so that the WEB_CONCURRENCY scripts of Heroku's buildpacks,
min(nproc × 2 + 1, MB / 256), get the platform's results. Weights are the
lower bounds of the column Compute of the article dyno-types (June 2024): `1x`
is an eighth of a shared machine's cpu and a half, the same for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from hsup.errors import DynoStartError, UsageError

DEFAULT_NAME = "standard-1x"

#: How many files a process may have open, for every size.
OPEN_FILES = 10_000

_MIB = 1024**2
_GIB = 1024**3


class Size(NamedTuple):
    """The limits of a dyno.

    `memory` is the quota in bytes, which the dyno sees; beyond it the dyno swaps,
    up to `hard_limit` for both. `pids` includes threads. `cpus` is what `nproc`
    prints on a machine that has as many. `weight` is the share of cpu time when
    several dynos want it, 1 for Standard-1X. A dedicated size never gets more
    than its cpus; a shared one also gets what others leave idle.
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
        """Return how many bytes may be swapped out."""
        return self.hard_limit - self.memory


def _shared(name: str, memory: int, pids: int, weight: int) -> Size:
    return Size(name, memory, 2 * memory, pids, cpus=8, weight=weight, is_dedicated=False)


def _dedicated(letters: str, memory: int, hard_limit: int, *rest: int) -> tuple[Size, ...]:
    """Return a performance size, and its private and shield sizes, which have no swap."""
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

#: Former names of the platform, and those that its command line's `ps:type` still takes. PX
#: and Performance, of 6 GB then, are billed about as Performance-L.
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
    """Return the size with this current or former name in any letter case, None if unknown."""
    name = name.lower()
    return SIZES.get(_RENAMED.get(name, name))


def named(name: str) -> Size:
    """Return a size as `known` does. Raises DynoStartError."""
    size = known(name)
    if size is None:
        hint = f"choose from {', '.join(SIZES)}"
        raise DynoStartError(f'there is no dyno size "{name}"', hint=hint)
    return size


def platform_spelling(name: str) -> str:
    """Return the name of a size as the platform's log has it: `Standard-1X`, `Performance-L-RAM`.

    A name that the platform does not know is returned as it is.
    """
    size = known(name)
    if size is None:
        return name
    family, *rest = size.name.split("-")
    return "-".join((family.capitalize(), *map(str.upper, rest)))


def default_size(environ: Mapping[str, str], variable: str) -> Size:
    """Return the size of dynos without a size of their own, from a driver's variable.

    Raises UsageError.
    """
    name = environ.get(variable) or DEFAULT_NAME
    try:
        return named(name)
    except DynoStartError as error:
        raise UsageError(f"{variable}: {error}") from error


def cpu_set(size: Size, host_cpus: Collection[int], number: int) -> set[int]:
    """Return the cpus that a dyno runs on, for sched_setaffinity; `nproc` counts them.

    `host_cpus` are the cpus that hsup may use. `number` counts dynos, to spread
    them over the machine.
    """
    cpus = sorted(host_cpus)
    if size.cpus >= len(cpus):
        return set(cpus)
    first = number * size.cpus
    return {cpus[(first + index) % len(cpus)] for index in range(size.cpus)}
