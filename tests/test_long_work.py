from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from hsup import long_work
from hsup.long_work import LongWork, alarm, amount, current, said, waited_for


def test_the_step_that_began_last_is_told() -> None:
    work = LongWork()
    assert work.text() is None
    with work.doing(lambda: "fetching"):
        with work.doing(lambda: "unpacking"):
            assert work.text() == "unpacking"
        assert work.text() == "fetching"
    assert work.text() is None


def test_a_step_that_fails_is_not_told_any_more() -> None:
    work = LongWork()
    with pytest.raises(ZeroDivisionError), work.doing(lambda: "dividing"):
        raise ZeroDivisionError
    assert work.text() is None


def test_work_is_part_of_what_is_waited_for() -> None:
    with waited_for(LongWork("the slug of v2")) as work:
        assert current() is work
    assert current() is not work
    assert current().slug is None


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 0, "0.0 MB"),
        (1_260_000, 0, "1.3 MB"),
        (1_260_000, 9_900_000, "1.3 of 9.9 MB"),
        (1_260_000, 10_000_000, "1 of 10 MB"),
        (12_345_678, 0, "12 MB"),
    ],
)
def test_tenths_of_a_megabyte_are_told_of_few_only(done: int, total: int, text: str) -> None:
    assert amount(done, total) == text


def wait_for(is_so: Callable[[], object]) -> None:
    while not is_so():
        time.sleep(0.001)


def test_an_alarm_rings_again_after_as_long_as_it_says() -> None:
    rung: list[None] = []
    answers = [0.001, 0.001, 0.0]  # the last one ends it
    before = signal.getsignal(signal.SIGALRM)
    with alarm(0.001, lambda: rung.append(None) or answers.pop(0)):
        wait_for(lambda: not answers)
    assert len(rung) == 3
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_takes_long_is_said_on_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_work, "FIRST_SECONDS", 0.001)
    asked: list[None] = []
    with said(), current().doing(lambda: asked.append(None) or "pulling debian"):
        wait_for(lambda: asked)
    assert capfd.readouterr() == ("", "hsup: pulling debian\n")


def test_nothing_is_said_before_what_takes_long_has_begun(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_work, "FIRST_SECONDS", 0.001)
    asked: list[None] = []
    with said(), current().doing(lambda: asked.append(None) or ""):
        wait_for(lambda: len(asked) >= 2)
    assert capfd.readouterr() == ("", "")
