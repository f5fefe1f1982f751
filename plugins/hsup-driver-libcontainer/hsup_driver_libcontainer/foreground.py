"""A dyno on hsup's own streams and terminal, for `hsup.foreground`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from signal import SIGKILL
from typing import NamedTuple

from hsup.foreground import Input, Session
from hsup.model import ExitStatus
from hsup.terminal import WindowSize
from hsup_driver_libcontainer.child.plan import Terminal
from hsup_driver_libcontainer.child.protocol import Channels, Exited, Failed, Master
from hsup_driver_libcontainer.conversation import Conversation, Heard, Unheard
from hsup_driver_libcontainer.memory_event import MemoryEvent
from hsup_driver_libcontainer.program import exit_status, start_error
from hsup_driver_libcontainer.streams import Relay, Streams


class Begun(NamedTuple):
    """A dyno that is being started: its channels, streams, terminal and memory event."""

    channels: Channels
    streams: Streams
    terminal: Terminal | None
    memory_event: int | None


class AttachedDyno:
    """A dyno whose streams are hsup's own.

    `end_soon` is called once the last process of the dyno but the first one has ended.
    """

    def __init__(self, begun: Begun, end_soon: Callable[[], None]) -> None:
        self._begun = begun
        self._end_soon = end_soon
        self._status = ExitStatus(signal=SIGKILL)  # until a message says otherwise

    @property
    def terminal(self) -> Sequence[int]:
        """Return the streams that are a terminal, for the `Session`."""
        return self._begun.terminal.streams if self._begun.terminal else ()

    def begin(self, session: Session) -> None:
        """Begin to listen to the dyno's processes and streams."""
        begun = self._begun
        self._session = session
        self._relay = Relay(session, begun.streams)
        self._conversation = Conversation(begun.channels, session.loop, self._hear)
        kill_all = partial(self.send, SIGKILL)
        self._memory = MemoryEvent(begun.memory_event, session.loop, kill_all)

    def is_over(self) -> bool:
        """Tell whether every process has ended and all output was shown."""
        return self._conversation.is_over and not self._relay.is_open

    def status(self) -> ExitStatus:
        """Return how the program ended."""
        return self._status._replace(out_of_memory=self._memory.has_come)

    def send(self, number: int) -> None:
        """Send a signal to every process."""
        self._conversation.signal(number)

    def stop(self, numbers: Sequence[int]) -> None:
        """Send signals to every process."""
        for number in numbers:
            self._conversation.signal(number)

    def kill(self) -> None:
        """Kill every process."""
        self._conversation.kill()

    def resize(self, size: WindowSize) -> None:
        """Tell the dyno's terminal how large the window is."""
        self._relay.resize(size)

    def _hear(self, heard: Heard, descriptors: Sequence[int]) -> None:
        match heard:
            case Master():
                self._relay.attach(*descriptors, is_typed_on=0 in self.terminal)
            case Failed(text):
                raise start_error(text)
            case Unheard(error):
                raise error
            case Exited(status, is_last):
                self._status = exit_status(status)
                self._see_exit(is_last=bool(is_last))

    def _see_exit(self, *, is_last: bool) -> None:
        if is_last:
            self._end_soon()
        else:
            self._session.take(Input.PROGRAM_ENDED)
