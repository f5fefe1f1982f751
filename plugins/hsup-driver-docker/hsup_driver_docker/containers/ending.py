"""The end of a container that the engine removes by itself, as the engine reports it."""

from __future__ import annotations

from hsup.model import ExitStatus
from hsup_driver_docker.engine.client import KILLED, NOT_FOUND, State, exit_status, status_of
from hsup_driver_docker.engine.connection import EngineError
from hsup_driver_docker.engine.events import OUT_OF_MEMORY, Lines

#: Statuses that an engine may correct once the container is removed: of a program killed as memory
#: was used up, and, up to version 23, of one whose status containerd had not reported yet.
_DOUBTFUL = frozenset({KILLED, 255})


class Ending:
    """The end of one container, put together from events, its removal and its state, in any order.

    `code` is None until one of them has it.
    """

    def __init__(self, events: bytes, removal: bytes) -> None:
        self.code: int | None = None
        self._is_removed = False
        self._ran_out_of_memory = False
        self._lines = Lines(events)
        self._removal = removal

    @property
    def is_sure(self) -> bool:
        """Tell whether the status is final."""
        return self._is_removed or (self.code is not None and self.code not in _DOUBTFUL)

    def hear(self, data: bytes) -> bool:
        """Take data from `Engine.events`; tell whether it reports that memory was used up."""
        events = self._lines.feed(data)
        for event in events:
            if event.code is not None:
                self.code = event.code
        ran_out = any(event.what == OUT_OF_MEMORY for event in events)
        self._ran_out_of_memory |= ran_out
        return ran_out

    def see_removal(self, data: bytes) -> None:
        """Take data from `Engine.removal`, b"" at its end.

        Raises EngineError if the engine does not know the status, and no event had it.
        """
        self._removal += data
        if not data:
            self._is_removed = True
            if self._removal.strip():  # else the connection broke
                self._take_status()

    def see_state(self, state: State | None) -> bool:
        """Take the state of the container, None once it is removed; tell whether it has ended.

        Raises EngineError if it is removed, and its status is not known.
        """
        if state is not None and state.is_running:
            return False
        self._is_removed = True
        if self.code is None:
            if state is None:
                text = "Podman did not report the exit status of the command"
                raise EngineError(text, status=NOT_FOUND, hint="read the log of Podman")
            self.code = state.code
        return True

    def status(self) -> ExitStatus | None:
        """Return how the program ended, None if that is not known."""
        if self.code is None:
            return None
        ended = State(is_running=False, code=self.code)
        return exit_status(ended, ran_out_of_memory=self._ran_out_of_memory)

    def _take_status(self) -> None:
        """Take the status from the removal. Raises EngineError if no status is known."""
        try:
            self.code = status_of(self._removal)
        except EngineError:
            if self.code is None:
                raise
