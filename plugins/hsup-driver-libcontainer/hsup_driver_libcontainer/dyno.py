"""A running dyno of the libcontainer driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from signal import SIGKILL

from hsup.api import Measurement
from hsup.errors import DynoStartError
from hsup.model import Address, Command, DynoSpec, ExitStatus
from hsup.threads import in_thread
from hsup_driver_libcontainer.allocation import Allocation
from hsup_driver_libcontainer.child.protocol import Built, Channels, Exited, Failed, Watch
from hsup_driver_libcontainer.conversation import (
    AllGone,
    BuilderGone,
    Conversation,
    Heard,
    Unheard,
)
from hsup_driver_libcontainer.executions import Execution, Executions
from hsup_driver_libcontainer.holding import Holding
from hsup_driver_libcontainer.lookout import Lookout
from hsup_driver_libcontainer.memory_event import MemoryEvent
from hsup_driver_libcontainer.program import exit_status, program, start_error
from hsup_driver_libcontainer.progress import Progress


class ContainerDyno:
    """A dyno as hsup sees it: a first process at the other end of a channel.

    `execute` starts an exec'd command, see `exec_command.fork`; `release` gives back the dyno's
    allocation when the dyno has ended. `end_stuck` ends a zygote that makes no progress, and is
    given the seconds for which that has been so. `memory_event` is the descriptor of
    `Group.out_of_memory_event`, and is closed here.
    """

    def __init__(
        self,
        allocation: Allocation,
        channels: Channels,
        execute: Callable[[Sequence[int]], None],
        release: Callable[[Allocation], Awaitable[None]],
        end_stuck: Callable[[float], None],
        *,
        memory_event: int | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._holding = Holding(allocation, release)
        self._spec: DynoSpec | None = None  # until it is launched
        self._conversation = Conversation(channels, loop, self._hear)
        kill_all = partial(self._conversation.signal, SIGKILL)
        self._memory = MemoryEvent(memory_event, loop, kill_all)
        self._lookout = Lookout(self._conversation, end_stuck, self._fail)
        self._progress = Progress(self._lookout)
        self._executions = Executions(execute)

    @property
    def allocation(self) -> Allocation:
        """Return its allocation."""
        return self._holding.allocation

    @property
    def gone(self) -> asyncio.Future[None]:
        """Return a future that is done when its last process has ended."""
        return self._progress.gone

    @property
    def is_launched(self) -> bool:
        """Tell whether it has a spec, and is not a spare."""
        return self._spec is not None

    @property
    def address(self) -> Address | None:
        """Return the address at which its PORT can be reached."""
        if self._spec is None or not self._spec.port:
            return None
        return Address(self.allocation.subnet.dyno, self._spec.port)

    def launch(self, spec: DynoSpec, descriptors: Sequence[int]) -> None:
        """Tell the builder to start a program; the descriptors are those of `Launch`."""
        self._spec = spec
        self._progress.launch()
        self._conversation.launch(descriptors)

    def has_ended(self) -> bool:
        """Tell whether a dyno that was not launched cannot be launched any more."""
        self._conversation.catch_up()
        return not self._progress.state.is_waiting

    async def started(self) -> Built:
        """Wait until the program was executed. Raises DynoStartError."""
        return await asyncio.shield(self._progress.started)

    async def wait(self) -> ExitStatus:
        """Wait until the program has ended, and return its status."""
        return await asyncio.shield(self._progress.end)

    async def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        self._conversation.signal(number)

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Exec a command in the dyno. Raises DynoStartError."""
        if self._conversation.pidfd < 0 or self._spec is None:
            raise DynoStartError("the dyno has ended")
        executed = program(self._spec._replace(command=command))
        return self._executions.begin(executed, self._conversation.pidfd, streams)

    async def measure(self) -> Measurement | None:
        """Return what the dyno uses, None if it has ended."""
        return None if self.gone.done() else await in_thread(self.allocation.group.measured)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Wait until nothing of the dyno is left; kill what outlives the grace period.

        Returns whether anything was killed.
        """
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.shield(self.gone)
        except TimeoutError:
            pass
        killed = not self._progress.state.is_empty
        self._conversation.kill()
        await asyncio.shield(self.gone)
        await self._holding.give_back()
        return killed

    def abandon(self) -> None:
        """Kill the dyno and stop listening to it; block until it has ended if it is a spare.

        The event loop is running, or closed already.
        """
        self._executions.close()
        if self.gone.done():
            return
        self._lookout.rest()
        self._conversation.leave()
        self._lookout.see_first_process()
        self._conversation.close(awaits_end=not self.is_launched)
        self._memory.close()

    def _hear(self, heard: Heard, _: Sequence[int]) -> None:
        match heard:
            case Watch():
                self._progress.see()
            case Built():
                self._progress.build(heard)
            case Failed(text):
                self._fail(start_error(text))
            case Unheard(error):
                self._fail_for(error)
            case BuilderGone():
                self._leave_builder()
            case Exited(status, is_last):
                self._progress.exit(self._with_memory(exit_status(status)), is_last=bool(is_last))
            case AllGone():
                self._memory.close()
                self._progress.be_gone(self._with_memory(ExitStatus(signal=SIGKILL)))

    def _fail(self, error: DynoStartError) -> None:
        self._progress.fail(error)

    def _fail_for(self, error: OSError) -> None:
        failure = DynoStartError(f"cannot set up the dyno: {error.strerror}")
        failure.__cause__ = error
        self._fail(failure)
        self._conversation.kill()

    def _leave_builder(self) -> None:
        self._progress.leave_builder()
        if not self._conversation.was_seen:
            self._lookout.end_stopped()

    def _with_memory(self, status: ExitStatus) -> ExitStatus:
        """Return the status with whether the dyno ran out of memory."""
        ran_out = self._memory.has_come or self.allocation.ran_out_of_memory()
        return status._replace(out_of_memory=ran_out)
