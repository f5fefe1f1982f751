"""Tools to test a plugin: suites that check the contracts, and counterparts in memory.

    class TestFrobDriver(DriverSuite):        # likewise SourceSuite, for sources
        def make_driver(self, settings):
            return FrobDriver(settings)

MemoryDriver, MemorySource, MemorySink, MemoryDrain and MemorySupervisor stand in for what a plugin
works with.
make_release, make_spec and make_batch make the values that hsup passes to it, dyno_spec the spec
of a dyno of your own release. A Recorder reads the output of a dyno, an EventRecorder keeps the
events that observers receive.

Needs pytest, which the extra `testing` of hsup brings.
"""

import pytest

pytest.register_assert_rewrite("hsup.testing.driver_suite", "hsup.testing.source_suite")

from hsup.supervision.dyno_spec import dyno_spec  # noqa: E402
from hsup.testing.driver_suite import DriverSuite  # noqa: E402 - asserts are rewritten first
from hsup.testing.event_recorder import EventRecorder  # noqa: E402
from hsup.testing.making import make_batch, make_release, make_spec  # noqa: E402
from hsup.testing.memory_drain import MemoryDrain  # noqa: E402
from hsup.testing.memory_driver import MemoryDriver, MemoryDyno  # noqa: E402
from hsup.testing.memory_sink import MemorySink  # noqa: E402
from hsup.testing.memory_source import MemorySource  # noqa: E402
from hsup.testing.memory_supervisor import MemorySupervisor  # noqa: E402
from hsup.testing.recorder import Recorder  # noqa: E402
from hsup.testing.source_suite import SourceSuite  # noqa: E402

__all__ = [
    "DriverSuite",
    "EventRecorder",
    "MemoryDrain",
    "MemoryDriver",
    "MemoryDyno",
    "MemorySink",
    "MemorySource",
    "MemorySupervisor",
    "Recorder",
    "SourceSuite",
    "dyno_spec",
    "make_batch",
    "make_release",
    "make_spec",
]
