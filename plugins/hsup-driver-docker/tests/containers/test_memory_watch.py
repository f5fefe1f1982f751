"""The events of an engine, which the test plays, about memory that was used up."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from hsup_driver_docker.containers.memory_watch import MemoryWatch
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection
from hsup_driver_docker.engine.endpoint import find

LABEL = "hsup.owner"


class Request(NamedTuple):
    """A request for events; what is sent to `writer` is the stream."""

    target: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def filters(self) -> Any:
        return json.loads(parse_qs(urlsplit(self.target).query)["filters"][0])


class PlayedEngine:
    """Answers each request for events with a stream that begins with `first`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self.first = b""
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self._connected: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        engine = Engine(Connection(find({"DOCKER_HOST": f"unix://{path}"})))
        self.watch = MemoryWatch(engine, LABEL, self.told.put_nowait)

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._answer, self._path)

    async def end(self) -> None:
        self.watch.close()
        for one in self._connected:
            one.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected.append(writer)
        header = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + self.first)
        self.requests.put_nowait(Request(header.split()[1].decode(), reader, writer))


def run(tmp_path: Path, check: Callable[[PlayedEngine], Awaitable[None]]) -> None:
    async def checked() -> None:
        played = PlayedEngine(tmp_path / "socket")
        try:
            async with asyncio.timeout(60):
                await check(played)
        finally:
            await played.end()

    asyncio.run(checked())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine asked again at once."""
    monkeypatch.setattr("hsup_driver_docker.containers.memory_watch._RETRY_SECONDS", 0.001)


def event(container: str) -> bytes:
    attributes = {"name": "hsup-shop-web.1"}
    return json.dumps(
        {"Action": "oom", "Actor": {"ID": container, "Attributes": attributes}}
    ).encode()


def test_whoever_uses_up_its_memory_is_told_among_the_containers_of_hsups(tmp_path: Path) -> None:
    async def check(played: PlayedEngine) -> None:
        await played.start()
        await played.watch.begin()
        request = await played.requests.get()
        assert request.filters == {"type": ["container"], "event": ["oom"], "label": [LABEL]}
        request.writer.write(event("c1") + b"\n")
        assert await played.told.get() == "c1"
        request.writer.write(event("c2") + b"\n" + event("c3") + b"\n")
        assert [await played.told.get(), await played.told.get()] == ["c2", "c3"]

    run(tmp_path, check)


def test_an_event_may_come_in_pieces_the_first_one_with_the_header(tmp_path: Path) -> None:
    async def check(played: PlayedEngine) -> None:
        line = event("c2") + b"\n"
        played.first = event("c1") + b"\n" + line[:10]
        await played.start()
        await played.watch.begin()
        request = await played.requests.get()
        assert await played.told.get() == "c1"
        for byte in line[10:]:
            request.writer.write(bytes([byte]))
            await request.writer.drain()
        assert await played.told.get() == "c2"

    run(tmp_path, check)


def test_to_begin_twice_asks_once(tmp_path: Path) -> None:
    async def check(played: PlayedEngine) -> None:
        await played.start()
        await asyncio.gather(played.watch.begin(), played.watch.begin())
        await played.watch.begin()
        request = await played.requests.get()
        request.writer.write(event("c1") + b"\n")
        assert await played.told.get() == "c1"
        assert played.requests.empty()

    run(tmp_path, check)


def test_an_engine_that_is_away_keeps_nobody_from_starting_and_is_asked_again(
    tmp_path: Path,
) -> None:
    async def check(played: PlayedEngine) -> None:
        await played.watch.begin()
        await played.start()
        request = await played.requests.get()
        request.writer.write(event("c1") + b"\n")
        assert await played.told.get() == "c1"

    run(tmp_path, check)


@pytest.mark.parametrize("rest", [b"", b'{"Action": "oo'], ids=["whole", "cut off"])
def test_an_engine_that_is_restarted_is_asked_again(tmp_path: Path, rest: bytes) -> None:
    async def check(played: PlayedEngine) -> None:
        await played.start()
        await played.watch.begin()
        before = await played.requests.get()
        before.writer.write(rest)
        before.writer.close()
        request = await played.requests.get()
        request.writer.write(event("c1") + b"\n")
        assert await played.told.get() == "c1"

    run(tmp_path, check)


def test_to_close_ends_the_stream(tmp_path: Path) -> None:
    async def check(played: PlayedEngine) -> None:
        played.watch.close()
        await played.start()
        await played.watch.begin()
        request = await played.requests.get()
        played.watch.close()
        assert await request.reader.read() == b""

    run(tmp_path, check)


def test_one_whose_loop_has_ended_can_be_closed(tmp_path: Path) -> None:
    kept: list[PlayedEngine] = []

    async def check(played: PlayedEngine) -> None:
        kept.append(played)
        await played.watch.begin()

    run(tmp_path, check)
    kept[0].watch.close()
    assert os.listdir(tmp_path) == []
