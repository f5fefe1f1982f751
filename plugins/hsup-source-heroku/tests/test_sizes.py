from __future__ import annotations

import pytest

from hsup_source_heroku.testing import App, PlatformApi

from .following import MakeSource


def test_an_earlier_name_of_a_size_is_not_asked_for(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    shop.resize("web", "Hobby")
    assert make_source().fetch().release.process("web").size == "Hobby"
    assert "/dyno-sizes" not in [one.path for one in api.requests]


@pytest.mark.parametrize(
    ("asked", "had"),
    [
        ("Performance-M", "Performance-M"),
        ("dyno-2c-1gb", "standard-2x"),
        ("dyno-64c-1tb", "performance-2xl"),
    ],
)
def test_a_size_that_hsup_has_not_is_the_one_next_to_it(
    make_source: MakeSource, shop: App, asked: str, had: str
) -> None:
    shop.resize("web", asked)
    assert make_source().fetch().release.process("web").size == had


def test_sizes_are_asked_for_where_they_are_needed_only(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    source.fetch()
    assert "/dyno-sizes" not in [one.path for one in api.requests]
    shop.resize("web", "dyno-2c-1gb")
    source.settled()
    shop.resize("worker", "dyno-2c-1gb")
    source.settled()
    assert [one.path for one in api.requests].count("/dyno-sizes") == 1
