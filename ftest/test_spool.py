"""What a log drain with a spool on disk loses: nothing that fits, whatever ends hsup."""

from __future__ import annotations

import signal
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ftest.program import Hsup, Running, eventually

pytestmark = pytest.mark.simple_only("what hsup keeps on disk is the same with every driver")

#: A kind of drain that sends the lines of dynos over TCP, and waits for an answer to each block.
PLUGIN = """
import asyncio

from hsup import hookimpl
from hsup.errors import DrainError, DrainUnreachable
from hsup.log_drain import DrainLimits


class Drain:
    limits = DrainLimits(wait_seconds=0.05, lanes=2)

    def __init__(self, destination):
        self.place = destination.url.host, destination.url.port

    async def deliver(self, block):
        lines = b"".join(one.lines for one in block.batches if one.source == "app")
        try:
            reader, writer = await asyncio.open_connection(*self.place)
        except OSError as error:
            raise DrainUnreachable(f"cannot connect: {error.strerror}") from error
        try:
            writer.write(len(lines).to_bytes(4, "big") + lines)
            if await reader.read(1) != b"+":
                raise DrainError("no answer")
        finally:
            writer.close()

    async def close(self):
        pass


@hookimpl
def hsup_register_log_drains():
    return {"ftest": Drain}
"""


class Receiver(socketserver.ThreadingTCPServer):
    """Takes blocks at a port that stays the same while it is away."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, received: list[bytes], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.received = received
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(socketserver.StreamRequestHandler):
    server: Receiver

    def handle(self) -> None:
        size = int.from_bytes(self.rfile.read(4), "big")
        lines = self.rfile.read(size)
        if len(lines) == size:
            self.server.received.append(lines)
            self.wfile.write(b"+")


class Destination:
    """A receiver that comes and goes."""

    def __init__(self, hsup: Hsup, spool: Path) -> None:
        self.hsup = hsup
        self.spool = spool
        self.blocks: list[bytes] = []
        self.receiver: Receiver | None = Receiver(self.blocks)
        self.port = self.receiver.server_address[1]

    def leave(self) -> None:
        if self.receiver is not None:
            self.receiver.close()
            self.receiver = None

    def come_back(self) -> None:
        self.receiver = Receiver(self.blocks, self.port)

    def url(self, more: str = "") -> str:
        return f"ftest://user:s3cret@127.0.0.1:{self.port}/?spool={self.spool}{more}"

    def start(self, *words: str) -> Running:
        return self.hsup.start("--drain", self.url(), *words)

    def numbers(self) -> Counter[int]:
        lines = b"".join(list(self.blocks)).splitlines()
        return Counter(int(one) for one in lines if one.isdigit())

    def has(self, line: bytes) -> bool:
        return eventually(lambda: any(line + b"\n" in one for one in list(self.blocks)))

    def kept_bytes(self) -> int:
        kept = 0
        for one in self.spool.rglob("*.spool"):
            with suppress(FileNotFoundError):  # it was given another name just then
                kept += one.stat().st_size
        return kept


@pytest.fixture
def destination(hsup: Hsup, install: Callable[..., None], tmp_path: Path) -> Iterator[Destination]:
    install("hsup-drain-ftest", PLUGIN)
    made = Destination(hsup, tmp_path / "spool")
    yield made
    made.leave()


def writes(first: int, last: int, then: str) -> str:
    """Return a command that writes numbers, and something else a moment after all were read."""
    return f"seq {first} {last}; sleep 0.3; echo {then}; exec sleep"


def killed(running: Running) -> None:
    running.send(signal.SIGKILL)
    running.ended()


def test_hsup_is_killed_twice_while_the_receiver_is_away_and_all_lines_arrive_once(
    hsup: Hsup, destination: Destination
) -> None:
    destination.leave()
    for first in (1, 20_001):
        hsup.procfile(one=f"{writes(first, first + 19_999, 'written')} {hsup.token}")
        running = destination.start()
        running.wait_for(r"app\[one\.1\]: written$")
        running.wait_for(r"drain ftest://127\.0\.0\.1:\d+: cannot connect: ")
        killed(running)
    destination.come_back()
    hsup.procfile(one=f"echo finally; exec {hsup.sleep}")
    running = destination.start()
    assert destination.has(b"finally")
    assert running.stop() == 0
    assert destination.numbers() == Counter(range(1, 40_001))
    assert list(destination.spool.iterdir()) == []


def test_hsup_is_killed_while_it_delivers_and_few_lines_arrive_twice(
    hsup: Hsup, destination: Destination
) -> None:
    hsup.procfile(one=f"seq 1 50000; sleep 0.3; seq 50001 10000000; exec {hsup.sleep}")
    running = destination.start()
    assert destination.has(b"60000")
    killed(running)
    hsup.procfile(one=f"echo finally; exec {hsup.sleep}")
    running = destination.start()
    assert destination.has(b"finally")
    assert running.stop() == 0
    numbers = destination.numbers()
    last = max(numbers)
    assert set(numbers) == set(range(1, last + 1))
    twice = sum(len(str(one)) + 1 for one, count in numbers.items() if count > 1)
    assert twice <= 4 << 20
    assert max(numbers.values()) <= 2


def test_sigterm_ends_hsup_at_once_though_much_is_kept_and_the_next_delivers_it(
    hsup: Hsup, destination: Destination
) -> None:
    destination.leave()
    hsup.procfile(
        many=f"head -c 50000000 /dev/zero | tr '\\0' x | fold -w 999; exec {hsup.sleep}",
        other=hsup.born,
    )
    running = destination.start("--only", "other", "--grace", "3000")
    assert eventually(lambda: destination.kept_bytes() >= 50_000_000)
    running.wait_for("cannot connect: ")
    assert running.stop() == 0
    said = rf"^hsup: drain ftest://127\.0\.0\.1:{destination.port}: (\d+) lines are kept in "
    (line,) = running.wait_for(said + rf"{destination.spool} for the next start$")
    assert int(line.split()[3]) > 50_000
    assert "not delivered" not in running.err
    assert "s3cret" not in running.said
    destination.come_back()
    hsup.procfile(many=f"echo finally; exec {hsup.sleep}")
    running = destination.start()
    assert destination.has(b"finally")
    assert running.stop() == 0
    assert b"".join(destination.blocks).count(b"x") == 50_000_000


def test_a_damaged_spool_is_put_aside_with_a_message_and_the_rest_arrives(
    hsup: Hsup, destination: Destination
) -> None:
    destination.leave()
    hsup.procfile(one=f"{writes(1, 1000, 'written')} {hsup.token}")
    running = destination.start()
    running.wait_for(r"app\[one\.1\]: written$")
    killed(running)
    (path,) = destination.spool.rglob("*.spool")
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" * 8 + content[208:])
    destination.come_back()
    hsup.procfile(one=f"echo finally; exec {hsup.sleep}")
    running = destination.start()
    running.wait_for(r"lost: a file of its spool is damaged, and put aside as \S+\.damaged$")
    assert destination.has(b"finally")
    running.stop()
    assert "Traceback" not in running.said
    (damaged,) = destination.spool.rglob("*.damaged")
    assert damaged.read_bytes()[200:208] == b"\xff" * 8


def test_a_spool_that_cannot_be_made_is_bad_usage(hsup: Hsup, destination: Destination) -> None:
    destination.spool.write_text("a file")
    done = hsup.call("start", "--drain", destination.url())
    assert done.status == 2
    assert f'parameter "spool": cannot use the directory "{destination.spool}"' in done.message
    assert "s3cret" not in done.message
