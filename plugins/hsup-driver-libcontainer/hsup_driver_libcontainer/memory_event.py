"""Notice that a dyno has used up its memory."""

from __future__ import annotations

import os
from collections.abc import Callable

from hsup_driver_libcontainer.conversation import Readers


class MemoryEvent:
    """The descriptor of `Group.out_of_memory_event`, which is closed here.

    `kill` kills all processes of the dyno: the kernel kills only one.
    """

    def __init__(
        self, descriptor: int | None, readers: Readers, kill: Callable[[], object]
    ) -> None:
        self.has_come = False
        self._descriptor = descriptor
        self._readers = readers
        self._kill = kill
        if descriptor is not None:
            readers.add_reader(descriptor, self._come)

    def close(self) -> None:
        """Stop watching, and close the descriptor."""
        if self._descriptor is not None:
            self._readers.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _come(self) -> None:
        self.close()
        self.has_come = True
        self._kill()
