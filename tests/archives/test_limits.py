from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hsup.archives.limits import Keep, Limits, read_keep, read_limits
from hsup.errors import UsageError


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("", Keep(slugs=10)),
        ("all", Keep()),
        ("0", Keep(slugs=0)),
        ("30d", Keep(age_seconds=30 * 86400)),
        ("20G", Keep(total_bytes=20 << 30)),
        (" 5  1d 300M ", Keep(slugs=5, age_seconds=86400, total_bytes=300 << 20)),
    ],
)
def test_the_rule_is_a_number_an_age_and_a_size(text: str, keep: Keep) -> None:
    assert read_keep({"HSUP_SLUGS_KEEP": text}) == keep


@pytest.mark.parametrize("word", ["-1", "ten", "3w", "d", "1.5G", "2GM", "²", "all"])
def test_what_is_no_rule_is_told_with_the_remedy(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_keep({"HSUP_SLUGS_KEEP": f"5 {word}"})
    assert str(caught.value) == (
        f'HSUP_SLUGS_KEEP: "{word}" is not a count, an age or a size; '
        "write a number of slugs, an age and a size, such as 5 30d 20G, or all"
    )


@pytest.mark.parametrize("digits", [19, 5000])
@pytest.mark.parametrize(
    ("name", "unit", "read"),
    [
        ("HSUP_SLUGS_KEEP", "d", read_keep),
        ("HSUP_SLUGS_MAX_SIZE", "G", read_limits),
        ("HSUP_SLUGS_MIN_RATE", "", read_limits),
    ],
)
def test_a_number_without_an_end_is_told(
    digits: int, name: str, unit: str, read: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match=f'{name}: "9{{{digits}}}{unit}" is not a '):
        read({name: "9" * digits + unit})


def test_limits_have_defaults() -> None:
    assert read_limits({}) == Limits(size=4 << 30, files=500_000)


def test_limits_can_be_set() -> None:
    environ = {"HSUP_SLUGS_MAX_SIZE": "1T", "HSUP_SLUGS_MAX_FILES": "7"}
    assert read_limits(environ) == Limits(size=1 << 40, files=7)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HSUP_SLUGS_MAX_SIZE", "0G"),
        ("HSUP_SLUGS_MAX_SIZE", "4"),
        ("HSUP_SLUGS_MAX_SIZE", "4d"),
        ("HSUP_SLUGS_MAX_FILES", "0"),
        ("HSUP_SLUGS_MAX_FILES", "1M"),
        ("HSUP_SLUGS_MAX_FILES", "many"),
    ],
)
def test_what_is_no_limit_is_told_with_the_remedy(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f'{name}: "{text}" is not a valid limit; write a'):
        read_limits({name: text})
