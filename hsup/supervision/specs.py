"""Give the dynos of a release their ports, sizes and commands."""

from __future__ import annotations

from collections.abc import Callable

from hsup.model import RELEASE_TYPE, DynoName, DynoSpec, Release
from hsup.supervision.dyno_spec import dyno_spec, one_off_name
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import Ports


class SpecMaker:
    """Makes the specs of the dynos that the user asked for, from a release."""

    def __init__(
        self, options: SupervisorOptions, ports: Ports, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._ports = ports
        self._say = say

    def check_types(self, release: Release, *, is_first: bool) -> None:
        """Raise UsageError for a requested type that is missing; warn after the first release."""
        asked = self._options.asked
        if is_first:
            asked.require_known_types(release)
        for missing in asked.unknown_types(release):
            self._say(f'Warning: {release} no longer has process type "{missing}"')
        self._ports.know(one.name for one in release.processes if one.name != RELEASE_TYPE)

    def specs(self, release: Release) -> dict[DynoName, DynoSpec]:
        """Return the dynos of a release, each with a port. Raises DriverError if none is left."""
        names = self._options.asked.names(release)
        has_port = "PORT" in release.config and len(names) == 1
        if "PORT" in release.config and len(names) > 1:
            self._say(f"Warning: the release's PORT is ignored: {len(names)} dynos cannot share it")
        with self._ports.all_or_none():
            return {name: self._spec(release, name, has_port=has_port) for name in names}

    def release_phase(self, release: Release) -> DynoSpec | None:
        """Return the dyno of the release phase; the caller releases its port."""
        if release.process(RELEASE_TYPE) is None:
            return None
        has_port = "PORT" in release.config
        return self._spec(release, one_off_name(RELEASE_TYPE), has_port=has_port)

    def _spec(self, release: Release, name: DynoName, *, has_port: bool) -> DynoSpec:
        process = release.process(name.type)
        assert process is not None
        options = self._options
        return dyno_spec(
            release,
            name,
            process.command,
            port=None if has_port else self._ports.lease(name),
            size=options.asked.size_of(process),
            binds=options.binds,
            has_metadata=options.has_metadata,
            passing=options.passing,
        )
