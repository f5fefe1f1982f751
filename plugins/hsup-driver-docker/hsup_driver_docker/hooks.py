"""Register the Docker driver."""

from __future__ import annotations

from collections.abc import Mapping

from hsup import hookimpl
from hsup.api import Driver, DriverFactory, Settings


def create(settings: Settings) -> Driver:
    """Make the driver. Raises UsageError for an invalid environment variable."""
    from hsup_driver_docker.driver import DockerDriver

    return DockerDriver(settings)


@hookimpl
def hsup_register_drivers() -> Mapping[str, DriverFactory]:
    """Register the driver `docker`."""
    return {"docker": create}
