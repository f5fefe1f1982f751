"""Checks that every driver and every source has to pass: subclass them in your tests.

Needs pytest: pip install hsup[testing]
"""

from hsup.testing.driver_suite import DriverSuite
from hsup.testing.recorder import Recorder
from hsup.testing.source_suite import SourceSuite

__all__ = ["DriverSuite", "Recorder", "SourceSuite"]
