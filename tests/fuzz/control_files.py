"""Feed any bytes as a control file that somebody has put into a control directory as `new`."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hsup.model import Fault
from tests.fuzz.harness import fuzz, instrumented

with instrumented("hsup_source_directory", "hsup.validation"):
    from hsup_source_directory.running import control_file
    from hsup_source_directory.source import DirectorySource

from hsup.errors import SourceError
from hsup.model import Release

GOOD = {
    "Version": 7,
    "Name": "shop",
    "Env": {"A": "1", "B": "two\nlines"},
    "Slug": "slug.tgz",
    "SlugChecksum": "SHA256:" + "0" * 64,
    "Stack": "heroku-24",
    "LogplexURL": "https://logs.example",
    "Processes": [
        {"Type": "web", "Quantity": 2, "Size": "standard-2x", "Args": ["./web", "a b"]},
        {"Type": "worker", "Quantity": 0, "Args": ["./worker | tee log"]},
    ],
}
IMAGE = {"Slug": "docker://nginx", "Processes": [{"Type": "web", "Quantity": 1, "Args": []}]}
SEEDS = [
    json.dumps(GOOD, indent=4).encode(),
    b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    json.dumps(IMAGE).encode(),
    b'{"version": 1, "Version": 2, "Versoin": 3, "Env": {"A": "1", "A": "\\ud800", "=": 5}}',
    b'{"Version": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b"",
]
#: Of one fault, however long what is wrong is.
LONGEST_FAULT = 1000


def execute(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        Path(directory, "new").write_bytes(data)
        fetched = DirectorySource(Path(directory)).fetch()
        if fetched.rejected is None:
            assert fetched.release is not None
            require_kept(Path(directory), fetched.release)
        else:
            assert fetched.release is None
            require_rejected(Path(directory), data, fetched.rejected.faults)
        for line in (*fetched.warnings, str(fetched.rejected)):
            assert line.encode().isascii() or line.isprintable(), repr(line)
            assert len(line) < LONGEST_FAULT, line


def require_kept(directory: Path, release: Release) -> None:
    """Have the release again, from what is on the disk, and from what would be kept of it."""
    assert [path.name for path in directory.iterdir()] == ["loaded"]
    source = DirectorySource(directory)
    assert source.fetch().release == release
    source.keep(release)
    assert source.kept() == release, control_file(release)


def require_rejected(directory: Path, data: bytes, faults: Sequence[Fault]) -> None:
    assert faults
    assert (directory / "rejected").read_bytes() == data
    assert (directory / "last_error").read_text(errors="strict")
    with contextlib.suppress(SourceError):
        assert DirectorySource(directory).fetch().release is None


if __name__ == "__main__":
    fuzz(execute, seeds=SEEDS)
