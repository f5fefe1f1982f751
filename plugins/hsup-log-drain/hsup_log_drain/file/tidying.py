"""Compress rotated files while lines are written to others."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Collection
from contextlib import suppress
from functools import partial

from hsup.errors import TooManyProcesses
from hsup.threads import in_thread
from hsup_log_drain.file import rotation
from hsup_log_drain.file.options import DYNO, FileOptions

logger = logging.getLogger(__name__)


class Tidying:
    """Compresses one file after the other, first of all those that an earlier hsup has left."""

    def __init__(self, options: FileOptions) -> None:
        assert options.rotation is not None
        self._path = options.path
        self._packs = options.rotation.packs
        self._waiting: set[str] = set()
        self._has_looked = False
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = threading.Event()

    def begin(self, paths: Collection[str]) -> None:
        """Compress what was rotated of some log files, and do not wait for that."""
        self._waiting.update(paths)
        has_work = self._waiting or not self._has_looked
        if has_work and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Break off; the rest is done at the next start."""
        self._is_stopping.set()

    async def stopped(self) -> None:
        """Return when nothing is done any more."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        with suppress(TooManyProcesses):  # it is done after the next rotation
            if not self._has_looked:
                self._waiting |= await in_thread(self._left)
                self._has_looked = True
            while self._waiting and not self._is_stopping.is_set():
                await in_thread(partial(self._tidy, self._waiting.pop()))

    def _left(self) -> set[str]:
        """Return the log files of which an earlier hsup has not compressed everything."""
        directory, name = os.path.split(self._path)
        names = re.escape(name).replace(re.escape(DYNO), "[A-Za-z0-9_.-]+")
        try:
            bases = rotation.bases(directory, re.compile(names))
        except OSError as error:
            logger.warning('cannot list directory "%s": %s', directory, error.strerror)
            return set()
        return {os.path.join(directory, base) for base in bases}

    def _tidy(self, path: str) -> None:
        try:
            rotation.tidy(path, packs=self._packs, is_unwanted=self._is_stopping.is_set)
        except OSError as error:
            logger.warning('cannot compress rotated files of "%s": %s', path, error.strerror)
