"""What the tests of a plugin need: checks of the contracts, and the other sides in memory.

    class TestFrobDriver(DriverSuite):        # and SourceSuite: what each of them has to pass
        def make_driver(self, settings):
            return FrobDriver(settings)

MemoryDriver, MemorySource, MemorySink and MemorySupervisor stand for what your plugin meets;
make_release, make_spec and make_batch make what it is given, dyno_spec what start is given of a
release of yours. A Recorder reads what a dyno writes, an EventRecorder keeps what observers are
told.

Needs pytest: pip install hsup[testing]
"""

import pytest

pytest.register_assert_rewrite("hsup.testing.driver_suite", "hsup.testing.source_suite")

from hsup.supervision.dyno_spec import dyno_spec  # noqa: E402
from hsup.testing.driver_suite import DriverSuite  # noqa: E402 - or no check would say what it got
from hsup.testing.event_recorder import EventRecorder  # noqa: E402
from hsup.testing.making import make_batch, make_release, make_spec  # noqa: E402
from hsup.testing.memory_driver import MemoryDriver, MemoryDyno  # noqa: E402
from hsup.testing.memory_sink import MemorySink  # noqa: E402
from hsup.testing.memory_source import MemorySource  # noqa: E402
from hsup.testing.memory_supervisor import MemorySupervisor  # noqa: E402
from hsup.testing.recorder import Recorder  # noqa: E402
from hsup.testing.source_suite import SourceSuite  # noqa: E402

__all__ = [
    "DriverSuite",
    "EventRecorder",
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
