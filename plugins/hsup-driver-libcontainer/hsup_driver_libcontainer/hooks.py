"""Register the libcontainer driver and the command `hsup stacks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Driver, DriverFactory, Settings

if TYPE_CHECKING:
    import click


def create(settings: Settings) -> Driver:
    """Make the driver. Raises UsageError for an environment variable with an invalid value."""
    from hsup_driver_libcontainer.driver import LibcontainerDriver

    return LibcontainerDriver(settings)


@hookimpl
def hsup_register_drivers() -> Mapping[str, DriverFactory]:
    """Register the driver `libcontainer`."""
    return {"libcontainer": create}


@hookimpl
def hsup_register_commands() -> Sequence[click.Command]:
    """Register the command `hsup stacks`."""
    from hsup_driver_libcontainer.stacks.command import stacks

    return [stacks]
