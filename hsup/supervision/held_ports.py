"""Know which ports the dynos that run listen on, whatever a newer release gives them."""

from __future__ import annotations

import asyncio

from hsup.model import DynoName


class HeldPorts:
    """The ports of running dynos, which may have been leased anew since they were started.

    When ports count from another base, a new dyno may get a port on which an old one still
    listens, until its grace period has ended.
    """

    def __init__(self) -> None:
        self._holders: dict[int, DynoName] = {}
        self._changed = asyncio.Event()

    def hold(self, port: int | None, name: DynoName) -> None:
        """Note that a dyno is started with a port."""
        if port is not None:
            self._holders[port] = name

    def give_up(self, name: DynoName) -> None:
        """Note that a dyno has ended."""
        self._holders = {port: one for port, one in self._holders.items() if one != name}
        self._changed.set()
        self._changed = asyncio.Event()

    def holder(self, port: int | None) -> DynoName | None:
        """Return the dyno that runs with a port, None if none does."""
        return None if port is None else self._holders.get(port)

    async def changed(self) -> None:
        """Return when another dyno has ended."""
        await self._changed.wait()
