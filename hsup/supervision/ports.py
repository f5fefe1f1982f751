"""Lease a port to each dyno."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hsup.errors import DriverError
from hsup.model import DynoName

#: As in foreman: a hundred ports for every process type, from 5000 up.
BASE_PORT = 5000
PORTS_PER_TYPE = 100
_HIGHEST_PORT = 65535


class Ports:
    """Gives every dyno of a shared network a port of its own.

    The port of a dyno is 5000 + 100 × the index of its type + its number − 1,
    so that it is known beforehand. A type keeps its index as long as this
    object exists, and a dyno keeps its port until it is released. If the port is
    taken because a type has more than a hundred dynos, the next free one is leased.
    """

    def __init__(self, types: Iterable[str] = ()) -> None:
        self._indexes: dict[str, int] = {}
        self._leases: dict[DynoName, int] = {}
        # One byte per port: bytearray.find() finds the next free one in C.
        self._taken = bytearray(_HIGHEST_PORT + 1)
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
            port = self._next_free(self._preferred(name))
            if port is None:
                text = f"no port is left for {name}: dynos use every port from {BASE_PORT} up"
                raise DriverError(text, hint="start fewer dynos")
            self._leases[name] = port
            self._taken[port] = 1
        return self._leases[name]

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Release all ports leased in the `with` block if it raises."""
        held = set(self._leases)
        try:
            yield
        except BaseException:
            for name in self._leases.keys() - held:
                self.release(name)
            raise

    def release(self, name: DynoName) -> None:
        """Release the port of a dyno that has ended."""
        if name in self._leases:
            self._taken[self._leases.pop(name)] = 0

    def _preferred(self, name: DynoName) -> int:
        index = self._indexes.get(name.type, len(self._indexes))  # one-offs: after all types
        return BASE_PORT + PORTS_PER_TYPE * index + name.number - 1

    def _next_free(self, preferred: int) -> int | None:
        for first in (preferred, BASE_PORT):
            port = self._taken.find(0, first)
            if port >= 0:
                return port
        return None
