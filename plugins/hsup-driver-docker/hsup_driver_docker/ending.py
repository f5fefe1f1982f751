"""What an engine tells of the end of a container that it removes by itself."""

from __future__ import annotations

from hsup.model import ExitStatus
from hsup_driver_docker.connection import EngineError
from hsup_driver_docker.engine import KILLED, NOT_FOUND, State, exit_status, status_of
from hsup_driver_docker.events import OUT_OF_MEMORY, Lines

#: What an engine may say of an end before it knows better: that memory was used up, or, up to
#: version 23, that containerd did not tell the status. It does once the container is removed.
_DOUBTFUL = frozenset({KILLED, 255})


class Ending:
    """The end of one container, as events, its removal and a look at it tell in any order.

    `code` is None until one of them has told it.
    """

    def __init__(self, events: bytes, removal: bytes) -> None:
        self.code: int | None = None
        self._is_removed = False
        self._ran_out_of_memory = False
        self._lines = Lines(events)
        self._removal = removal

    @property
    def is_sure(self) -> bool:
        """Tell whether nothing that comes later can change what is known."""
        return self._is_removed or (self.code is not None and self.code not in _DOUBTFUL)

    def hear(self, told: bytes) -> bool:
        """Take what came of `Engine.events`; tell whether it says that memory was used up."""
        events = self._lines.feed(told)
        for event in events:
            if event.code is not None:
                self.code = event.code
        ran_out = any(event.what == OUT_OF_MEMORY for event in events)
        self._ran_out_of_memory |= ran_out
        return ran_out

    def see_removal(self, told: bytes) -> None:
        """Take what came of `Engine.removal`, b"" at its end.

        Raises EngineError where the engine does not know the status, and nobody has told it.
        """
        self._removal += told
        if not told:
            self._is_removed = True
            if self._removal.strip():  # else the engine went away
                self._take_status()

    def see_state(self, state: State | None) -> bool:
        """Take how the container is, None if it is no more; tell whether it has ended.

        Raises EngineError where it is no more, and nobody has told the status.
        """
        if state is not None and state.is_running:
            return False
        self._is_removed = True
        if self.code is None:
            if state is None:
                raise EngineError(
                    "Podman did not report the exit status of the command", status=NOT_FOUND
                )
            self.code = state.code
        return True

    def status(self) -> ExitStatus | None:
        """Return how the program ended, None where nobody has told."""
        if self.code is None:
            return None
        ended = State(is_running=False, code=self.code)
        return exit_status(ended, ran_out_of_memory=self._ran_out_of_memory)

    def _take_status(self) -> None:
        """Believe what the removal tells, but a failure only where nothing else is known."""
        try:
            self.code = status_of(self._removal)
        except EngineError:
            if self.code is None:
                raise
