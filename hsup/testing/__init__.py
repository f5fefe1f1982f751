"""Checks that every driver and every source has to pass: subclass them in your tests.

Needs pytest: pip install hsup[testing]
"""

import pytest

pytest.register_assert_rewrite("hsup.testing.driver_suite", "hsup.testing.source_suite")

from hsup.supervision.dyno_spec import dyno_spec  # noqa: E402
from hsup.testing.driver_suite import DriverSuite  # noqa: E402 - or no check would say what it got
from hsup.testing.recorder import Recorder  # noqa: E402
from hsup.testing.source_suite import SourceSuite  # noqa: E402

__all__ = ["DriverSuite", "Recorder", "SourceSuite", "dyno_spec"]
