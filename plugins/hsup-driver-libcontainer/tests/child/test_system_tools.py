from __future__ import annotations

import os

import pytest

from hsup_driver_libcontainer.child.system_tools import RunningTool


def test_a_tool_reads_its_text_and_says_how_it_ended() -> None:
    ended = RunningTool(("/bin/sh", "-c", "cat; exit 3"), "hello\n").wait()
    assert (ended.status, ended.output) == (3, "hello\n")


def test_a_tool_that_cannot_be_started_leaves_no_descriptor_open() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        RunningTool(("/no/such/tool",))
    assert sorted(os.listdir("/proc/self/fd")) == before
