from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Mapping

import pytest

from hsup.errors import InvalidRelease
from hsup.model import Command, Release
from hsup.supervision.exec_limits import require_passable

LONGEST = 32 * os.sysconf("SC_PAGE_SIZE") - 1  # man 2 execve, without the NUL
ECHO = Command(("echo", "hello"))


def release(config: Mapping[str, str] | None = None) -> Release:
    return Release(app="shop", version=3, config=config or {})


def kernel_takes(value: str) -> bool:
    try:
        subprocess.run(["/bin/true"], env={"BIG": value}, check=True)
    except OSError:
        return False
    return True


def test_the_longest_variable_that_the_kernel_takes_is_taken() -> None:
    value = "x" * (LONGEST - len("BIG="))
    assert kernel_takes(value)
    require_passable(release({"BIG": value}), [ECHO])


def test_a_variable_that_the_kernel_refuses_is_named() -> None:
    value = "x" * (LONGEST + 1 - len("BIG="))
    assert not kernel_takes(value)
    text = (
        f'^v3 of shop: config var "BIG" has {LONGEST + 1} bytes with its name, '
        f"more than {LONGEST}; keep large values"
    )
    with pytest.raises(InvalidRelease, match=text):
        require_passable(release({"SMALL": "1", "BIG": value}), [ECHO])


def test_the_platforms_variables_count_if_dynos_get_them() -> None:
    one = release()._replace(metadata={"HEROKU_SLUG_DESCRIPTION": "x" * (1 << 17)})
    require_passable(one, [ECHO])
    with pytest.raises(InvalidRelease, match='"HEROKU_SLUG_DESCRIPTION" has'):
        require_passable(one, [ECHO], has_metadata=True)


def test_a_character_has_as_many_bytes_as_in_utf_8() -> None:
    require_passable(release({"BIG": "x" * 100_000}), [ECHO])
    with pytest.raises(InvalidRelease, match="has 200004 bytes with its name"):
        require_passable(release({"BIG": "é" * 100_000}), [ECHO])


def test_a_word_of_a_command_is_refused_too() -> None:
    for words in ((f"echo {'x' * LONGEST}",), ("echo", "x" * (LONGEST + 1))):
        with pytest.raises(InvalidRelease, match=r'command "echo x+…" has a word of 131\d\d\d b'):
            require_passable(release(), [ECHO, Command(words)])


def test_what_all_variables_take_is_limited_by_the_stack() -> None:
    limits = resource.getrlimit(resource.RLIMIT_STACK)
    config = {f"V{number}": "x" * (100_000 + number) for number in range(12)}
    try:
        resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, limits[1]))
        require_passable(release(config), [ECHO])
        resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, limits[1]))
        told = (
            r"config vars and command together have 1200\d\d\d bytes; the limit is 1044480, "
            r'a quarter of the stack limit \(ulimit -s\)\. The largest is "V11"; keep'
        )
        with pytest.raises(InvalidRelease, match=told):
            require_passable(release(config), [ECHO])
        resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, limits[1]))
        with pytest.raises(InvalidRelease, match=r'is 126976\. The largest is "V11"; keep'):
            require_passable(release(config), [ECHO])
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, limits)


def test_what_is_not_utf_8_counts_as_it_is() -> None:
    require_passable(release({"BYTES": "\udcff" * 120_000, "HALF": "\ud800"}), [ECHO])
