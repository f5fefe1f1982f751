from __future__ import annotations

import asyncio

from hsup.plugins.calls import Part
from hsup.plugins.guards import GuardedService
from tests.supervision.supervised import end


class Service:
    """Runs beside the supervisor, and notes what it sees."""

    def __init__(self, error=None):
        self.error = error
        self.seen = None
        self.was_cancelled = False

    async def run(self, supervisor):
        if self.error:
            raise self.error
        self.seen = supervisor
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled = True


async def test_a_service_runs_beside_and_is_cancelled_at_the_end(supervise, source, told):
    service = Service()
    source.release(web=1)
    supervisor, running = supervise(services=[service])
    await told.state("web.1", "up")
    assert service.seen is supervisor
    await end(supervisor, running)
    assert service.was_cancelled


async def test_a_service_that_fails_ends_alone(supervise, source, told, sink, calls):
    source.release(web=1)
    failing = Part("service", "bug", "hsup-bug", "1.0")
    services = [
        GuardedService(calls, failing, Service(ValueError("a stranger's mistake"))),
        Service(),
    ]
    supervisor, running = supervise(services=services)
    await told.state("web.1", "up")
    text = 'service "bug" of hsup-bug 1.0 failed to serve: ValueError: a stranger\'s mistake'
    assert f"Error: {text}" in sink.said("supervisor")
    assert await end(supervisor, running) == 0
    assert services[1].was_cancelled
