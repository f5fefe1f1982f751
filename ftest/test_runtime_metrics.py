"""The load and the memory of dynos, as the platform logs them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ftest.program import STACK, Hsup, Running, json_lines
from hsup_source_heroku.testing import App, PlatformApi

#: The first measurement comes within 20 s, on a machine that may be busy.
PATIENCE_SECONDS = 90.0
#: Holds 50 MB.
HOLD = "printf -v held %50000000s; read forever"

#: In megabytes: anything, and about what HOLD does; before that is ready, it may be measured, too.
ANY, HELD = r"\d+", r"(?:4[5-9]|[5-9]\d|1[0-4]\d)"

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LOAD = " ".join(rf"sample#load_avg_{minutes}m=\d+\.\d\d" for minutes in (1, 5, 15))
#: What each driver knows: pages are counted by cgroups of version 1 alone, and swap not by engines
#: on a machine with version 2.
MEMORY = (
    r"sample#memory_total=(?P<total>\d+\.\d\d)MB sample#memory_rss=(?P<rss>RSS\.\d\d)MB"
    r"(?: sample#memory_cache=\d+\.\d\dMB)?(?: sample#memory_swap=\d+\.\d\dMB)?"
    r"(?: sample#memory_pgpgin=\d+pages sample#memory_pgpgout=\d+pages)?"
    r"(?: sample#memory_quota=(?P<quota>\d+\.\d\d)MB)?"
)


def line_of(dyno: str, app: str, samples: str) -> str:
    name = re.escape(dyno)
    return rf"heroku\[{name}\]: source={name} dyno=heroku\.{app}\.{UUID} {samples}$"


def memory_of(running: Running, dyno: str, app: str, rss: str = ANY) -> re.Match[str]:
    """Return the line of the memory of a dyno, once there is one with that of megabytes."""
    pattern = line_of(dyno, app, MEMORY.replace("RSS", rss))
    (line,) = running.wait_for(pattern, timeout=PATIENCE_SECONDS)
    found = re.search(pattern, line)
    assert found
    return found


def test_the_load_and_the_memory_of_each_dyno_are_logged(hsup: Hsup) -> None:
    hsup.release(Name="shop", Processes=[{"Type": "web", "Args": [HOLD], "Quantity": 2}])
    running = hsup.start("--quantities", "release", "--runtime-metrics")
    for dyno in ("web.1", "web.2"):
        running.wait_for(line_of(dyno, "shop", LOAD), timeout=PATIENCE_SECONDS)
        memory = memory_of(running, dyno, "shop", HELD)
        assert float(memory["rss"]) <= float(memory["total"])
        quota = memory["quota"] and float(memory["quota"])
        assert quota == (512 if hsup.has_containers else None)
    assert running.stop() == 0
    ids = set(re.findall(rf"dyno=heroku\.shop\.({UUID})", running.out))
    assert len(ids) == 2


def test_for_programs_the_figures_are_fields(hsup: Hsup) -> None:
    hsup.release(Name="shop", Processes=[{"Type": "web", "Args": [HOLD], "Quantity": 1}])
    hsup.environ |= {"HSUP_RUNTIME_METRICS": "1", "HSUP_LOG_FORMAT": "json"}
    running = hsup.start("web")
    running.wait_for('"memory_rss"', timeout=PATIENCE_SECONDS)
    assert running.stop() == 0
    lines = [one for one in json_lines(running.out) if one.get("event") == "metrics"]
    assert {(one["source"], one["dyno"]) for one in lines} == {("heroku", "web.1")}
    load, memory = (one["metrics"] for one in lines[:2])
    assert load.keys() == {"load_avg_1m", "load_avg_5m", "load_avg_15m"}
    assert memory["memory_total"] >= memory["memory_rss"] > 0


@pytest.fixture
def api() -> Iterator[PlatformApi]:
    with PlatformApi() as running:
        yield running
    assert running.invalid == []


@pytest.fixture
def shop(api: PlatformApi, hsup: Hsup) -> App:
    hsup.environ |= {
        "HSUP_APP": "shop",
        "HEROKU_API_URL": api.url,
        "HEROKU_ACCESS_TOKEN": api.token,
        "HSUP_HEROKU_DIR": str(hsup.directory / "heroku"),
        "HSUP_SLUGS_DIR": str(hsup.directory / "slugs"),
        "HSUP_HEROKU_CADENCE": "0.4",
        "no_proxy": "127.0.0.1",
    }
    return api.create_app("shop", stack=STACK)


def test_an_application_with_the_platforms_feature_has_its_metrics_logged(
    hsup: Hsup, shop: App
) -> None:
    """Dynos are named with the platform's id of the application."""
    shop.features.add("log-runtime-metrics")
    shop.release(config={"A": "1"}, processes={"web": hsup.born})
    running = hsup.start()
    memory_of(running, "web.1", re.escape(shop.id))
    assert running.stop() == 0


def test_an_option_of_a_file_asks_for_it_too(hsup: Hsup) -> None:
    hsup.files({"hsup.toml": "runtime-metrics = true\n"})
    hsup.release(Name="shop", Processes=[{"Type": "web", "Args": [hsup.born], "Quantity": 1}])
    running = hsup.start("web")
    memory_of(running, "web.1", "shop")
    assert running.stop() == 0
