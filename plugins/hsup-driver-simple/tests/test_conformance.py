"""The simple driver passes the checks for all drivers."""

from __future__ import annotations

from hsup.api import Settings
from hsup.testing import DriverSuite
from hsup_driver_simple.driver import SimpleDriver


class TestSimpleDriver(DriverSuite):
    def make_driver(self, settings: Settings) -> SimpleDriver:
        return SimpleDriver(settings)
