"""Turn on IP forwarding in the kernel while there are dynos."""

from __future__ import annotations

import os
from collections.abc import Callable

from hsup.errors import DriverError

PATH = "/proc/sys/net/ipv4/ip_forward"


def is_on() -> bool:
    """Tell whether the host forwards packets."""
    with open(PATH, encoding="ascii") as file:
        return file.read().strip() == "1"


def turn_on(note: str) -> None:
    """Turn on forwarding; the file `note` records that it was hsup who did."""
    if is_on():
        return
    with open(note, "w", encoding="ascii"):
        pass
    try:
        _write("1")
    except OSError as error:
        os.unlink(note)
        text = f"cannot turn on IP forwarding: {error.strerror}"
        raise DriverError(text, hint="run sysctl -w net.ipv4.ip_forward=1 on the host") from error


def restore(note: str, is_needed: Callable[[], bool]) -> None:
    """Turn off forwarding if hsup turned it on, unless other software needs it by now."""
    if os.path.exists(note):
        if not is_needed():
            _write("0")
        os.unlink(note)


def _write(value: str) -> None:
    with open(PATH, "w", encoding="ascii") as file:
        file.write(value)
