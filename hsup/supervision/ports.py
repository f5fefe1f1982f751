"""Lease a port to each dyno."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple

from hsup.errors import DriverError, InvalidRelease
from hsup.model import DynoName, Fault, Release
from hsup.numerals import HIGHEST_PORT, PORT_PROBLEM, port_number

#: As in foreman: a hundred ports for every process type, from 5000 up.
BASE_PORT = 5000
PORTS_PER_TYPE = 100

#: The value of `--port` for the first base whose ports are free.
AUTO: Final = "auto"
#: What `--port` takes: a base, or AUTO.
Base = int | Literal["auto"]


def base_of(release: Release) -> int:
    """Return the base that a release asks for in its PORT, BASE_PORT if it has none.

    Raises InvalidRelease for a PORT that is not the number of a port.
    """
    text = release.config.get("PORT")
    if not text:
        return BASE_PORT
    number = port_number(text)
    if number is None:
        fault = Fault(place="", problem=f'config var "PORT" {PORT_PROBLEM}')
        raise InvalidRelease(str(release), [fault])
    return number


class _Lease(NamedTuple):
    """A port, and the base that it was counted from."""

    port: int
    base: int


class Ports:
    """Gives every dyno of a shared network a port of its own.

    The port of a dyno is `base` + 100 × the index of its type + its number − 1,
    so that it is known beforehand. A type keeps its index as long as this
    object exists, and a dyno keeps its port until it is released, or ports count from
    another base. If the port is taken because a type has more than a hundred
    dynos, the next free one is leased.
    """

    def __init__(self, types: Iterable[str] = (), base: int = BASE_PORT) -> None:
        self.base = base
        self._indexes: dict[str, int] = {}
        self._leases: dict[DynoName, _Lease] = {}
        # One byte per port: bytearray.find() finds the next free one in C.
        self._taken = bytearray(HIGHEST_PORT + 1)
        self.know(types)

    def know(self, types: Iterable[str]) -> None:
        """Give an index to each type that has none yet."""
        for name in types:
            self._indexes.setdefault(name, len(self._indexes))

    def lease(self, name: DynoName) -> int:
        """Return the port of a dyno, the same one until it is released.

        Raises DriverError if no port is left.
        """
        if name not in self._leases:
            port = self._next_free(self.preferred(name))
            if port is None:
                text = f"no port is left for {name}: dynos use every port from {self.base} up"
                raise DriverError(text, hint="start fewer dynos, or choose a lower base with -p")
            self._leases[name] = _Lease(port, self.base)
            self._taken[port] = 1
        return self._leases[name].port

    def preferred(self, name: DynoName) -> int:
        """Return the port that a dyno has unless another one has it, by its type and number."""
        index = self._indexes.get(name.type, len(self._indexes))  # one-offs: after all types
        return self.base + PORTS_PER_TYPE * index + name.number - 1

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Undo what is leased and released in the `with` block if it raises."""
        undo = self._undo()
        try:
            yield
        except BaseException:
            undo()
            raise

    @contextmanager
    def for_now(self) -> Iterator[None]:
        """Undo what is leased and released in the `with` block at its end."""
        undo = self._undo()
        try:
            yield
        finally:
            undo()

    def count_from(self, base: int) -> None:
        """Lease ports from a base; release those that were counted from another one."""
        self.base = base
        for name in [name for name, lease in self._leases.items() if lease.base != base]:
            self.release(name)

    def _undo(self) -> Callable[[], None]:
        base, leases, taken = self.base, dict(self._leases), bytes(self._taken)

        def undo() -> None:
            self.base, self._leases, self._taken = base, leases, bytearray(taken)

        return undo

    def release(self, name: DynoName) -> None:
        """Release the port of a dyno that has ended."""
        if name in self._leases:
            self._taken[self._leases.pop(name).port] = 0

    def _next_free(self, preferred: int) -> int | None:
        for first in (preferred, self.base):
            port = self._taken.find(0, first)
            if port >= 0:
                return port
        return None
