"""The kind of log drain that "Writing a plugin" shows delivers lines."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from hsup.api import Settings
from hsup.drains.destinations import Destinations, wanted
from hsup.output.backlog import Backlog
from hsup.testing import make_batch

PAGE = Path(__file__).parents[2] / "plugins/README.md"


def shown() -> dict[str, Any]:
    """Return the names of the code in the section."""
    section = PAGE.read_text().partition("## A kind of log drain\n")[2]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(block[1], names)
    return names


async def test_the_drain_of_the_page_delivers_lines() -> None:
    received = bytearray()
    ended = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read())
        writer.close()
        ended.set()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    kinds = shown()["hsup_register_log_drains"]()
    backlog = Backlog()
    destinations = Destinations(
        [wanted(f"lines://127.0.0.1:{port}")],
        backlog=backlog,
        settings=Settings(directory="/", environ={}),
        create=lambda kind, destination: kinds[kind](destination),
        say=lambda text, _: fail(text),
    )
    backlog.append(make_batch(b"one\ntwo\n"))
    assert await destinations.finish(30.0) == []
    await ended.wait()
    server.close()
    assert received == b"one\ntwo\n"


def fail(text: str) -> None:
    raise AssertionError(text)
