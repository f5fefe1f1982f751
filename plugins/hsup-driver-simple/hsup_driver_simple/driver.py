"""Run dynos as plain processes in the current directory."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from hsup.api import OutputPipes, Settings
from hsup.errors import DynoStartError
from hsup.model import Address, DynoSpec, ExitStatus, Release
from hsup_driver_simple.descriptors import low_descriptors
from hsup_driver_simple.mark import Marks, children_get
from hsup_driver_simple.program import program

if TYPE_CHECKING:
    from hsup_driver_simple.dyno import SimpleDyno
    from hsup_driver_simple.process_scanner import ProcessScanner

# asyncio is imported by `start` only: importing it takes a third of the time of a
# whole `hsup run`.


class SimpleDriver:
    """Starts each dyno's command in a session of its own, on the host's network."""

    ignores_slugs = True
    shares_ports = True
    shares_streams = True

    def __init__(self, settings: Settings) -> None:
        self._host_environment = settings.environ
        self._directory = settings.directory
        self._marks = Marks()
        self._open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._low = low_descriptors()  # before the pipes of the first dynos take low numbers

    def build(self, release: Release) -> None:
        """Do nothing: the application is in the current directory."""

    def sweep(self) -> Sequence[str]:
        """End the processes that previous hsups left running."""
        from hsup_driver_simple.processes import sweep

        return sweep()

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end on hsup's own streams."""
        from hsup_driver_simple import foreground

        self._enter_directory(spec)
        what = program(spec, self._host_environment)
        return foreground.run(what, self._marks.next(), grace_seconds, self._open_files)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> SimpleDyno:
        """Start a dyno. Raises DynoStartError."""
        from hsup_driver_simple.dyno import watch

        self._enter_directory(spec)
        what = program(spec, self._host_environment)
        address = Address(ip="127.0.0.1", port=_port(what.environment))
        mark = self._marks.next()
        lent = self._low.lent(output, self._open_files, spec.input)
        with lent as actions, children_get(mark, self._open_files):
            pid = what.spawn(actions=actions, session=True)
        return watch(pid, mark, counted_by=self._scanner, address=address)

    def _enter_directory(self, spec: DynoSpec) -> None:
        """Change to the directory that the release was read from, or else to hsup's own.

        Raises DynoStartError if it does not exist, or if another directory has its path now.
        """
        read_from = spec.slug if spec.slug and spec.slug.inode else None
        path = read_from.location if read_from else self._directory
        try:
            if not os.path.samefile(path, "."):
                os.chdir(path)
            status = os.stat(path)
        except PermissionError:  # hsup was started in it by a caller with more rights
            return
        except OSError as error:
            raise DynoStartError(
                f'cannot enter "{path}": {error.strerror}',
                hint="restore the directory, or start hsup in the new directory",
            ) from error
        if read_from and status.st_ino != read_from.inode:
            text = f'"{path}" has been replaced since v{spec.release_version} was read'
            raise DynoStartError(text, hint="start hsup again")

    @cached_property
    def _scanner(self) -> ProcessScanner:
        from hsup_driver_simple.process_scanner import ProcessScanner

        return ProcessScanner()


def _port(environment: Mapping[str, str]) -> int:
    """Return PORT. Raises DynoStartError if the release sets an invalid one."""
    from hsup.numerals import PORT_PROBLEM, port_number  # `hsup run` does not need it

    number = port_number(environment["PORT"])
    if number is None:
        raise DynoStartError(f"the release's PORT {PORT_PROBLEM}")
    return number
