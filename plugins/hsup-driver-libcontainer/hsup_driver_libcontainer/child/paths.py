"""Where paths of a dyno lead: within a folder that is to be its root, and who may write there."""

from __future__ import annotations

import errno
import os

#: As many symbolic links as the kernel follows, man 7 path_resolution.
_MOST_LINKS = 40


def resolve(root: str, path: str) -> str:
    """Return where a path leads to within a root folder, its symbolic links followed.

    Raises OSError(ELOOP) for links that go in circles.
    """
    parts = [one for one in reversed(path.split("/")) if one]
    resolved: list[str] = []
    links = 0
    while parts:
        part = parts.pop()
        if part in (".", ".."):
            del resolved[len(resolved) - (part == "..") :]
            continue
        here = "/".join((root, *resolved, part))
        if not os.path.islink(here):
            resolved.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        if target.startswith("/"):
            resolved.clear()
        parts.extend(one for one in reversed(target.split("/")) if one)
    return "/" + "/".join(resolved)


def is_writable(path: str) -> bool:
    """Tell whether a path of a dyno is in memory of its own, where it may write."""
    return path.startswith(("/app/", "/tmp/", "/var/tmp/", "/dev/"))  # noqa: S108 - the dyno's own
