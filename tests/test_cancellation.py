from __future__ import annotations

import threading
import time

import pytest

from hsup.cancellation import GivenUp, pause, require_wanted, until


def test_what_nobody_has_given_up_is_wanted() -> None:
    require_wanted()
    with until(threading.Event()):
        require_wanted()


def test_what_was_given_up_ends_where_it_looks() -> None:
    given_up = threading.Event()
    with until(given_up):
        given_up.set()
        with pytest.raises(GivenUp, match="the result is no longer wanted"):
            require_wanted()
    require_wanted()


def test_a_pause_lasts_as_long_as_what_it_is_part_of_is_wanted() -> None:
    before = time.monotonic()
    pause(0.01)
    assert time.monotonic() - before >= 0.01
    given_up = threading.Event()
    threading.Timer(0.01, given_up.set).start()
    with until(given_up), pytest.raises(GivenUp):
        pause(600.0)


def test_the_innermost_work_is_given_up_alone() -> None:
    outer, inner = threading.Event(), threading.Event()
    inner.set()
    with until(outer):
        with until(inner), pytest.raises(GivenUp):
            pause(600.0)
        pause(0.0)
