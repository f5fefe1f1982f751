"""A dyno's reaction to the messages of its processes, which the test sends; without root."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any, NamedTuple, cast

import pytest

from hsup.api import Measurement
from hsup.errors import DynoStartError
from hsup.model import Address, Command, DynoName, ExitStatus, Release
from hsup.sizes import named
from hsup.testing import dyno_spec
from hsup_driver_libcontainer import lookout
from hsup_driver_libcontainer.allocation import Allocation
from hsup_driver_libcontainer.cgroups.cgroups import Group
from hsup_driver_libcontainer.child import protocol
from hsup_driver_libcontainer.child.protocol import (
    Built,
    Channels,
    Exited,
    Failed,
    Launch,
    Signal,
    Watch,
)
from hsup_driver_libcontainer.dyno import ContainerDyno
from hsup_driver_libcontainer.network.subnets import Subnet

SPEC = dyno_spec(Release(app="app", version=1), DynoName("web", 1), Command(("true",)), port=5000)
KILLED = ExitStatus(signal=signal.SIGKILL)


class Memory(NamedTuple):
    """The cgroups of a dyno, as far as a dyno uses them."""

    kills: int = 0

    def out_of_memory_kills(self) -> int:
        return self.kills

    def measured(self) -> Measurement:
        return Measurement(memory_rss=7)


class Processes:
    """A dyno and the processes' ends of its channels; the first process sleeps."""

    def __init__(self, opened: ExitStack, kills: int = 0) -> None:
        (first, self.first), (setup, self.builder) = protocol.pair(), protocol.pair()
        for one in (first, self.first, setup, self.builder):
            opened.enter_context(one)
        self.process = opened.enter_context(subprocess.Popen(["sleep", "600"]))
        opened.callback(self.process.kill)
        self.memory_event = os.eventfd(0)
        self.is_stuck_for: list[float] = []
        self.released: list[Allocation] = []
        self.executed: list[Any] = []
        held = f"socket:[{os.fstat(self.first.fileno()).st_ino}]"
        allocation = Allocation(
            3000,
            "host",
            named("standard-1x"),
            Subnet(0x2B0000_00 >> 2),
            cast(Group, Memory(kills)),
            (),
        )
        self.dyno = ContainerDyno(
            allocation,
            Channels(first, setup, held),
            self.executed.append,
            self._release,
            self._end_stuck,
            memory_event=self.memory_event,
        )

    def watch(self) -> None:
        pidfd = os.pidfd_open(self.process.pid)
        protocol.send(self.builder, Watch(), [pidfd])
        os.close(pidfd)

    def build(self) -> None:
        """Play the builder until it has become the program."""
        protocol.send(self.builder, Built(has_copied_owner=True))
        self.builder.close()

    def exit(self, status: int, *, is_last: bool = True) -> None:
        protocol.send(self.first, Exited(status, is_last))
        if is_last:
            self.process.kill()

    def _end_stuck(self, seconds: float) -> None:
        self.is_stuck_for.append(seconds)
        if seconds == math.inf:
            self.builder.close()

    async def _release(self, allocation: Allocation) -> None:
        self.released.append(allocation)


@asynccontextmanager
async def begun(**given: Any) -> AsyncIterator[Processes]:
    with ExitStack() as opened:
        async with asyncio.timeout(60):
            one = Processes(opened, **given)
            yield one
            one.process.kill()
            await one.dyno.destroy()


def run(check: Callable[[Processes], Awaitable[None]], **given: Any) -> None:
    async def checked() -> None:
        async with begun(**given) as one:
            await check(one)

    asyncio.run(checked())


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def test_a_dyno_is_started_ends_and_gives_back_what_it_had() -> None:
    async def check(one: Processes) -> None:
        assert one.dyno.address is None
        one.dyno.launch(SPEC, [])
        assert one.dyno.address == Address(one.dyno.allocation.subnet.dyno, 5000)
        assert protocol.receive(one.builder).message == Launch()
        one.watch()
        one.build()
        assert await one.dyno.started() == Built(has_copied_owner=True)
        one.exit(3 << 8)
        assert await one.dyno.wait() == ExitStatus(code=3)
        assert not await one.dyno.destroy(60.0)
        assert await one.dyno.destroy() is False
        assert len(one.released) == 1

    run(check)


