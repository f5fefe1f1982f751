from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import DynoStartError, UsageError
from hsup.sizes import SIZES, Size, cpu_set, default_size, named, platform_spelling

VARIABLE = "FROB_DYNO_SIZE"
GIB = 1024**3
SIZE = st.sampled_from(sorted(SIZES.values()))


@pytest.mark.parametrize(
    ("name", "memory", "hard_limit", "pids"),
    [
        ("eco", 0.5, 1, 256),
        ("basic", 0.5, 1, 256),
        ("standard-1x", 0.5, 1, 256),
        ("standard-2x", 1, 2, 512),
        ("performance-m", 2.5, 5, 16384),
        ("performance-l", 14, 28, 32768),
        ("performance-l-ram", 30, 36, 16384),
        ("performance-xl", 62, 74, 32768),
        ("performance-2xl", 126, 151, 65536),
        ("private-s", 1, 1, 512),
        ("shield-m", 2.5, 2.5, 16384),
        ("private-2xl", 126, 126, 65536),
    ],
)
def test_a_size_has_the_limits_of_the_platform(
    name: str, memory: float, hard_limit: float, pids: int
) -> None:
    size = SIZES[name]
    assert (size.memory / GIB, size.hard_limit / GIB, size.pids) == (memory, hard_limit, pids)
    assert size.memory + size.swap == size.hard_limit


@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("standard-1x", 2),
        ("standard-2x", 4),
        ("performance-m", 5),
        ("performance-l", 17),
        ("performance-l-ram", 9),
        ("performance-xl", 17),
        ("performance-2xl", 33),
    ],
)
def test_buildpacks_come_to_the_web_concurrency_of_the_platform(name: str, processes: int) -> None:
    size = SIZES[name]
    nproc = len(cpu_set(size, range(64), 0))
    assert min(nproc * 2 + 1, size.memory // 1024**2 // 256) == processes


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("eco", "Eco"),
        ("standard-1x", "Standard-1X"),
        ("STANDARD-2x", "Standard-2X"),
        ("1x", "Standard-1X"),
        ("hobby", "Basic"),
        ("performance-l-ram", "Performance-L-RAM"),
        ("private-memory-2xl", "Private-2XL"),
        ("one-of-another-platform", "one-of-another-platform"),
    ],
)
def test_a_size_is_spelled_as_in_the_platforms_log(name: str, spelling: str) -> None:
    assert platform_spelling(name) == spelling


def test_there_is_no_performance_s() -> None:
    assert "performance-s" not in SIZES


@pytest.mark.parametrize("name", ["Standard-1X", "standard-1x", "STANDARD-1X"])
def test_a_name_is_known_in_any_case_of_letters(name: str) -> None:
    assert named(name) == SIZES["standard-1x"]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        DynoStartError, match='no dyno size "huge"; choose from eco, basic, standard'
    ):
        named("huge")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "standard-1x"),
        ({VARIABLE: ""}, "standard-1x"),
        ({VARIABLE: "Performance-M"}, "performance-m"),
    ],
    ids=str,
)
def test_the_default_is_the_variable_or_else_standard_1x(
    environ: dict[str, str], name: str
) -> None:
    assert default_size(environ, VARIABLE).name == name


def test_a_variable_with_an_unknown_name_is_bad_usage() -> None:
    with pytest.raises(UsageError, match=r'FROB_DYNO_SIZE: .* "x"; choose from'):
        default_size({VARIABLE: "x"}, VARIABLE)


@given(size=SIZE, host=st.sets(st.integers(0, 300), min_size=1), number=st.integers(0, 10**6))
def test_a_dyno_has_as_many_of_the_hosts_cpus_as_it_should(
    size: Size, host: set[int], number: int
) -> None:
    chosen = cpu_set(size, host, number)
    assert chosen <= host
    assert len(chosen) == min(size.cpus, len(host))


def test_dynos_spread_over_the_cpus() -> None:
    sets = [cpu_set(SIZES["performance-m"], {0, 2, 4, 6, 8, 10}, number) for number in range(4)]
    assert sets == [{0, 2}, {4, 6}, {8, 10}, {0, 2}]


@pytest.mark.parametrize(
    ("name", "today"),
    [
        ("free", "eco"),
        ("Hobby", "basic"),
        ("1X", "standard-1x"),
        ("2X", "standard-2x"),
        ("PX", "performance-l"),
        ("Performance", "performance-l"),
        ("Private-Memory-L", "private-l-ram"),
        ("Shield-Memory-2XL", "shield-2xl"),
        ("Standard-1X", "standard-1x"),
    ],
)
def test_an_earlier_name_of_a_size_is_todays(name: str, today: str) -> None:
    assert named(name) == SIZES[today]


@pytest.mark.parametrize("name", ["3x", "p", "dev", "production", ""])
def test_what_has_never_been_a_size_is_refused(name: str) -> None:
    with pytest.raises(DynoStartError, match="eco, basic"):
        named(name)
