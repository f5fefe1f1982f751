"""Turn a dyno's spec into a program to execute."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hsup import launch
from hsup.errors import DriverError, DynoStartError
from hsup.model import DynoSpec, ExitStatus

#: What a program needs from the caller's environment; the rest is for hsup alone,
#: API tokens above all.
_INHERITED = ("PATH", "HOME", "USER", "SHELL", "LANG", "TERM", "TMPDIR", "TZ")
_INHERITED_PREFIX = "LC_"

#: What os.posix_spawn does with descriptors in the child.
Actions = Sequence[tuple[Any, ...]]

_SIGNALS = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
#: Signals that nohup or a shell ignores for programs that share its terminal.
_IGNORED_ON_PURPOSE = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
_OTHER_SIGNALS = tuple(number for number in _SIGNALS if number not in _IGNORED_ON_PURPOSE)

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


class Program(NamedTuple):
    """An executable file, its arguments, and its environment."""

    path: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]

    def spawn(self, *, actions: Actions = (), session: bool) -> int:
        """Start the program in the current directory; return its pid.

        `actions` are the file actions of os.posix_spawn. With `session` the program gets a
        session of its own, and default signal handling; without, it ignores the signals that
        hsup was started to ignore (nohup). Raises DynoStartError.
        """
        try:
            return self._spawn(self.path, self.argv, actions, session=session)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
                # A script without a first line `#!…`: shells run it themselves, so bash does.
                argv = ("bash", self.path, *self.argv[1:])
                return self._spawn(bash(self.environment), argv, actions, session=session)
            raise _start_error(self.argv[0], error) from error

    def _spawn(
        self,
        path: str,
        argv: tuple[str, ...],
        actions: Actions,
        *,
        session: bool,
    ) -> int:
        return os.posix_spawn(
            path,
            argv,
            self.environment,
            file_actions=actions,
            setsid=session,
            setsigmask=(),
            setsigdef=_SIGNALS if session else _OTHER_SIGNALS,
        )


def program(spec: DynoSpec, host_environment: Mapping[str, str]) -> Program:
    """Return the program of a dyno; `host_environment` is hsup's own.

    Raises DynoStartError for a command that does not exist or is not executable.
    """
    environment = {**inherited(host_environment), **launch.environment(spec)}
    words = spec.command.words
    if not words:
        raise DynoStartError(
            f"the release has no command for {spec.name}, only its image does",
            hint="use a driver that runs images: -d docker",
        )
    if spec.command.is_shell_line:
        path = bash(environment)
        words = ("bash", "-c", "--", *words)  # the line may begin with -
    else:
        path = find(words[0], environment.get("PATH", os.defpath))
    return Program(path=path, argv=words, environment=environment)


def exit_status(wait_status: int) -> ExitStatus:
    """Return the exit status of a process from the status of waitpid."""
    if os.WIFSIGNALED(wait_status):
        return ExitStatus(signal=os.WTERMSIG(wait_status))
    return ExitStatus(code=os.WEXITSTATUS(wait_status))


def inherited(host_environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that a dyno inherits from hsup."""
    return {
        name: value
        for name, value in host_environment.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIX)
    }


def bash(environment: Mapping[str, str]) -> str:
    """Return the path of bash. Raises DynoStartError if it is not installed."""
    for directories in (environment.get("PATH", os.defpath), "/usr/local/bin:/usr/bin:/bin"):
        for candidate in _candidates("bash", directories):
            if _is_executable(candidate):
                return candidate
    raise DynoStartError(
        "cannot find bash, which runs the commands of dynos",
        hint="install bash, or give the command as several words",
        exit_code=_NOT_FOUND,
    )


def find(word: str, directories: str) -> str:
    """Return the path of a command, found in PATH as a shell does. Raises DynoStartError."""
    candidates = _candidates(word, directories)
    for candidate in candidates:
        if _is_executable(candidate):
            return candidate
    if found := next(filter(os.path.exists, candidates), None):
        import shlex  # slow to import, rarely needed

        raise DynoStartError(
            f'cannot execute "{word}": it is not an executable file',
            hint=None if os.path.isdir(found) else f"run chmod +x {shlex.quote(found)}",
            exit_code=_NOT_EXECUTABLE,
        )
    reason = "no such file" if "/" in word else f'it is not in a directory of PATH, "{directories}"'
    raise DynoStartError(f'cannot find "{word}": {reason}', exit_code=_NOT_FOUND)


def _candidates(word: str, directories: str) -> list[str]:
    if "/" in word:
        return [word]
    return [os.path.join(directory, word) for directory in directories.split(":")]


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _start_error(word: str, error: OSError | ValueError) -> DriverError:
    if not isinstance(error, OSError):  # a NUL byte, or text that cannot be encoded
        return DynoStartError(f'cannot execute "{word}": {error}')
    if error.errno == errno.ENOENT:
        text = f'cannot execute "{word}": the interpreter in its first line does not exist'
        return DynoStartError(text, exit_code=_NOT_FOUND)
    text = f'cannot execute "{word}": {os.strerror(error.errno or 0)}'
    more = "raise the process limit, for example ulimit -u 4096"
    hint = more if error.errno == errno.EAGAIN else None
    return DynoStartError(text, hint=hint, exit_code=_NOT_EXECUTABLE)
