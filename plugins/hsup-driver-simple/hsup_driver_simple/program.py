"""Turn a dyno's spec into what is executed."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hsup import launch
from hsup.errors import DriverError, DynoStartError
from hsup.model import DynoSpec, ExitStatus

#: What a program needs of its surroundings; all else of hsup's own environment
#: is hsup's own, its tokens above all.
_INHERITED = ("PATH", "HOME", "USER", "SHELL", "LANG", "TERM", "TMPDIR", "TZ")
_INHERITED_PREFIX = "LC_"

#: What os.posix_spawn does with descriptors in the child.
Actions = Sequence[tuple[Any, ...]]

_SIGNALS = tuple(int(one) for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
#: What nohup and a shell have ignored for what they start, as long as it shares the terminal.
_IGNORED_ON_PURPOSE = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
_SIGNALS_OF_OTHERS = tuple(one for one in _SIGNALS if one not in _IGNORED_ON_PURPOSE)

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


class Program(NamedTuple):
    """An executable file, its arguments, and its environment."""

    path: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]

    def spawn(self, *, actions: Actions = (), session: bool) -> int:
        """Start the program in the current folder; return its pid.

        `actions` are those of os.posix_spawn. With `session` it gets a session
        of its own, and signals as a fresh login has them; without, it ignores
        what hsup was started to ignore (nohup). Raises DynoStartError.
        """
        try:
            return self._spawn(self.path, self.argv, actions, session=session)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
                # A script without a first line `#!…`, which every shell runs itself.
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
            setsigdef=_SIGNALS if session else _SIGNALS_OF_OTHERS,
        )


def program(spec: DynoSpec, surroundings: Mapping[str, str]) -> Program:
    """Return what runs a dyno; `surroundings` is hsup's own environment.

    Raises DynoStartError for a command that is not there or not executable.
    """
    environment = {**inherited(surroundings), **launch.environment(spec)}
    words = spec.command.words
    if not words:
        raise DynoStartError(
            f"{spec.name} has no command but the one of its image",
            hint="use a driver that runs images: -d docker",
        )
    if spec.command.is_shell_line:
        path = bash(environment)
        words = ("bash", "-c", "--", *words)  # the line may begin with -
    else:
        path = find(words[0], environment.get("PATH", os.defpath))
    return Program(path=path, argv=words, environment=environment)


def exit_status(wait_status: int) -> ExitStatus:
    """Return what waitpid said of a process."""
    if os.WIFSIGNALED(wait_status):
        return ExitStatus(signal=os.WTERMSIG(wait_status))
    return ExitStatus(code=os.WEXITSTATUS(wait_status))


def inherited(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return what a dyno gets of hsup's own environment."""
    return {
        name: value
        for name, value in surroundings.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIX)
    }


def bash(environment: Mapping[str, str]) -> str:
    """Return the path of bash. Raises DynoStartError where there is none."""
    for folders in (environment.get("PATH", os.defpath), "/usr/local/bin:/usr/bin:/bin"):
        for candidate in _candidates("bash", folders):
            if _is_executable(candidate):
                return candidate
    raise DynoStartError(
        "no bash on this machine, which runs the command of a dyno",
        hint="install bash, or give the command as several words",
        exit_code=_NOT_FOUND,
    )


def find(word: str, folders: str) -> str:
    """Return the path of a command, looked for in PATH as a shell does."""
    candidates = _candidates(word, folders)
    for candidate in candidates:
        if _is_executable(candidate):
            return candidate
    if any(os.path.exists(candidate) for candidate in candidates):
        raise DynoStartError(
            f'cannot execute "{word}": it is not an executable file',
            hint=f"make it one: chmod +x {word}",
            exit_code=_NOT_EXECUTABLE,
        )
    where = "there is no such file" if "/" in word else f"it is in no folder of PATH, {folders}"
    raise DynoStartError(f'cannot find "{word}": {where}', exit_code=_NOT_FOUND)


def _candidates(word: str, folders: str) -> list[str]:
    if "/" in word:
        return [word]
    return [os.path.join(folder, word) for folder in folders.split(":")]


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _start_error(word: str, error: OSError | ValueError) -> DriverError:
    if not isinstance(error, OSError):  # a NUL byte, or what no encoding knows
        return DynoStartError(f'cannot execute "{word}": {error}')
    if error.errno == errno.ENOENT:
        text = f'cannot execute "{word}": the interpreter in its first line is not there'
        return DynoStartError(text, exit_code=_NOT_FOUND)
    text = f'cannot execute "{word}": {os.strerror(error.errno or 0)}'
    hint = "raise the limit of processes: ulimit -u" if error.errno == errno.EAGAIN else None
    return DynoStartError(text, hint=hint, exit_code=_NOT_EXECUTABLE)
