"""The terminal and the signals of a command in the foreground."""

from __future__ import annotations

import os
import signal

import pytest

from hsup.terminal import FORWARDED, end_by_signals, signals_woken


def test_after_a_failure_no_signal_ends_hsup_before_it_has_said_why() -> None:
    before = {one: signal.getsignal(one) for one in FORWARDED}
    try:
        with pytest.raises(ZeroDivisionError), signals_woken():
            raise ZeroDivisionError
        os.kill(os.getpid(), signal.SIGTERM)
        end_by_signals()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGRTMIN, signal.SIGRTMIN + 5, signal.SIGRTMAX])
def test_a_signal_for_real_time_wakes_and_does_not_end_hsup(number: int) -> None:
    with signals_woken() as woken:
        assert signal.getsignal(number) != signal.SIG_DFL
        os.kill(os.getpid(), number)
        assert os.read(woken, 2) == bytes([number])
    assert signal.getsignal(number) == signal.SIG_DFL
