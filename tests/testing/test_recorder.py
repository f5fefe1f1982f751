from __future__ import annotations

import asyncio
import os

import pytest

from hsup.testing import Recorder


async def test_what_is_written_is_read_while_it_comes() -> None:
    async with Recorder() as recorder:
        os.write(recorder.stdout, b"one\n")
        await recorder.until(b"one\n")
        assert recorder.so_far == b"one\n"
        os.write(recorder.stderr, b"two\n")
        recorder.close_writing_ends()
        assert await recorder.all() == (b"one\n", b"two\n")


async def test_what_a_dyno_keeps_open_is_waited_for() -> None:
    async with Recorder() as recorder:
        kept = os.dup(recorder.stdout)
        recorder.close_writing_ends()
        reading = asyncio.create_task(recorder.all())
        await asyncio.wait([reading], timeout=0.01)
        assert not reading.done()
        os.write(kept, b"last")
        os.close(kept)
        assert await reading == (b"last", b"")


async def test_an_output_that_ends_without_what_it_was_to_have_fails() -> None:
    async with Recorder() as recorder:
        os.write(recorder.stdout, b"something else")
        recorder.close_writing_ends()
        with pytest.raises(AssertionError, match=r"ended without b'ready': .*something else"):
            await recorder.until(b"ready")


async def test_no_descriptor_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")
    async with Recorder():
        pass
    assert os.listdir("/proc/self/fd") == before
