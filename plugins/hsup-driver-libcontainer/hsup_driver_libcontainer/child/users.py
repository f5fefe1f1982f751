"""Add the dyno's user to /etc/passwd and /etc/group."""

from __future__ import annotations

import os

from hsup_driver_libcontainer.child.paths import resolve

#: The name of the user that a dyno runs as.
NAME = "dyno"


def files(stack: str, uid: int) -> dict[str, str]:
    """Return /etc/passwd and /etc/group of a stack with the dyno's user; see man 5 passwd."""
    passwd, group = (_read_others(stack, f"/etc/{name}") for name in ("passwd", "group"))
    return {
        "/etc/passwd": f"{passwd}{NAME}:x:{uid}:{uid}:dyno:/app:/bin/bash\n",
        "/etc/group": f"{group}{NAME}:x:{uid}:\n",
    }


def _read_others(stack: str, path: str) -> str:
    """Return the lines of other users; nothing if the stack has no such file."""
    resolved = f"{stack}{resolve(stack, path)}"
    if not os.path.isfile(resolved):
        return ""
    with open(resolved, encoding="utf-8", errors="surrogateescape") as file:
        return "".join(f"{line.rstrip()}\n" for line in file if line.partition(":")[0] != NAME)
