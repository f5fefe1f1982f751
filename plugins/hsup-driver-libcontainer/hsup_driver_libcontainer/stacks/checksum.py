"""Verify the checksum of a file."""

from __future__ import annotations

import hashlib

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import shown


def verify(path: str, url: str, checksum: str) -> None:
    """Raise DriverError if a file does not have the checksum."""
    algorithm, _, expected = checksum.partition(":")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    if digest.hexdigest() != expected:
        raise DriverError(
            f"{shown(url)} has the checksum {algorithm}:{digest.hexdigest()}, not {checksum}",
            hint="try again, or change the checksum if the new content is intended",
        )
