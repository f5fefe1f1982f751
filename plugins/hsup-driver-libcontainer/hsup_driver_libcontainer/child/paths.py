"""Resolve paths of a dyno before it has its root, and tell which of them it can write to."""

from __future__ import annotations

import errno
import os

#: As many symbolic links as the kernel follows, man 7 path_resolution.
_MOST_LINKS = 40


def resolve(root: str, path: str) -> str:
    """Return where a path leads within a root directory, following symbolic links.

    Raises OSError(ELOOP) for a loop of links.
    """
    parts = [part for part in reversed(path.split("/")) if part]
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
        parts.extend(part for part in reversed(target.split("/")) if part)
    return "/" + "/".join(resolved)


def is_writable(path: str) -> bool:
    """Tell whether a path of a dyno is on a memory file system that it may write to."""
    return path.startswith(("/app/", "/tmp/", "/var/tmp/", "/dev/"))  # noqa: S108 - the dyno's own
