"""Commands in a dyno: what their processes tell, which the test sends; without root."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack

import pytest

from hsup.errors import DriverError, DynoStartError
from hsup.model import ExitStatus
from hsup_driver_libcontainer.child import plan, protocol
from hsup_driver_libcontainer.child.plan import Program
from hsup_driver_libcontainer.child.protocol import Exited, Failed, Signal
from hsup_driver_libcontainer.executions import Execution, Executions

COMMAND = Program(("sh", "-c", "true"), {"NAME": "value"}, None)
KILLED = ExitStatus(signal=signal.SIGKILL)
FIRST_PROCESS, STREAMS = 0, (0, 1, 2)


class Zygote:
    """Takes what is lent to it for a command, and keeps the other end of the channel."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self.parents: list[socket.socket] = []
        self.commands: list[Program] = []
        self.rest: list[Sequence[int]] = []
        self.executions = Executions(self.take)

    def take(self, descriptors: Sequence[int]) -> None:
        channel, pidfd, file, *streams = descriptors
        self.parents.append(self._opened.enter_context(socket.socket(fileno=os.dup(channel))))
        self.commands.append(plan.read_program(file))
        self.rest.append((pidfd, *streams))

    def begin(self) -> Execution:
        return self.executions.begin(COMMAND, FIRST_PROCESS, STREAMS)


def run(check: Callable[[Zygote], Awaitable[None]]) -> None:
    async def checked() -> None:
        with ExitStack() as opened:
            async with asyncio.timeout(60):
                await check(Zygote(opened))

    before = os.listdir("/proc/self/fd")
    asyncio.run(checked())
    assert os.listdir("/proc/self/fd") == before


def test_the_zygote_is_given_the_command_its_streams_and_the_first_process() -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        assert zygote.commands == [COMMAND]
        assert zygote.rest == [(FIRST_PROCESS, *STREAMS)]
        execution.close()

    run(check)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, ExitStatus()),
        (3 << 8, ExitStatus(code=3)),
        (signal.SIGTERM, ExitStatus(signal=signal.SIGTERM)),
    ],
    ids=str,
)
def test_a_command_ends_with_its_status_and_everybody_is_told(
    status: int, expected: ExitStatus
) -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        waiting = [asyncio.create_task(execution.wait()) for _ in range(2)]
        protocol.send(zygote.parents[0], Exited(status, is_last=True))
        assert await asyncio.gather(*waiting) == [expected] * 2
        zygote.executions.close()
        assert await execution.wait() == expected

    run(check)


def test_a_command_that_cannot_be_executed_is_an_error_that_says_why() -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        protocol.send(zygote.parents[0], Failed("no such file"))
        protocol.send(zygote.parents[0], Exited(127 << 8, is_last=True))
        with pytest.raises(DynoStartError, match="no such file"):
            await execution.wait()
        zygote.executions.close()

    run(check)


def test_a_command_whose_parent_is_gone_was_killed() -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        zygote.parents[0].close()
        assert await execution.wait() == KILLED

    run(check)


def test_a_command_is_signalled_until_its_parent_is_gone() -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        await execution.signal(signal.SIGINT)
        received = protocol.receive(zygote.parents[0])
        assert received is not None
        assert received.message == Signal(signal.SIGINT)
        zygote.parents[0].close()
        await execution.signal(signal.SIGINT)
        assert await execution.wait() == KILLED
        await execution.signal(signal.SIGINT)

    run(check)


def test_whoever_stops_waiting_leaves_the_status_to_the_others() -> None:
    async def check(zygote: Zygote) -> None:
        execution = zygote.begin()
        impatient = asyncio.create_task(execution.wait())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        protocol.send(zygote.parents[0], Exited(0, is_last=True))
        assert await execution.wait() == ExitStatus()
        zygote.executions.close()

    run(check)


def test_to_close_ends_the_wait_for_all_commands_that_run() -> None:
    async def check(zygote: Zygote) -> None:
        one, other, ended = (zygote.begin() for _ in range(3))
        protocol.send(zygote.parents[2], Exited(0, is_last=True))
        assert await ended.wait() == ExitStatus()
        zygote.executions.close()
        assert [await each.wait() for each in (one, other, ended)] == [KILLED, KILLED, ExitStatus()]
        assert [protocol.receive(parent) for parent in zygote.parents] == [None] * 3

    run(check)


def test_commands_can_be_closed_when_the_loop_is() -> None:
    with ExitStack() as opened:
        zygote = Zygote(opened)

        async def begin() -> None:
            zygote.begin()

        asyncio.run(begin())
        zygote.executions.close()
        assert protocol.receive(zygote.parents[0]) is None


def test_a_command_that_cannot_be_started_leaves_nothing_open() -> None:
    async def check(zygote: Zygote) -> None:
        def refuse(_: Sequence[int]) -> None:
            raise DriverError("the zygote is gone")

        executions = Executions(refuse)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(DriverError, match="gone"):
            executions.begin(COMMAND, FIRST_PROCESS, STREAMS)
        assert os.listdir("/proc/self/fd") == before
        assert zygote.parents == []

    run(check)
