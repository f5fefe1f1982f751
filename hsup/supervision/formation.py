"""Which dynos a release should have, and the smallest change that leads there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hsup.errors import UsageError
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec, ProcessType, Release


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRequest:
    """How many dynos the user wants of which type, and of which size.

    `quantities` is what was said on the command line. Without any, each type
    that has a quantity above zero in the release gets one dyno, or as many as
    the release says where `follows_release` is set. Numbers count from
    `start_number`. `sizes` outweighs the release's, which outweighs `size`.
    """

    quantities: Mapping[str, int] | None = None
    follows_release: bool = False
    start_number: int = 1
    sizes: Mapping[str, str] = field(default_factory=dict)
    size: str | None = None

    def quantity(self, process: ProcessType) -> int:
        """Return how many dynos of a type there should be."""
        if process.name == RELEASE_TYPE:
            return 0
        if self.quantities is not None:
            return self.quantities.get(process.name, 0)
        return process.quantity if self.follows_release else min(process.quantity, 1)

    def size_of(self, process: ProcessType) -> str | None:
        """Return the size of a type's dynos, None where nobody said one."""
        return self.sizes.get(process.name) or process.size or self.size

    def names(self, release: Release) -> tuple[DynoName, ...]:
        """Return the names of all dynos of a release, in the order of its types."""
        return tuple(
            DynoName(process.name, self.start_number + index)
            for process in release.processes
            for index in range(self.quantity(process))
        )

    def unknown_types(self, release: Release) -> tuple[str, ...]:
        """Return the types that were asked for and that the release has not got."""
        known = {process.name for process in release.processes} - {RELEASE_TYPE}
        return tuple(name for name in self.quantities or () if name not in known)

    def require_known_types(self, release: Release) -> None:
        """Raise UsageError for a type that the release has not got."""
        unknown = self.unknown_types(release)
        if not unknown:
            return
        known = [one.name for one in release.processes if one.name != RELEASE_TYPE]
        listing = ", ".join(known) if known else "none at all"
        raise UsageError(f'no process type "{unknown[0]}" in {release}', hint=f"it has {listing}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to do to come from the dynos that run to those that should."""

    stop: tuple[DynoName, ...] = ()
    restart: tuple[DynoName, ...] = ()
    start: tuple[DynoName, ...] = ()


def change(running: Mapping[DynoName, DynoSpec], wanted: Mapping[DynoName, DynoSpec]) -> Change:
    """Return the smallest change: what runs alike is left alone, highest numbers leave first."""
    surplus = [name for name in running if name not in wanted]
    return Change(
        stop=tuple(sorted(surplus, key=lambda name: (name.type, -name.number))),
        restart=tuple(
            n for n, spec in wanted.items() if n in running and not running[n].runs_like(spec)
        ),
        start=tuple(name for name in wanted if name not in running),
    )
