"""Run a fuzz target: mutate its seeds, guided by what of the code each input reaches.

A target is a module of this directory:

    from tests.fuzz.harness import fuzz, instrumented

    with instrumented("hsup.archives", "hsup.slugs"):
        from hsup.archives.stream import Stream
        from hsup.archives.tar import members

    def execute(data): ...          # raises what is a fault; returns for all else

    if __name__ == "__main__":
        fuzz(execute, seeds=[b"…"])

What it takes is told by `python -m tests.fuzz.TARGET --help`; `pytest tests/fuzz` runs all.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import atheris

OUTPUT = Path(__file__).resolve().parents[2] / "build/fuzz"
#: For one input, also beside other load; a reader that advances needs milliseconds.
INPUT_SECONDS = 30
MEMORY_MIB = 1024
#: Of more than this nothing is even asked for, also for a moment.
ADDRESS_SPACE = 4 << 30


def instrumented(*packages: str) -> AbstractContextManager[object]:
    """Return the context in which a target imports what it tests."""
    return atheris.instrument_imports(include=list(packages))


def fuzz(
    execute: Callable[[bytes], object],
    seeds: Iterable[bytes],
    max_bytes: int = 1 << 16,
    rate: int = 1000,
) -> None:
    """Call `execute` with input after input, and end the process.

    The seeds, of which it takes at least `rate` a second, do not count as time spent on mutating
    them.

    It ends with another status than 0 where `execute` raises, takes too long or
    too much memory; the input is saved beside the corpus.
    """
    directory = OUTPUT / Path(sys.argv[0]).stem
    arguments = _arguments(directory)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    options = [
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-max_len={max_bytes}",
        f"-artifact_prefix={directory}/",
    ]
    if arguments.inputs:
        inputs = arguments.inputs
    else:
        corpus = _sow(directory / "corpus", seeds)
        sowing_seconds = len(os.listdir(corpus)) // rate
        options.append(f"-max_total_time={arguments.seconds + sowing_seconds}")
        inputs = [corpus]
    atheris.Setup([sys.argv[0], *options, *map(str, inputs)], execute)
    atheris.Fuzz()


def _arguments(directory: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"What was learned and what failed: {directory}")
    seconds = int(os.environ.get("FUZZ_SECONDS") or 5)
    parser.add_argument("--seconds", type=int, default=seconds, help="default: FUZZ_SECONDS, or 5")
    parser.add_argument("inputs", nargs="*", type=Path, help="files to run once each instead")
    return parser.parse_args()


def _sow(corpus: Path, seeds: Iterable[bytes]) -> Path:
    """Put the seeds to what earlier runs have found."""
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    return corpus
