from __future__ import annotations

import itertools

import pytest

from hsup.api import LoadAverages
from hsup.supervision.load import load_after

IDLE = LoadAverages()
#: What the kernel keeps of its averages after 5 s, as fixed-point numbers of 11 bits
#: (include/linux/sched/loadavg.h).
KERNEL_FACTORS = (1884 / 2048, 2014 / 2048, 2037 / 2048)


def after(minutes: float, runnable: int, *, every_seconds: float = 5.0) -> LoadAverages:
    load = IDLE
    for _ in range(round(minutes * 60 / every_seconds)):
        load = load_after(load, every_seconds, runnable)
    return load


def test_an_average_moves_towards_what_runs_as_that_of_the_kernel() -> None:
    load = load_after(IDLE, 5.0, 1)
    assert load == pytest.approx([1 - kept for kept in KERNEL_FACTORS], abs=1e-3)
    assert load_after(load, 5.0, 0) == pytest.approx(
        [one * kept for one, kept in zip(load, KERNEL_FACTORS, strict=True)], abs=1e-3
    )


def test_after_its_time_an_average_has_gone_most_of_the_way() -> None:
    for minutes, field in ((1, "load_avg_1m"), (5, "load_avg_5m"), (15, "load_avg_15m")):
        assert getattr(after(minutes, 2), field) == pytest.approx(2 * (1 - 0.3679), abs=1e-3)


def test_what_runs_steadily_is_its_own_average_in_the_end() -> None:
    assert after(200, 3) == pytest.approx((3, 3, 3), abs=1e-3)


def test_how_often_it_is_looked_at_changes_nothing() -> None:
    assert after(3, 4, every_seconds=20) == pytest.approx(after(3, 4, every_seconds=1))


def test_the_shorter_the_time_the_sooner_it_is_forgotten() -> None:
    load = after(200, 8)
    for _ in range(12):
        load = load_after(load, 5.0, 0)
    assert all(short < long for short, long in itertools.pairwise(load))
