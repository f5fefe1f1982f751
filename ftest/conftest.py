"""Which hsup and which driver the suite runs, and that no test leaves a process behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from ftest.program import Hsup, Running, eventually


def pytest_addoption(parser):
    options = parser.getgroup("hsup")
    options.addoption("--driver", default="simple", help="the dyno driver to run with")
    options.addoption(
        "--hsup",
        type=Path,
        default=Path(sys.executable).with_name("hsup"),
        help="the installed program",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "simple_only(reason): what only the simple driver can show")
    # Start hsup as a terminal does, also where the tests run under nohup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--driver") == "simple":
        return
    for item in items:
        if marker := item.get_closest_marker("simple_only"):
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@pytest.fixture
def hsup(request, tmp_path):
    """Give the program; end what the test started, and fail if something is left."""
    path = request.config.getoption("--hsup").absolute()
    program = Hsup(path, request.config.getoption("--driver"), tmp_path)
    yield program
    stubborn = [one for one in program.started if not _end(one)]
    left = program.processes()
    for pid in left:
        _kill(pid)
    for one in program.started:
        one.close()
    assert not stubborn, f"hsup did not end on SIGTERM:\n{stubborn[0].said[-4000:]}"
    assert not left, f"left running: {left}"


def _end(running: Running) -> bool:
    """Stop an hsup that the test has left running; tell whether it obeyed."""
    if running.child.poll() is not None:
        return True
    running.send(signal.SIGTERM)
    if eventually(lambda: running.child.poll() is not None, 5.0):
        return True
    running.child.kill()
    running.child.wait()
    return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
