"""What this machine has for stacks, for `hsup doctor`."""

from __future__ import annotations

import shutil

from hsup.api import Finding, Settings
from hsup.errors import HsupError
from hsup_driver_libcontainer.stacks.store import StackStore


def examine(settings: Settings) -> list[Finding]:
    """Look at the stack of releases that name none, and at what pulls images."""
    return [_stack(settings), _puller(settings)]


def _stack(settings: Settings) -> Finding:
    subject = "stack"
    try:
        found = [one for one in StackStore(settings).list() if one.entry.primary]
    except HsupError as error:
        return Finding(subject, is_good=False, text=str(error), remedy="correct that")
    for one in found:
        if one.path:
            return Finding(subject, is_good=True, text=f"{one.entry} is in {one.path}")
    text = f"{found[0].entry} is not installed, and will be pulled when it is needed"
    return Finding(subject, is_good=False, text=text, remedy="hsup stacks pull")


def _puller(settings: Settings) -> Finding:
    path = settings.environ.get("PATH")
    missing = [tool for tool in ("skopeo", "umoci") if shutil.which(tool, path=path) is None]
    if missing:
        text = f"{' and '.join(missing)} not found, which pull stacks from registries"
        return Finding(
            "registry tools", is_good=False, text=text, remedy="apt install skopeo umoci"
        )
    return Finding(
        "registry tools", is_good=True, text="skopeo and umoci pull stacks from registries"
    )
