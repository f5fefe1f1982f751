from __future__ import annotations

import contextlib
import io
import os
import pty
import re

from hsup_driver_libcontainer.stacks.progress import StepPrinter


def test_a_file_gets_the_steps_and_no_bar() -> None:
    stream = io.StringIO()
    progress = StepPrinter(stream)

    progress.say("pulling stack a")
    progress.show(1, 2)
    progress.finish()

    assert stream.getvalue() == "hsup: pulling stack a\n"


def read_all(terminal: int) -> str:
    pieces = []
    with contextlib.suppress(OSError):  # a terminal that nobody has open any more ends so
        while piece := os.read(terminal, 4096):
            pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode()


def test_a_terminal_gets_a_bar_for_a_step_that_takes_long() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal:
        progress = StepPrinter(terminal)
        progress.say("pulling")
        progress.show(1 << 20, 4 << 20)
        progress.show(2 << 20, 4 << 20)
        progress.say("unpacking")
        progress.show(1 << 20, None)
    steps = read_all(ours).split("\r\n")
    assert [steps[0], *steps[2:]] == ["hsup: pulling", "hsup: unpacking", ""]
    assert re.search(r"\[#+-+\]  1\.0 of 4\.2 MB", steps[1])
    assert re.search(r"\[#+-+\]  2\.1 of 4\.2 MB", steps[1])
