"""The errors that hsup raises: one tree, caught once, in the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsup.model import Fault, Release


class HsupError(Exception):
    """Say what could not be done; `hint` says what to do about it.

    The text is lower case, has no full stop, and includes the value at fault.
    """

    exit_code = 1
    #: The platform's code of the error, R17 for example, where it has one.
    code: str | None = None
    #: Whether it is a mistake of a plugin's, and not what its contract has it raise.
    is_mistake = False

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}; {self.hint}" if self.hint else text


class UsageError(HsupError):
    """The command line, or a variable that stands for an option, is wrong."""

    exit_code = 2


class PluginError(HsupError):
    """A plugin is missing, broken, or clashes with another."""


class SourceError(HsupError):
    """A source cannot be read at the moment; the same call may work later."""


class ReleaseRejected(HsupError):
    """What a source was given is faulty; it has to be corrected by its author."""

    def __init__(self, what: str, faults: Sequence[Fault], *, hint: str | None = None) -> None:
        self.faults = tuple(faults)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{what}: {self.faults[0]}{more}", hint=hint)


class DriverError(HsupError):
    """A driver cannot do what it was asked to do."""


class TooManyProcesses(DriverError):
    """No thread can be started, as the limit of processes is reached; it may work later."""

    def __init__(self) -> None:
        super().__init__(
            "cannot start a thread: no more processes may be started",
            hint="raise the limit of processes: ulimit -u",
        )


class DynoStartError(DriverError):
    """A dyno could not be started.

    `exit_code` is what `hsup run` ends with: 127 for a command that does not
    exist and 126 for one that cannot be executed, as a shell has it.
    """

    def __init__(self, text: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(text, hint=hint)
        self.exit_code = exit_code


class ReleaseFailed(HsupError):
    """The release phase did not end with status 0; `exit_code` is what it ended with."""

    def __init__(self, release: Release, how: str, *, exit_code: int = 1) -> None:
        super().__init__(f"the release phase of {release} {how}")
        self.exit_code = exit_code
