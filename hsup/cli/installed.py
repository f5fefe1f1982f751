"""Find what is installed, for commands that need no release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsup.visible import say_at_once

if TYPE_CHECKING:
    from hsup.plugins.manager import PluginManager


def plugin_manager() -> PluginManager:
    """Return the manager of all plugins, which says which plugin it waits for."""
    from hsup.plugins.calls import Calls  # help of hsup's own commands needs no plugins
    from hsup.plugins.manager import PluginManager

    return PluginManager(calls=Calls(say=say_at_once, has_alarm=True))
