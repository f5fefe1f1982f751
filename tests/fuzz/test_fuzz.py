"""Run every fuzz target of this directory for FUZZ_SECONDS, and say how often it was executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent
ROOT = DIRECTORY.parents[1]
OUTPUT = ROOT / "build/fuzz"
TARGETS = sorted({path.stem for path in DIRECTORY.glob("*.py")} - {"harness", "test_fuzz"})
DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_is_too_much(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("atheris", reason="atheris, which mutates the input, is not installed")
    program = f"tests.fuzz.{target}"
    log = OUTPUT / target / "log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if os.environ.get("FUZZ_SECONDS"):
        say(capsys, f"{target}: for {os.environ['FUZZ_SECONDS']} s, see {log}")
    with log.open("wb") as output:
        command = [sys.executable, "-m", program]
        ended = subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, check=False, cwd=ROOT
        )
    told = log.read_text(errors="replace")
    done = DONE.search(told)
    hint = f"repeat it with: {sys.executable} -m {program} INPUT, the file that is named above"
    assert not ended.returncode, f"{told[-4000:]}\n{hint}"
    assert done, told[-4000:]
    say(capsys, f"{target}: {done[1]} executions in {done[2]} s")


def say(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\nfuzz: {text}", flush=True)
