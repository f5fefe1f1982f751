"""The figures of engines, in the JSON that these answer."""

from __future__ import annotations

from typing import Any

import pytest

from hsup.api import Measurement
from hsup_driver_docker.engine.stats import measurement

#: What Docker 20.10 answers on a machine with cgroups of version 1, as far as it is used.
V1: dict[str, Any] = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1234567890, "usage_in_usermode": 10000000}},
    "memory_stats": {
        "usage": 30359552,
        "max_usage": 41943040,
        "stats": {
            "cache": 8110080,
            "rss": 22249472,
            "swap": 1048576,
            "pgpgin": 348836,
            "pgpgout": 343403,
            "total_cache": 8110080,
            "total_rss": 22249472,
        },
        "limit": 536870912,
    },
    "name": "/hsup-shop-web.1-8f3a",
}
#: And on one with version 2.
V2: dict[str, Any] = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1234568000}},
    "memory_stats": {
        "usage": 30359552,
        "stats": {"anon": 22249472, "file": 8110080, "pgfault": 21010, "pgmajfault": 3},
        "limit": 536870912,
    },
}
#: Of a container that has ended.
ENDED: dict[str, Any] = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}
MEASURED = Measurement(
    memory_rss=22249472,
    memory_cache=8110080,
    memory_swap=1048576,
    memory_pgpgin=348836,
    memory_pgpgout=343403,
    memory_quota=536870912,
    cpu_seconds=1.23456789,
    runnable=2,
)


def test_docker_counts_all_with_version_1() -> None:
    assert measurement(V1, ["S", "R", "D", "Z"]) == MEASURED


def test_docker_counts_neither_swap_nor_pages_with_version_2() -> None:
    expected = MEASURED._replace(
        memory_swap=None, memory_pgpgin=None, memory_pgpgout=None, cpu_seconds=1.234568
    )
    assert measurement(V2, ["Rl+", "Ss", "D"]) == expected


def test_podman_gives_no_figures_of_its_own() -> None:
    memory = {"usage": 30359552, "limit": 536870912, "stats": None}
    measured = measurement({**V1, "memory_stats": memory}, None)
    assert measured == Measurement(memory_quota=536870912, cpu_seconds=1.23456789)


def test_without_the_states_of_threads_none_are_counted() -> None:
    assert measurement(V1, None) == MEASURED._replace(runnable=None)


def test_a_limit_of_0_is_none() -> None:
    memory = {**V1["memory_stats"], "limit": 0}
    measured = measurement({**V1, "memory_stats": memory}, [])
    assert measured == MEASURED._replace(memory_quota=None, runnable=0)


@pytest.mark.parametrize("stats", [ENDED, {}, {"memory_stats": None}], ids=repr)
def test_a_container_that_has_ended_is_not_measured(stats: dict[str, Any]) -> None:
    assert measurement(stats, None) is None
