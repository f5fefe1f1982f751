"""Copy the file of a stack, with holes where it has only zeroes."""

from __future__ import annotations

import os
from contextlib import suppress

from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.tools import Tools


def copy(path: str, target: str, name: str, tools: Tools, progress: StepPrinter) -> None:
    """Copy a file; `name` is its name in error messages. Raises DriverError and GivenUp."""
    total = os.path.getsize(path)

    def watch() -> None:
        with suppress(FileNotFoundError):
            progress.show(os.path.getsize(target), total)

    # cp skips the holes of a file.
    tools.run("cp", "--sparse=always", "--", path, target, to=f"copy {name}", watch=watch)
