"""Register the simple driver."""

from __future__ import annotations

from collections.abc import Mapping

from hsup import hookimpl
from hsup.api import Driver, DriverFactory, Settings


def create(settings: Settings) -> Driver:
    """Make the driver."""
    from hsup_driver_simple.driver import SimpleDriver

    return SimpleDriver(settings)


@hookimpl
def hsup_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer `--driver simple`."""
    return {"simple": create}
