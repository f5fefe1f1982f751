from __future__ import annotations

from hsup.events import ReleaseRejected as RejectedEvent
from tests.supervision.supervised import end


async def test_every_dyno_has_a_port_of_its_own(supervise, source, driver):
    source.release(web=2, worker=1, release=0)
    driver.statuses = {"release": 0}
    supervisor, running = supervise()
    dynos = [await driver.dyno(name) for name in ("web.1", "web.2", "worker.1")]
    assert [dyno.spec.port for dyno in dynos] == [5000, 5001, 5100]
    await end(supervisor, running)


async def test_the_port_of_the_release_is_that_of_its_only_dyno(supervise, source, driver):
    source.release(config={"PORT": "8080"}, web=1)
    supervisor, running = supervise()
    assert (await driver.dyno("web.1")).spec.port is None
    await end(supervisor, running)


async def test_the_port_of_the_release_is_not_shared_by_several(supervise, source, driver, sink):
    source.release(config={"PORT": "8080"}, web=2)
    supervisor, running = supervise()
    ports = [(await driver.dyno(name)).spec.port for name in ("web.1", "web.2")]
    assert ports == [5000, 5001]
    assert "Warning: PORT of the release is not used, 2 dynos cannot share it" in sink.said()
    await end(supervisor, running)


async def test_a_port_that_was_given_back_is_given_again(supervise, source, driver, told):
    source.release(version=1, web=2)
    supervisor, running = supervise()
    await told.state("web.2", "up")
    source.release(version=2, web=1)
    await told.state("web.2", "stopped")
    source.release(version=3, web=2)
    assert (await driver.dyno("web.2", nth=2)).spec.port == 5001
    await end(supervisor, running)


async def test_a_release_with_too_many_dynos_takes_no_port_of_a_later_one(
    supervise, source, told, monkeypatch
):
    monkeypatch.setattr("hsup.launch._HIGHEST_PORT", 5001)
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, web=1, worker=2)
    await told.until(lambda one: one.of(RejectedEvent))
    assert "no port is left for a dyno" in str(told.of(RejectedEvent)[0].error)
    source.release(version=3, web=1, clock=1)
    await told.state("clock.1", "up")
    await end(supervisor, running)
