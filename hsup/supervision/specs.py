"""Give the dynos of a release their ports, sizes and commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from hsup.errors import UsageError
from hsup.model import RELEASE_TYPE, DynoInput, DynoName, DynoSpec, Release
from hsup.numerals import HIGHEST_PORT
from hsup.supervision import port_conflicts
from hsup.supervision.dyno_spec import dyno_spec, one_off_name
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.port_reservation import PortReservation
from hsup.supervision.ports import AUTO, Ports, base_of


class SpecMaker:
    """Makes the specs of the dynos that the user asked for, from a release."""

    def __init__(
        self, options: SupervisorOptions, ports: Ports, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._ports = ports
        self._say = say
        self._free_base: int | None = None  # of AUTO
        self._reservation = PortReservation()

    def check(self, release: Release, *, is_first: bool) -> None:
        """Raise HsupError where a release cannot run as it was asked for.

        A requested type that is missing is an error at the first release, later a warning.
        """
        if not isinstance(self._options.port, int):
            base_of(release)
        asked = self._options.asked
        if is_first:
            asked.require_known_types(release)
        for missing in asked.unknown_types(release):
            self._say(f'Warning: {release} no longer has process type "{missing}"')
        if is_first:
            self._require_named_dynos(release)
        self._ports.know(one.name for one in release.processes if one.name != RELEASE_TYPE)
        if is_first and (warning := self.base_warning(release)):
            self._say(f"Warning: {warning}")

    def base_warning(self, release: Release) -> str | None:
        """Return which base to choose where dynos have no ports of their own numbers, else None."""
        names = self._options.asked.names(release)
        if self._options.port == AUTO or not names:
            return None
        base = self._options.port or base_of(release)
        highest = HIGHEST_PORT - max(self._ports.preferred(one) - self._ports.base for one in names)
        if base <= highest or len(names) > HIGHEST_PORT - base + 1:  # which is an error
            return None
        text = f"from port {base} up, not every dyno has the port of its type and its number"
        return f"{text}; choose {highest} at most with -p" if highest > 0 else text

    def tell_of_quantities(self, release: Release, verb: str = "start") -> None:
        """Say how many dynos the release asks for where fewer are started, or whatever it is."""
        names = self._options.asked.names(release)
        if self._options.asked.quantities is not None:
            return
        started = Counter(name.type for name in names)
        wanted = [
            f"{one.name}={one.quantity}"
            for one in release.processes
            if one.quantity > started[one.name] > 0
        ]
        if wanted:
            asked = ", ".join(wanted)
            text = f"the release asks for {asked}; {verb} as many with --quantities release"
            self._say(f"Notice: {text}")

    def _require_named_dynos(self, release: Release) -> None:
        """Raise UsageError for an option that names a dyno, or a type, that is not started."""
        options, called = self._options, self._options.called
        names = options.asked.names(release)
        types = _types(names)
        if options.status_from is not None and options.status_from not in types:
            option = called.get("--exit-code-from", "--exit-code-from")
            text = f'{option}: no dyno of process type "{options.status_from}" is started'
            raise UsageError(text, hint=_choice(types))
        known = {*types, *map(str, names)}
        if unknown := next((one for one in options.shown if one not in known), None):
            option = called.get("--only", "--only")
            raise UsageError(f'{option}: no dyno "{unknown}" is started', hint=_choice(types))
        if options.reads_own_input is not None and options.reads_own_input not in names:
            option = called.get("--stdin", "--stdin")
            text = f'{option}: dyno "{options.reads_own_input}" is not started'
            raise UsageError(text, hint=_choice(map(str, names)))

    def specs(self, release: Release) -> dict[DynoName, DynoSpec]:
        """Return the dynos of a release, each with a port.

        Raises DriverError if none is left, and InvalidRelease for a PORT that is none.
        """
        names = self._options.asked.names(release)
        with self._ports.all_or_none():
            self._ports.count_from(self._base(release, names))
            specs = {name: self._spec(release, name) for name in names}
        if self._options.shares_ports:
            self._reservation.hold(_ports(specs).values())
        return specs

    def port_warning(self, specs: Mapping[DynoName, DynoSpec], held: Collection[int]) -> str | None:
        """Return a warning about ports that others have, None without any; may take some time.

        `held` are those of the dynos that run already.
        """
        if not self._options.shares_ports:
            return None
        every = _ports(specs)
        ports = {name: port for name, port in every.items() if port not in held}
        text = port_conflicts.warning(ports, port_conflicts.probe)
        if text is None:
            return None
        granted, base = self._reservation.could_take, self._ports.base
        free = port_conflicts.free_base(every, base, port_conflicts.probe, granted, after=True)
        return text if free is None else f"{text}; choose free ports with -p {free}, or -p {AUTO}"

    def release_phase(self, release: Release, live: Collection[DynoName] = ()) -> DynoSpec | None:
        """Return the dyno of the release phase; the caller releases its port.

        `live` are the names of the dynos that have not ended, none of which it gets.
        """
        if release.process(RELEASE_TYPE) is None:
            return None
        asked = self._options.port
        has_port = bool(release.config.get("PORT")) and not isinstance(asked, int)
        with self._ports.all_or_none():
            if isinstance(asked, int):
                self._ports.count_from(asked)
            return self._spec(release, one_off_name(RELEASE_TYPE, live), has_port=has_port)

    def ports(self, release: Release) -> dict[str, int | None]:
        """Return the ports that the dynos of a release would have now, without leasing them."""
        with self._ports.for_now():
            return {str(name): spec.port for name, spec in self.specs(release).items()}

    def may_listen(self, port: int) -> bool:
        """Tell whether a dyno may listen on a port now."""
        return not self._options.shares_ports or port_conflicts.probe(port) is None

    def _base(self, release: Release, names: Iterable[DynoName]) -> int:
        options = self._options
        if isinstance(options.port, int):
            return options.port
        if self._free_base is not None:
            return self._free_base
        base = base_of(release)
        if options.port != AUTO or not options.shares_ports:
            return base
        self._ports.count_from(base)
        wanted = {name: self._ports.preferred(name) for name in names}
        granted = self._reservation.take
        self._free_base = port_conflicts.free_base(wanted, base, port_conflicts.probe, granted)
        return self._free_base or base

    def _spec(self, release: Release, name: DynoName, *, has_port: bool = False) -> DynoSpec:
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
            input=self._input(name),
        )

    def _input(self, name: DynoName) -> DynoInput:
        """Return what a dyno reads; one that is to end gets no chance to wait for more."""
        options = self._options
        if name == options.reads_own_input:
            return "own"
        return "empty" if options.one_shot or name.type == RELEASE_TYPE else "open"


def _ports(specs: Mapping[DynoName, DynoSpec]) -> dict[DynoName, int]:
    return {name: spec.port for name, spec in specs.items() if spec.port is not None}


def _choice(names: Iterable[str]) -> str | None:
    listed = ", ".join(names)
    return f"choose from {listed}" if listed else None


def _types(names: Iterable[DynoName]) -> list[str]:
    return list(dict.fromkeys(name.type for name in names))
