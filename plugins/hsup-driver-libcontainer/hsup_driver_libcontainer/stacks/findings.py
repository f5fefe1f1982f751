"""Look for what stacks need on this machine, for `hsup doctor`."""

from __future__ import annotations

import os
import shutil

from hsup.api import Finding, Settings
from hsup.errors import HsupError
from hsup_driver_libcontainer.requirements import how_to_install
from hsup_driver_libcontainer.stacks.root import check_root
from hsup_driver_libcontainer.stacks.store import Listed, StackStore, is_directory


def examine(settings: Settings) -> list[Finding]:
    """Look at the stack for releases that name none, and at the tools that pull images."""
    try:
        stacks = [stack for stack in StackStore(settings).list() if stack.entry.primary]
    except HsupError as error:
        remedy = error.hint or "run hsup stacks list to list all faults"
        fault = Finding("stack", is_good=False, text=error.args[0], remedy=remedy)
        return [fault, _puller(settings, is_needed=False)]
    stack = next((stack for stack in stacks if stack.path), stacks[0])
    is_needed = stack.entry.image is not None and not stack.path
    return [_stack(stack), _puller(settings, is_needed=is_needed)]


def _stack(stack: Listed) -> Finding:
    is_local = stack.entry.url.startswith("/")
    if is_local and not os.path.exists(stack.entry.url):
        text = f"{stack.entry} should be at {stack.entry.url}, but nothing exists there"
        return Finding("stack", is_good=False, text=text, remedy="change its url in the manifest")
    if stack.path and is_directory(stack.entry):
        try:
            check_root(stack.path, str(stack.entry))
        except HsupError as error:
            remedy = error.hint or "use another directory"
            return Finding("stack", is_good=False, text=error.args[0], remedy=remedy)
    if stack.path:
        text = f"{stack.entry} is in {stack.path}"
    else:
        text = f"{stack.entry} is not installed yet; hsup pulls it when a dyno needs it"
    return Finding("stack", is_good=True, text=text)


def _puller(settings: Settings, *, is_needed: bool) -> Finding:
    subject = "registry tools"
    path = settings.environ.get("PATH")
    missing = [tool for tool in ("skopeo", "umoci") if shutil.which(tool, path=path) is None]
    if not missing:
        text = "skopeo and umoci pull stacks from registries"
        return Finding(subject, is_good=True, text=text)
    are, pull = ("are", "they pull") if len(missing) > 1 else ("is", "it pulls")
    text = f"{' and '.join(missing)} {are} not installed; {pull} stacks from registries"
    remedy = how_to_install(*missing) if is_needed else None
    return Finding(subject, is_good=False, text=text, remedy=remedy)
