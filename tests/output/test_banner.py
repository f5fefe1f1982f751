from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from hsup.columns import columns
from hsup.model import Release, Slug
from hsup.output.banner import banner
from hsup.testing import make_release

SHOP = make_release(web=1)._replace(slug=Slug("/srv/applications/shop", inode=7))
PORTS = {"web.1": 5000, "web.2": 5001, "clock.1": 5100, "worker.1": 5200}


def said(
    width: int,
    *,
    release: Release = SHOP,
    ports: Mapping[str, int | None] = PORTS,
    unavailable: Collection[int] = (),
) -> tuple[str, str, str]:
    return banner("procfile", "simple", release, ports, unavailable=unavailable, width=width)


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (180, "shop, release v1: web.1, web.2, clock.1, worker.1"),
        (40, "shop, release v1: web=2, clock, worker"),
        (37, "shop, release v1: web=2 and 2 more"),
        (30, "shop, release v1: 4 dynos"),
        (20, "shop, 4 dynos"),
        (12, "sh…, 4 dynos"),
        (5, ", 4 …"),
    ],
)
def test_what_runs_is_shortened(width: int, line: str) -> None:
    assert said(width)[0] == line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (60, "source procfile in /srv/applications/shop, driver simple"),
        (50, "source procfile in …plications/shop, driver simple"),
        (40, "source procfile, driver simple"),
        (20, "procfile, simple"),
        (12, "procfile, s…"),
    ],
)
def test_where_it_is_from_is_shortened(width: int, line: str) -> None:
    assert said(width)[1] == line


@pytest.mark.parametrize(
    ("width", "unavailable", "line"),
    [
        (60, (), "web serves on ports 5000 to 5001; ^C stops all"),
        (40, (), "web serves on ports 5000 to 5001"),
        (20, (), "ports 5000 to 5001"),
        (80, (5001,), "web serves on port 5000, not on port 5001; ^C stops all"),
        (80, (5000, 5001), "web cannot serve on ports 5000 to 5001; ^C stops all"),
        (40, (5000, 5001), "web cannot serve on ports 5000 to 5001"),
        (30, (5000, 5001), "no ports 5000 to 5001"),
    ],
)
def test_where_it_serves_is_shortened(width: int, unavailable: Collection[int], line: str) -> None:
    assert said(width, unavailable=unavailable)[2] == line


@pytest.mark.parametrize(
    ("unavailable", "line"),
    [
        ((5001, 5003), "web serves on ports 5000, 5002 and 5004, not on ports 5001 and 5003"),
        ((5002,), "web serves on ports 5000 to 5001 and 5003 to 5004, not on port 5002"),
    ],
)
def test_only_adjacent_ports_are_a_range(unavailable: Collection[int], line: str) -> None:
    ports = {f"web.{number + 1}": 5000 + number for number in range(5)}
    assert said(200, ports=ports, unavailable=unavailable)[2] == f"{line}; ^C stops all"


@pytest.mark.parametrize("width", range(12, 200, 7))
def test_no_line_is_wider_than_the_window(width: int) -> None:
    release = SHOP._replace(app="店舗" * 5, slug=Slug("/srv/店舗/" * 4, inode=7))
    ports = {f"type{number % 9}.{number}": 5000 + number for number in range(40)}
    for line in said(width, release=release, ports=ports):
        assert 0 < columns(line) <= width