def test_a_dyno_that_lives_on_after_its_grace_is_killed() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        await one.dyno.started()
        await one.dyno.signal(signal.SIGTERM)
        assert protocol.receive(one.first).message == Signal(signal.SIGTERM)
        assert await one.dyno.destroy(0.01)
        assert await one.dyno.wait() == KILLED

    run(check)


def test_a_dyno_whose_first_process_alone_is_left_needs_no_kill() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        protocol.send(one.first, Exited(0, is_last=True))
        await one.dyno.wait()
        assert not await one.dyno.destroy()

    run(check)


def test_what_the_program_leaves_running_is_killed() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        one.exit(0, is_last=False)
        assert await one.dyno.wait() == ExitStatus()
        assert await one.dyno.destroy()

    run(check)


@pytest.mark.parametrize("is_seen_first", [True, False])
def test_why_it_cannot_be_started_is_told(is_seen_first: bool) -> None:
    async def check(one: Processes) -> None:
        if is_seen_first:
            one.watch()
            await asyncio.sleep(0)
        one.dyno.launch(SPEC, [])
        if not is_seen_first:
            one.watch()
        protocol.send(one.builder, Failed("no such file"))
        one.builder.close()
        one.exit(1 << 8)
        with pytest.raises(DynoStartError, match="cannot start the dyno: no such file"):
            await one.dyno.started()
        assert await one.dyno.wait() == ExitStatus(code=1)

    run(check)


@pytest.mark.parametrize("is_seen", [True, False])
def test_one_that_is_killed_while_it_starts_says_so(is_seen: bool) -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        if is_seen:
            one.watch()
        one.builder.close()
        with pytest.raises(DynoStartError, match="the dyno was killed while it was starting"):
            await one.dyno.started()
        assert one.dyno.gone.done() != is_seen

    run(check)


def test_one_whose_builder_was_killed_after_it_was_built_counts_as_started_and_killed() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        protocol.send(one.builder, Built(has_copied_owner=False))
        one.exit(signal.SIGKILL)  # somebody else still has the other end of its channel
        assert await one.dyno.started() == Built(has_copied_owner=False)
        assert await one.dyno.wait() == KILLED

    run(check)


def test_a_dyno_of_which_too_many_open_files_keep_hsup_from_hearing_is_none(
    descriptors_left: Callable[[int], AbstractContextManager[None]],
) -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        with descriptors_left(1):
            one.watch()
            expected = "cannot set up the dyno: Too many open"
            told = pytest.raises(DynoStartError, match=expected)
            with descriptors_left(0), told:
                await one.dyno.started()
        await one.dyno.gone
        assert protocol.receive(one.first) is None

    run(check)


def test_one_that_is_ready_can_be_launched_until_it_has_ended() -> None:
    async def check(one: Processes) -> None:
        assert not one.dyno.has_ended()
        one.watch()
        assert not one.dyno.has_ended()
        assert not one.dyno.is_launched
        one.process.kill()
        one.process.wait()
        assert one.dyno.has_ended()

    run(check)


def test_one_that_is_ready_cannot_be_launched_when_its_builder_has_ended() -> None:
    async def check(one: Processes) -> None:
        one.watch()
        one.builder.close()
        assert one.dyno.has_ended()
        assert not one.dyno.gone.done()

    run(check)


def test_one_is_measured_by_its_cgroups_until_it_has_ended() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        assert await one.dyno.measure() == Measurement(memory_rss=7)
        one.exit(0)
        await one.dyno.gone
        assert await one.dyno.measure() is None

    run(check)


def test_memory_that_ran_out_ends_all_processes_and_is_told() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        await one.dyno.started()
        os.eventfd_write(one.memory_event, 1)
        told = await asyncio.to_thread(protocol.receive, one.first)
        assert told.message == Signal(signal.SIGKILL)
        one.exit(signal.SIGKILL)
        assert await one.dyno.wait() == KILLED._replace(out_of_memory=True)

    run(check)


