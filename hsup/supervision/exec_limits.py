"""Check a release against the kernel's limits for arguments and variables (man 2 execve)."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from hsup.errors import InvalidRelease
from hsup.launch import START_UP_FILE
from hsup.model import Command, Fault, Release

#: The most pages of one argument or variable, its NUL included: MAX_ARG_STRLEN.
_LONGEST_PAGES = 32
#: The bounds of the limit for all of them, whatever the stack limit (Linux, fs/exec.c): at
#: most three quarters of the default stack limit, at least ARG_MAX.
_MOST_BYTES, _LEAST_BYTES = 6 << 20, 128 << 10
#: Of each argument and variable, beside its text: a NUL and a pointer.
_BYTES_BESIDE = 1 + 8
#: What drivers and bash add: PATH, HOME, DYNO, the words that read .profile.d, metadata.
_ADDED_BYTES = 4 << 10

_HINT = "keep large values in a file of the slug, or in a store that the application reads"


class Excess(NamedTuple):
    """Something that is too large for the kernel, and the config var that takes most of it."""

    problem: str
    variable: str | None = None


def require_passable(
    release: Release, commands: Iterable[Command], *, has_metadata: bool = False
) -> None:
    """Raise InvalidRelease where the kernel would refuse to execute one of the commands."""
    excess = next(excesses(release, commands, has_metadata=has_metadata), None)
    if excess is not None:
        fault = Fault(place="", problem=excess.problem)
        raise InvalidRelease(str(release), [fault], hint=_HINT)


def excesses(
    release: Release, commands: Iterable[Command], *, has_metadata: bool = False
) -> Iterator[Excess]:
    """Yield the reasons for which the kernel would refuse to execute one of the commands."""
    variables = {**release.config, **release.metadata} if has_metadata else release.config
    return _excesses(variables, tuple(commands))


def _excesses(config: Mapping[str, str], commands: tuple[Command, ...]) -> Iterator[Excess]:
    variables = {name: _size(f"{name}={value}") for name, value in config.items()}
    words = {command: _word_sizes(command) for command in commands}
    longest = _LONGEST_PAGES * os.sysconf("SC_PAGE_SIZE") - 1
    for name, size in variables.items():
        if size > longest:
            text = f'config var "{name}" has {size} bytes with its name, more than {longest}'
            yield Excess(text, name)
    for command, sizes in words.items():
        if max(sizes, default=0) > longest:
            text = f"has a word of {max(sizes)} bytes, more than {longest}"
            yield Excess(f'command "{str(command)[:40]}…" {text}')
    most = _most_bytes()
    total = _total(variables.values()) + max(map(_total, words.values()), default=0)
    if total > most - _ADDED_BYTES:
        is_quarter = _LEAST_BYTES < most < _MOST_BYTES
        why = ", a quarter of the stack limit (ulimit -s)" if is_quarter else ""
        text = f"together have {total} bytes; the limit is {most - _ADDED_BYTES}{why}"
        largest = max(variables, key=variables.__getitem__, default=None)
        more = "" if largest is None else f'. The largest is "{largest}"'
        yield Excess(f"config vars and command {text}{more}", largest)


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _word_sizes(command: Command) -> list[int]:
    """Return the sizes of a command's words; a shell line includes the start-up line."""
    if command.is_shell_line:
        return [_size(f". {START_UP_FILE}\n{command.words[0]}")]
    return [_size(word) for word in command.words]


def _total(sizes: Iterable[int]) -> int:
    return sum(size + _BYTES_BESIDE for size in sizes)


def _most_bytes() -> int:
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    quarter = _MOST_BYTES if stack == resource.RLIM_INFINITY else stack // 4
    return max(_LEAST_BYTES, min(_MOST_BYTES, quarter))
