from __future__ import annotations

import asyncio

from hsup.api import SupervisorView
from hsup.plugins.calls import Calls, PluginPart
from hsup.plugins.guards import GuardedService
from hsup.testing import EventRecorder, MemorySink, MemorySource
from tests.supervision.supervised import Supervise, end


class Service:
    """Runs beside the supervisor, and notes what it sees."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: SupervisorView | None = None
        self.was_cancelled = False

    async def run(self, supervisor: SupervisorView) -> None:
        if self.error:
            raise self.error
        self.seen = supervisor
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled = True


async def test_a_service_runs_beside_and_is_cancelled_at_the_end(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    service = Service()
    source.release(web=1)
    supervisor, running = supervise(services=[service])
    await told.state("web.1", "up")
    await end(supervisor, running)
    assert service.seen is supervisor
    assert service.was_cancelled


async def test_a_service_that_fails_ends_alone(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink, calls: Calls
) -> None:
    source.release(web=1)
    part = PluginPart("service", "bug", "hsup-bug", "1.0")
    failing = GuardedService(calls, part, Service(ValueError("a stranger's mistake")))
    other = Service()
    supervisor, running = supervise(services=[failing, other])
    await told.state("web.1", "up")
    text = 'service "bug" of hsup-bug 1.0 failed to serve: ValueError: a stranger\'s mistake'
    assert f"Error: {text}" in sink.said("supervisor")
    assert await end(supervisor, running) == 0
    assert other.was_cancelled
