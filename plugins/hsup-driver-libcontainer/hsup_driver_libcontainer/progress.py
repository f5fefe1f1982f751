"""The state of a dyno, and the futures of those who wait for its changes."""

from __future__ import annotations

import asyncio

from hsup.errors import DynoStartError
from hsup.model import ExitStatus
from hsup_driver_libcontainer.child.protocol import Built
from hsup_driver_libcontainer.futures import fail, settle
from hsup_driver_libcontainer.lookout import Lookout
from hsup_driver_libcontainer.states import Action, Input, State, step


class Progress:
    """Moves a dyno from state to state, and runs the lookout while the state calls for it.

    `started` is done when the program was executed, `end` when it has ended, and `gone` when
    no process is left.
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
        """Note that the first process is known."""
        self._take(Input.SEEN)

    def launch(self) -> None:
        """Note that the dyno was given its files and program."""
        self._take(Input.LAUNCH)

    def build(self, built: Built) -> None:
        """Note that the program is about to be executed."""
        self._built = built
        self._take(Input.BUILT)

    def fail(self, error: DynoStartError) -> None:
        """Note that the dyno cannot be started."""
        if self._take(Input.FAILED) is Action.TELL_FAILED:
            fail(self.started, error)

    def leave_builder(self) -> None:
        """Note that the builder has become the program, or was killed."""
        action = self._take(Input.BUILDER_GONE)
        if action is Action.TELL_STARTED:
            settle(self.started, self._built)
        elif action is Action.TELL_FAILED:
            fail(self.started, DynoStartError("the dyno was killed while it was starting"))

    def exit(self, status: ExitStatus, *, is_last: bool) -> None:
        """Note that the program has ended; `is_last` tells that no other process is left."""
        if self._take(Input.EMPTIED if is_last else Input.EXITED) is Action.TELL_END:
            settle(self.end, status)

    def be_gone(self, status: ExitStatus) -> None:
        """Note that no process is left; the status counts if none was received before."""
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
