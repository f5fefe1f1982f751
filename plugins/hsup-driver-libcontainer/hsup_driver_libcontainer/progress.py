"""How far a dyno has got, and whoever waits for that."""

from __future__ import annotations

import asyncio

from hsup.errors import DynoStartError
from hsup.model import ExitStatus
from hsup_driver_libcontainer.child.protocol import Built
from hsup_driver_libcontainer.futures import fail, settle
from hsup_driver_libcontainer.lookout import Lookout
from hsup_driver_libcontainer.states import Action, Input, State, step


class Progress:
    """Takes a dyno from state to state, with a lookout as long as it depends on its processes.

    `started` is awaited until the program was executed, `end` until it has ended, and `gone`
    until no process is left.
    """

    def __init__(self, lookout: Lookout) -> None:
        loop = asyncio.get_running_loop()
        self.state = State.FORKING
        self.started: asyncio.Future[Built] = loop.create_future()
        self.end: asyncio.Future[ExitStatus] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._lookout = lookout
        self._built = Built(has_copied_owner=False)

    def see(self) -> None:
        """Have a first process."""
        self._take(Input.SEEN)

    def launch(self) -> None:
        """Have files and a program."""
        self._take(Input.LAUNCH)

    def build(self, built: Built) -> None:
        """Be about to execute the program."""
        self._built = built
        self._take(Input.BUILT)

    def fail(self, error: DynoStartError) -> None:
        """Be one that cannot be started."""
        if self._take(Input.FAILED) is Action.TELL_FAILED:
            fail(self.started, error)

    def leave_builder(self) -> None:
        """Have a builder no more: it has become the program, or was killed."""
        action = self._take(Input.BUILDER_GONE)
        if action is Action.TELL_STARTED:
            settle(self.started, self._built)
        elif action is Action.TELL_FAILED:
            fail(self.started, DynoStartError("the dyno was killed while it was starting"))

    def exit(self, status: ExitStatus, *, is_last: bool) -> None:
        """Have a program no more, and nobody else where it was the last one."""
        if self._take(Input.EMPTIED if is_last else Input.EXITED) is Action.TELL_END:
            settle(self.end, status)

    def be_gone(self, status: ExitStatus) -> None:
        """Have no process; the status counts where no other was told."""
        if self._take(Input.ALL_GONE) is Action.TELL_GONE:
            settle(self.end, status)
            settle(self.gone, None)

    def _take(self, given: Input) -> Action:
        self.state, action = step(self.state, given)
        if action is Action.LOOK:
            self._lookout.look()
        elif action is not Action.NOTHING:
            self._lookout.rest()
        return action
