"""Drains leave the event loop to others while they work."""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path

import pytest

from hsup.testing import make_batch
from hsup_log_drain.otlp.messages import encode
from hsup_log_drain.otlp.numbering import Numbering
from hsup_log_drain.testing import Authority
from hsup_log_drain.tls import TLS

from .blocks import in_loop, with_turns


@in_loop
async def test_other_tasks_run_while_otlp_encodes_many_batches() -> None:
    batches = [make_batch(b"x\n", dyno=f"web.{number}") for number in range(1024)]
    encoding = encode(batches, lambda batch: {"dyno": batch.dyno}, Numbering())
    message, turns = await with_turns(encoding)
    assert message.record_count == 1024
    assert turns == 7


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Return the threads in which authorities are loaded."""
    load, seen = ssl.create_default_context, set()

    def create(*, cafile: str | None = None) -> ssl.SSLContext:
        seen.add(threading.get_ident())
        return load(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", create)
    return seen


@in_loop
async def test_authorities_are_loaded_in_another_thread(threads: set[int], tmp_path: Path) -> None:
    of_system = TLS({})
    await of_system.context()
    assert threading.get_ident() not in threads
    authority = Authority(tmp_path)
    own = TLS({"ca": str(authority.certificate)})
    threads.clear()  # that one had to say whether its file is bad
    first = await own.context()
    os.utime(authority.certificate, (0, 0))
    assert await own.context() is not first
    assert threads
    assert threading.get_ident() not in threads
