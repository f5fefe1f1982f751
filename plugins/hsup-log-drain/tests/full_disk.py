"""A program for a mount namespace of its own: write to a small disk while it is full.

usage: full_disk.py DIRECTORY HOW

It prints what is in the file at the end, as far as that is not the lines that were delivered.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from hsup.api import LogBatch, Settings
from hsup.errors import DrainError, DrainUnreachable
from hsup.log_drain import Destination, DrainURL, LogBlock
from hsup_log_drain.file.drain import FileDrain, file_drain

PAGE = 4096


def batch(lines: bytes) -> LogBatch:
    return LogBatch(0, "app", "web.1", "stdout", lines)


def numbered(first: int, count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, first + count))


def mount(directory: str, *options: str) -> None:
    subprocess.run(["mount", *options, directory], check=True)


async def main(directory: str, how: str) -> None:
    mount(directory, "-t", "tmpfs", "-o", "size=256K", "tmpfs")
    path, filler = Path(directory, "app.log"), Path(directory, "filler")
    parameters = (("format", "raw"), *((("size", "16K"), ("keep", "9")) if how == "rotate" else ()))
    url = DrainURL("file", path=str(path), parameters=parameters)
    drain = file_drain(Destination(url, "d", Settings(directory="/", environ={})))
    assert isinstance(drain, FileDrain)
    await drain.deliver(LogBlock("1", [batch(numbered(0, 700))], 700))
    if how == "read-only":
        await drain.close()  # what is open for writing keeps the disk from being remounted
        mount(directory, "-o", "remount,ro")
    else:
        fill(filler)
    block = LogBlock("2", [batch(numbered(700, 5000))], 5000)
    taken = 0
    try:
        await drain.deliver(block)
    except DrainError as error:
        taken = error.taken_lines
        print(type(error).__name__, error, taken > 0)
    try:
        await drain.deliver(block)
    except DrainUnreachable as error:
        print(type(error).__name__, error, error.taken_lines == taken)
    rest = [batch(numbered(700 + taken, 5000 - taken))]
    if how == "lost":
        rest = [batch(b"other\n")]  # hsup has given the block up
    if how == "read-only":
        mount(directory, "-o", "remount,rw")
    else:
        filler.unlink()
    await drain.deliver(LogBlock("3" if how == "lost" else "2", rest, 0))
    await drain.tidied()
    await drain.close()
    show(path, taken)


def fill(filler: Path) -> None:
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, bytes(PAGE))
    except OSError:
        os.close(descriptor)


def show(path: Path, taken: int) -> None:
    rotated = sorted(path.parent.glob("app.log.*"), key=lambda one: -int(one.name.split(".")[2]))
    read = [subprocess.check_output(["gzip", "-cdf", one]) for one in [*rotated, path]]
    content = b"".join(read)
    for known in (numbered(0, 5700), numbered(0, 700 + taken)):
        if content.startswith(known):
            print(content[len(known) :])
            return
    print(content)


asyncio.run(main(*sys.argv[1:]))
