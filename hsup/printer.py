"""The log sink that prints on hsup's own standard streams."""

from __future__ import annotations

import logging

from hsup.api import LogBatch
from hsup.descriptor import DescriptorWriter
from hsup.formats import Formatter, formatter

logger = logging.getLogger(__name__)


class Printer:
    """Prints batches; all of them on one stream, so that their order is kept."""

    def __init__(self, descriptor: int, form: Formatter) -> None:
        self._format = form
        self._writer = DescriptorWriter(descriptor, _report_broken)

    def write(self, batch: LogBatch) -> None:
        """Print a batch."""
        self._writer.write(self._format(batch))

    @property
    def is_full(self) -> bool:
        """Tell whether whoever reads hsup's output has fallen behind."""
        return self._writer.is_full

    async def drained(self) -> None:
        """Return when the reader has caught up."""
        await self._writer.drained()

    async def close(self) -> None:
        """Return when the reader has everything."""
        await self._writer.close()


class RawPrinter:
    """Prints the bytes of dynos alone: each stream on the same one of hsup.

    What hsup itself says goes to standard error.
    """

    def __init__(self, stdout: int, stderr: int) -> None:
        form = formatter("raw", coloured=False)
        self._stdout = Printer(stdout, form)
        self._stderr = Printer(stderr, form)
        self._hsup = Printer(stderr, formatter("heroku", coloured=False))

    def write(self, batch: LogBatch) -> None:
        """Print a batch."""
        if batch.source == "hsup":
            self._hsup.write(batch)
        elif batch.stream == "stderr":
            self._stderr.write(batch)
        else:
            self._stdout.write(batch)

    @property
    def is_full(self) -> bool:
        """Tell whether a reader has fallen behind."""
        return any(one.is_full for one in self._all)

    async def drained(self) -> None:
        """Return when both readers have caught up."""
        for one in self._all:
            await one.drained()

    async def close(self) -> None:
        """Return when both readers have everything."""
        for one in self._all:
            await one.close()

    @property
    def _all(self) -> tuple[Printer, Printer, Printer]:
        return self._stdout, self._stderr, self._hsup


def _report_broken(error: OSError) -> None:
    logger.warning("cannot print the dynos' output any more, they run on: %s", error.strerror)
