"""How an engine is asked to show dynos paths of its machine.

Since Docker 25 (API 1.44), what is mounted below a read-only path is read-only too where kernel
and runtime can do that, and silently is not where they cannot (moby, pull request 45278). So an
engine that can is told to refuse anything less. Older engines always leave it writable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hsup.model import Bind

#: Of mount_setattr (man 2 mount_setattr), with which a kernel makes all mounts of a tree read-only.
_OLDEST_KERNEL = (5, 12)
#: In what an engine tells of a runtime since API 1.44: its features (OCI runtime specification).
_FEATURES = "org.opencontainers.runtime-spec.features"
_RECURSIVELY_READ_ONLY = "rro"


def recursive_outside(information: Mapping[str, Any]) -> str | None:
    """Return the folder outside of which an engine can make mounts read-only as a whole.

    It is the engine's own folder; None is for an engine that cannot. `information` is
    what `Engine.information` gives.
    """
    root = information.get("DockerRootDir")
    is_able = _kernel_is_able(information) and _RECURSIVELY_READ_ONLY in _mount_options(information)
    return str(root) if is_able and root else None


def mounts(binds: Sequence[Bind], outside: str | None) -> list[dict[str, Any]]:
    """Return what shows paths, as the Engine API's ContainerCreate takes it."""
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
        # Mounts that came later would be writable, unless they are kept out.
        made["BindOptions"] = {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}
    return made


def _meets(source: str, root: str) -> bool:
    """Tell whether an engine refuses a path as private, because its own folder may be there.

    It compares the texts, as this does.
    """
    return source.startswith(root) or root.startswith(source)


def _kernel_is_able(information: Mapping[str, Any]) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", str(information.get("KernelVersion")))
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST_KERNEL


def _mount_options(information: Mapping[str, Any]) -> Sequence[str]:
    """Return the options of mounts that the runtime of dynos knows; none where it is not told."""
    runtimes = information.get("Runtimes") or {}
    runtime = runtimes.get(information.get("DefaultRuntime")) or {}
    try:
        features = json.loads((runtime.get("status") or {})[_FEATURES])
        return list(features["mountOptions"])
    except (KeyError, TypeError, ValueError):
        return ()
