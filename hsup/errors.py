"""The errors that hsup raises: one class tree, caught once, in the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsup.model import Fault, PlatformLine, Release


class HsupError(Exception):
    """An error whose text says what could not be done; `hint` says what to do about it.

    The text is lower case, has no full stop, and includes the value at fault.
    """

    exit_code = 1
    #: The platform's code for the error, for example R17, if it has one.
    code: str | None = None
    #: What the platform says of the error, if hsup says it, too.
    platform_line: PlatformLine | None = None
    #: Whether a plugin is at fault: its contract does not let it raise this.
    is_mistake = False

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}; {self.hint}" if self.hint else text

    def put_before(self, subject: str) -> None:
        """Begin the text with the option, the variable or the file whose value is at fault."""
        self.args = (f"{subject}: {super().__str__()}",)


class UsageError(HsupError):
    """An option is wrong, wherever its value is from, or a variable that hsup reads."""

    exit_code = 2


class PluginError(HsupError):
    """A plugin is missing, broken, or clashes with another."""


class SourceError(HsupError):
    """A source cannot be read at the moment; a later call may succeed.

    `path` is the file that cannot be read, as the settings name it, if that is why.
    """

    def __init__(self, text: str, *, hint: str | None = None, path: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.path = path


class InvalidRelease(HsupError):
    """The input of a source is faulty; its author has to correct it."""

    def __init__(self, what: str, faults: Sequence[Fault], *, hint: str | None = None) -> None:
        self.faults = tuple(faults)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{what}: {self.faults[0]}{more}", hint=hint)


class DriverError(HsupError):
    """A driver cannot do what it was asked to do."""


class TooManyProcesses(DriverError):
    """No thread can be started because the process limit is reached; it may work later."""

    def __init__(self) -> None:
        super().__init__(
            "cannot start a thread: the process limit is reached",
            hint="raise the process limit, for example ulimit -u 4096",
        )


class DynoStartError(DriverError):
    """A dyno could not be started.

    `exit_code` is the exit status of `hsup run`: 127 for a command that does not
    exist and 126 for one that cannot be executed, as in a shell.
    """

    def __init__(self, text: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(text, hint=hint)
        self.exit_code = exit_code

    @property
    def is_of_command(self) -> bool:
        """Tell whether the command is at fault: another attempt fails, too."""
        return self.exit_code in {126, 127}


class ReleaseFailed(HsupError):
    """The release phase failed; `exit_code` is its exit status."""

    def __init__(self, release: Release, how: str, *, exit_code: int = 1) -> None:
        super().__init__(f"the release phase of {release} {how}")
        self.exit_code = exit_code


class DrainError(HsupError):
    """A log drain has not taken a block of lines; it may take it later.

    `taken_lines` is how many lines at the beginning of the block it has all the same, those that
    tell of losses included. `retry_seconds` is when it asked to be tried again, None if it did
    not say. `code` is the platform's, L14 for a certificate that cannot be trusted.
    """

    def __init__(
        self,
        text: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        taken_lines: int = 0,
        retry_seconds: float | None = None,
    ) -> None:
        super().__init__(text, hint=hint)
        self.code = code
        self.taken_lines = taken_lines
        self.retry_seconds = retry_seconds


class DrainUnreachable(DrainError):
    """A log drain cannot be reached, and nothing was sent to it."""


class DrainRefused(DrainError):
    """A log drain will never take this block of lines, or what it has not taken of it.

    Here, `taken_lines` is how many lines it has all the same, whichever these are.
    """