def test_memory_that_ran_out_is_told_where_the_kernel_has_ended_all() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        one.exit(signal.SIGKILL)
        assert await one.dyno.wait() == KILLED._replace(out_of_memory=True)

    run(check, kills=1)


def test_a_first_process_that_is_stopped_while_the_dyno_starts_costs_it_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "_LOOK_SECONDS", 0.05)

    async def check(one: Processes) -> None:
        os.kill(one.process.pid, signal.SIGSTOP)
        one.dyno.launch(SPEC, [])
        one.watch()
        with pytest.raises(DynoStartError, match=r"one of its processes was stopped for 0.05 s"):
            await one.dyno.started()
        assert await asyncio.to_thread(one.process.wait) == -signal.SIGKILL
        assert one.is_stuck_for == []

    run(check)


def test_a_zygote_that_does_not_get_on_is_told_of_until_the_first_process_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "_LOOK_SECONDS", 0.05)

    async def check(one: Processes) -> None:
        await until(lambda: len(one.is_stuck_for) >= 2)
        assert one.is_stuck_for[:2] == [0.05, 0.1]
        one.dyno.launch(SPEC, [])  # counts anew
        before = len(one.is_stuck_for)
        await until(lambda: len(one.is_stuck_for) > before)
        assert one.is_stuck_for[before] == 0.05
        one.watch()
        one.build()
        await one.dyno.started()
        before = len(one.is_stuck_for)
        await asyncio.sleep(0.2)
        assert len(one.is_stuck_for) == before

    run(check)


def test_nobody_looks_at_a_dyno_that_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_LOOK_SECONDS", 0.05)

    async def check(one: Processes) -> None:
        one.watch()
        await asyncio.sleep(0.01)
        before = len(one.is_stuck_for)
        os.kill(one.process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.2)
        assert len(one.is_stuck_for) == before
        assert not one.dyno.has_ended()

    run(check)


def test_a_command_is_started_in_a_dyno_that_runs_and_ends_with_it() -> None:
    async def check(one: Processes) -> None:
        one.dyno.launch(SPEC, [])
        one.watch()
        one.build()
        await one.dyno.started()
        execution = await one.dyno.execute(Command(("true",)), (0, 1, 2))
        ((_, pidfd, _, *streams),) = one.executed
        assert os.readlink(f"/proc/self/fd/{pidfd}") == "anon_inode:[pidfd]"
        assert streams == [0, 1, 2]
        # Its other end was lent, and nobody has taken it.
        assert await execution.wait() == KILLED
        one.exit(0)
        await one.dyno.gone
        with pytest.raises(DynoStartError, match="the dyno has ended"):
            await one.dyno.execute(Command(("true",)), (0, 1, 2))

    run(check)


@pytest.mark.parametrize("is_closed", [True, False], ids=["loop closed", "loop runs"])
@pytest.mark.parametrize("is_launched", [True, False])
def test_a_dyno_that_is_abandoned_ends(is_launched: bool, is_closed: bool) -> None:
    with ExitStack() as opened:

        async def begin() -> Processes:
            one = Processes(opened)
            one.watch()
            if is_launched:
                one.dyno.launch(SPEC, [])
                one.build()
                await one.dyno.started()
            if not is_closed:
                one.dyno.abandon()
            return one

        one = asyncio.run(begin())
        if is_closed:
            one.dyno.abandon()
        assert one.process.wait(60) == -signal.SIGKILL
        assert protocol.receive(one.first) is None
        assert one.is_stuck_for == []


def test_one_that_is_abandoned_before_anybody_has_seen_it_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookout, "_LOOK_SECONDS", 0.05)

    async def abandon() -> None:
        with ExitStack() as opened:
            one = Processes(opened)
            one.dyno.abandon()
            assert one.is_stuck_for == [math.inf]
            assert protocol.receive(one.first) is None

    asyncio.run(abandon())
