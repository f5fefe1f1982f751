"""Compute which dynos a release should have, and the smallest change to get there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

from hsup.errors import UsageError
from hsup.events import Scale
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec, ProcessType, Release

#: What a formation calls all types that it does not name.
ALL = "all"


class ScaleRequest(NamedTuple):
    """How many dynos of each type the user wants, and of which size.

    `quantities` are those of the command line, and `others` that of the types which these do
    not name. If there are none, each type
    with a quantity above zero in the release gets one dyno, or as many as the
    release says if `follows_release` is set. Numbers count from `start_number`.
    `sizes` takes precedence over the release's sizes, and those over `size`. `called` is the
    option, the variable or the file that this is from, nothing if it was typed as words.
    """

    quantities: Mapping[str, int] | None = None
    others: int = 0
    follows_release: bool = False
    start_number: int = 1
    sizes: Mapping[str, str] = MappingProxyType({})
    size: str | None = None
    called: str = ""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the option, the variable or the file that an error of usage is about."""
        try:
            yield
        except UsageError as error:
            if self.called:
                error.put_before(self.called)
            raise

    def quantity(self, process: ProcessType) -> int:
        """Return how many dynos of a type there should be."""
        if process.name == RELEASE_TYPE:
            return 0
        if self.quantities is not None:
            return self.quantities.get(process.name, self.others)
        return process.quantity if self.follows_release else min(process.quantity, 1)

    def size_of(self, process: ProcessType) -> str | None:
        """Return the size of a type's dynos, None if no one gave a size."""
        return self.sizes.get(process.name) or process.size or self.size

    def names(self, release: Release) -> tuple[DynoName, ...]:
        """Return the names of all dynos of a release, in the order of its types."""
        return tuple(
            DynoName(process.name, self.start_number + index)
            for process in release.processes
            for index in range(self.quantity(process))
        )

    def scales(self, release: Release) -> dict[str, Scale]:
        """Return the scale of every process type that is part of the formation."""
        return {
            one.name: Scale(self.quantity(one), self.size_of(one))
            for one in release.processes
            if one.name != RELEASE_TYPE
        }

    def unknown_types(self, release: Release) -> tuple[str, ...]:
        """Return the requested types that the release does not have."""
        known = {process.name for process in release.processes} - {RELEASE_TYPE}
        return tuple(name for name in self.quantities or () if name not in known)

    def require_known_types(self, release: Release) -> None:
        """Raise UsageError for a requested type that the release does not have."""
        unknown = self.unknown_types(release)
        if not unknown:
            return
        if unknown[0] == RELEASE_TYPE and release.process(RELEASE_TYPE) is not None:
            text = f'process type "{RELEASE_TYPE}" runs once before the dynos of each release'
            raise UsageError(
                f"{text}, and cannot be started", hint=f"hsup run {RELEASE_TYPE} runs it alone"
            )
        known = [one.name for one in release.processes if one.name != RELEASE_TYPE]
        hint = f"choose from {', '.join(known)}" if known else "add process types to the release"
        name, colon, size = unknown[0].partition(":")
        if colon and name in known:
            hint = f"the size follows the quantity: {name}=1:{size}"
        elif name == ALL and self.quantities:
            hint = f"for all types, use -m {ALL}={self.quantities[ALL]}"
        with self.named():
            raise UsageError(f'{release} has no process type "{unknown[0]}"', hint=hint)


class Change(NamedTuple):
    """What to do to get from the running dynos to the wanted ones."""

    stop: tuple[DynoName, ...] = ()
    restart: tuple[DynoName, ...] = ()
    start: tuple[DynoName, ...] = ()


def change(running: Mapping[DynoName, DynoSpec], wanted: Mapping[DynoName, DynoSpec]) -> Change:
    """Return the smallest change: equal dynos stay, the highest numbers stop first."""
    surplus = [name for name in running if name not in wanted]
    return Change(
        stop=tuple(sorted(surplus, key=lambda name: (name.type, -name.number))),
        restart=tuple(
            n for n, spec in wanted.items() if n in running and not running[n].runs_like(spec)
        ),
        start=tuple(name for name in wanted if name not in running),
    )
