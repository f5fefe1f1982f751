"""Show the lines of some dynos only."""

from __future__ import annotations

from collections.abc import Iterable

from hsup.api import LogBatch
from hsup.model import RELEASE_TYPE
from hsup.output.printer import Printer, RawPrinter, ScreenPrinter


class Only:
    """Passes on what concerns some dynos, or none, to a printer.

    `names` are process types or names of dynos: `web`, `worker.2`. The release phase is shown in
    any case.
    """

    def __init__(self, printer: Printer | RawPrinter, names: Iterable[str]) -> None:
        self._printer = printer
        self._names = frozenset(names)

    def write(self, batch: LogBatch) -> None:
        """Print a batch unless it is another dyno's."""
        if self._is_shown(batch.dyno):
            self._printer.write(batch)

    def show(self, batch: LogBatch) -> None:
        """Show the beginning of a line unless it is another dyno's."""
        if isinstance(self._printer, ScreenPrinter) and self._is_shown(batch.dyno):
            self._printer.show(batch)

    @property
    def is_full(self) -> bool:
        """Tell whether the printer's reader has fallen behind."""
        return self._printer.is_full

    @property
    def taken_bytes(self) -> int:
        """Return how much the printer's reader has taken so far."""
        return self._printer.taken_bytes

    async def drained(self) -> None:
        """Return when the printer's reader has caught up."""
        await self._printer.drained()

    async def close(self) -> None:
        """Close the printer."""
        await self._printer.close()

    def _is_shown(self, dyno: str) -> bool:
        process_type = dyno.rpartition(".")[0]
        return bool({dyno, process_type} & self._names) or process_type in {"", RELEASE_TYPE}
