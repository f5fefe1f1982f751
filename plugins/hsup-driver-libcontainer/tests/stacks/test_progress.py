from __future__ import annotations

import io
import os
import pty

from hsup_driver_libcontainer.stacks.progress import Progress


def test_a_file_gets_the_steps_and_no_bar() -> None:
    stream = io.StringIO()
    progress = Progress(stream)

    progress.say("pulling stack a")
    progress.show(1, 2)
    progress.clear()

    assert stream.getvalue() == "hsup: pulling stack a\n"


def test_a_terminal_gets_a_bar_that_the_next_step_replaces() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal:
        progress = Progress(terminal)
        progress.say("pulling")
        progress.show(1 << 20, 4 << 20)
        progress.show(2 << 20, 4 << 20)
        progress.say("unpacking")
    output = os.read(ours, 10_000).decode()
    os.close(ours)

    assert output == (
        "hsup: pulling\r\n"
        f"\r\x1b[K[{'#' * 7}{'-' * 23}]  25%  1.0 of 4.0 MiB"
        "\r\x1b[Khsup: unpacking\r\n"
    )


def test_a_bar_without_a_known_end_tells_how_much() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal:
        Progress(terminal).show(3 << 19)
    output = os.read(ours, 10_000).decode()
    os.close(ours)

    assert output == "\r\x1b[K1.5 MiB"
