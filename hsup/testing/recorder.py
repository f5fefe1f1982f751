"""Record the output of a dyno, as hsup reads it."""

from __future__ import annotations

import asyncio
import os
from typing import Self


class Recorder:
    """Two pipes like those of `hsup.api.OutputPipes`, read while the dyno runs.

    Use it as an async context manager around `Driver.start`.
    """

    def __init__(self) -> None:
        self._reading = {}
        self._recorded = {"stdout": bytearray(), "stderr": bytearray()}
        self._reading["stdout"], self.stdout = os.pipe()
        self._reading["stderr"], self.stderr = os.pipe()
        self._ended = {stream: asyncio.Event() for stream in self._reading}

    async def __aenter__(self) -> Self:
        for stream, descriptor in self._reading.items():
            asyncio.get_running_loop().add_reader(descriptor, self._read, stream)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close_writing_ends()
        for stream, descriptor in self._reading.items():
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
            self._ended[stream].set()

    def close_writing_ends(self) -> None:
        """Close the writing ends, as hsup does when `start` has returned."""
        for descriptor in {self.stdout, self.stderr} - {-1}:
            os.close(descriptor)
        self.stdout = self.stderr = -1

    async def all(self) -> tuple[bytes, bytes]:
        """Wait until both streams have no writer, and return all of both."""
        for ended in self._ended.values():
            await ended.wait()
        return bytes(self._recorded["stdout"]), bytes(self._recorded["stderr"])

    @property
    def so_far(self) -> bytes:
        """Return the standard output so far."""
        return bytes(self._recorded["stdout"])

    async def until(self, text: bytes) -> None:
        """Wait until the standard output contains a text."""
        while text not in self._recorded["stdout"]:
            if self._ended["stdout"].is_set():
                raise AssertionError(f"the output ended without {text!r}: {self._recorded!r}")
            await asyncio.sleep(0.005)

    def _read(self, stream: str) -> None:
        data = os.read(self._reading[stream], 1 << 16)
        if data:
            self._recorded[stream] += data
        else:
            asyncio.get_running_loop().remove_reader(self._reading[stream])
            self._ended[stream].set()
