"""Copy a file that a stack is made of, with holes where it is empty."""

from __future__ import annotations

import os
from contextlib import suppress

from hsup_driver_libcontainer.stacks.progress import Progress
from hsup_driver_libcontainer.stacks.tools import Tools


def copy(path: str, target: str, name: str, tools: Tools, progress: Progress) -> None:
    """Copy a file; `name` is what errors call it. Raises DriverError and GivenUp."""
    total = os.path.getsize(path)

    def watch() -> None:
        with suppress(FileNotFoundError):
            progress.show(os.path.getsize(target), total)

    # cp knows where a file has holes, and does not read them.
    tools.run("cp", "--sparse=always", "--", path, target, to=f"copy {name}", watch=watch)
