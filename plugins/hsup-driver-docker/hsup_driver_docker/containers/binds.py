"""Bind mounts, as a Docker Engine is asked for them.

Since Docker 25 (API 1.44), mounts below a read-only bind are read-only too if kernel and runtime
support that, and silently stay writable if they do not (moby, pull request 45278). So an engine
that supports it is told to refuse anything less. Older engines always leave them writable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hsup.model import Bind

#: The first kernel with mount_setattr (man 2), which makes all mounts of a tree read-only.
_OLDEST_KERNEL = (5, 12)
#: Where an engine lists the features of a runtime since API 1.44 (OCI runtime specification).
_FEATURES = "org.opencontainers.runtime-spec.features"
_RECURSIVELY_READ_ONLY = "rro"


def recursive_outside(information: Mapping[str, Any]) -> str | None:
    """Return the directory outside of which an engine can make binds recursively read-only.

    It is the engine's own directory, or None for an engine that cannot do so. `information`
    comes from `Engine.information`.
    """
    root = information.get("DockerRootDir")
    is_able = _kernel_is_able(information) and _RECURSIVELY_READ_ONLY in _mount_options(information)
    return str(root) if is_able and root else None


def mounts(binds: Sequence[Bind], outside: str | None) -> list[dict[str, Any]]:
    """Return binds as the mounts of the Engine API's ContainerCreate."""
    return [_mount(bind, outside) for bind in binds]


def _mount(bind: Bind, outside: str | None) -> dict[str, Any]:
    source = str(bind.host)
    made = {
        "Type": "bind",
        "Source": source,
        "Target": str(bind.dyno),
        "ReadOnly": bind.read_only,
    }
    if bind.read_only and outside is not None and not _meets(source, outside):
        # Without it, mounts that are made later would appear in the container, and be writable.
        made["BindOptions"] = {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}
    return made


def _meets(source: str, root: str) -> bool:
    """Tell whether a path may contain, or be below, the engine's own directory.

    An engine refuses to make such a path private. It compares the strings, and so does this.
    """
    return source.startswith(root) or root.startswith(source)


def _kernel_is_able(information: Mapping[str, Any]) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", str(information.get("KernelVersion")))
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST_KERNEL


def _mount_options(information: Mapping[str, Any]) -> Sequence[str]:
    """Return the mount options of the engine's default runtime; none if the engine lists none."""
    runtimes = information.get("Runtimes") or {}
    runtime = runtimes.get(information.get("DefaultRuntime")) or {}
    try:
        features = json.loads((runtime.get("status") or {})[_FEATURES])
        return list(features["mountOptions"])
    except (KeyError, TypeError, ValueError):
        return ()
