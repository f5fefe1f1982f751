"""Add up what a destination has lost."""

from __future__ import annotations

from collections.abc import Iterable

from hsup.output.losses import Loss

#: The platform's code for a block that could not be delivered.
UNDELIVERED = "L13"


class Losses:
    """Adds up what a destination has lost since it was last told."""

    def __init__(self) -> None:
        self.total = 0
        self._untold: dict[str, Loss] = {}

    def add(self, loss: Loss) -> None:
        """Count lines that are lost."""
        self.total += loss.line_count
        self.add_untold((loss,))

    def add_untold(self, losses: Iterable[Loss]) -> None:
        """Have losses told again: what told them was lost itself."""
        for loss in losses:
            if (before := self._untold.get(loss.code)) is not None:
                count = before.line_count + loss.line_count
                since = min(before.since, loss.since)
                self._untold[loss.code] = Loss(loss.code, count, since)
            else:
                self._untold[loss.code] = loss

    def take_untold(self) -> tuple[Loss, ...]:
        """Return what is to be told now."""
        untold = tuple(self._untold.values())
        self._untold.clear()
        return untold

    @property
    def is_told(self) -> bool:
        """Tell whether the destination has been told of everything."""
        return not self._untold
