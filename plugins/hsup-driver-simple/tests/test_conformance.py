"""The simple driver passes the checks for all drivers."""

from hsup.testing import DriverSuite
from hsup_driver_simple.driver import SimpleDriver


class TestSimpleDriver(DriverSuite):
    def make_driver(self, settings):
        return SimpleDriver(settings)
