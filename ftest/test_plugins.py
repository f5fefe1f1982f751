"""Plugins as a user meets them: the listing, a missing one, and broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ftest.program import Hsup

BUILT_IN = ["hsup-driver-simple", "hsup-source-directory", "hsup-source-procfile"]


def test_the_listing_has_every_distribution_with_its_version(hsup: Hsup) -> None:
    done = hsup.call("plugins")
    assert done.status == 0
    for distribution in BUILT_IN:
        assert distribution in done.text
    assert "0.1.0" in done.text
    assert "hsup_register_drivers" in done.text


def test_the_listing_as_json(hsup: Hsup) -> None:
    done = hsup.call("plugins", "--json")
    assert done.status == 0
    listed = json.loads(done.text)
    assert {one["distribution"] for one in listed["plugins"]} >= set(BUILT_IN)
    assert all(one["version"] and one["hooks"] for one in listed["plugins"])
    assert "simple" in listed["drivers"]
    assert {"directory", "procfile"} <= set(listed["sources"])


BROKEN = {
    "does not import": ("import no_such_module_of_ftest\n", "no_such_module_of_ftest"),
    "raises": ("raise ValueError('boom of ftest')\n", "boom of ftest"),
    "misspelt hook": (
        "from hsup import hookimpl\n\n@hookimpl\ndef hsup_register_driver():\n    return {}\n",
        "hsup_register_driver",
    ),
    "wrong argument": (
        "from hsup import hookimpl\n\n@hookimpl\ndef hsup_dyno_exited(evnt):\n    pass\n",
        "evnt",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_reported_and_the_rest_works(
    hsup: Hsup, install: Callable[..., None], how: str
) -> None:
    code, cause = BROKEN[how]
    install("hsup-broken", code)
    listing = hsup.call("plugins")
    said = listing.text + listing.message
    for expected in ("hsup-broken", "hsup-broken-entry", "1.2.3", cause):
        assert expected in said
    assert "Traceback" not in said
    done = hsup.call("run", "echo works")
    assert (done.text, done.status) == ("works\n", 0)


DRIVER = """
from hsup import hookimpl

def create(settings):
    raise AssertionError("not to be built")

@hookimpl
def hsup_register_drivers():
    return {"frob": create}
"""


def test_two_drivers_of_one_name_are_an_error_for_who_asks_for_it(
    hsup: Hsup, install: Callable[..., None]
) -> None:
    install("hsup-driver-frob", DRIVER)
    install("hsup-driver-other", DRIVER)
    hsup.driver = "frob"
    done = hsup.call("run", "true")
    assert done.status in {1, 2}
    assert "hsup-driver-frob" in done.message
    assert "hsup-driver-other" in done.message
    hsup.driver = "simple"
    assert hsup.call("run", "true").status == 0


OBSERVER = """
from hsup import hookimpl

@hookimpl
def hsup_dyno_exited(event):
    raise RuntimeError("boom of ftest")
"""


def test_an_observer_that_raises_disturbs_nothing_and_is_named(
    hsup: Hsup, install: Callable[..., None]
) -> None:
    install("hsup-observer", OBSERVER)
    hsup.procfile(one="echo hello; exit 3")
    done = hsup.call("start", "--oneshot")
    assert done.status == 3
    assert "app[one.1]: hello\n" in done.text
    assert "hsup-observer" in done.text + done.message


@pytest.mark.parametrize(
    ("words", "env", "package"),
    [
        (("-d", "docker", "run", "true"), {}, "hsup-driver-docker"),
        (("-d", "libcontainer", "run", "true"), {}, "hsup-driver-libcontainer"),
        (("--source", "heroku", "run", "true"), {}, "hsup-source-heroku"),
        (("run", "true"), {"HEROKU_ACCESS_TOKEN": "x"}, "hsup-source-heroku"),
        (("start", "--logplex-url", "https://x"), {}, "hsup-log-drain"),
        (("start",), {"HSUP_LOGPLEX_URL": "https://x"}, "hsup-log-drain"),
        (("start",), {"HSUP_DRAIN": "https://x syslog://y"}, "hsup-log-drain"),
        (("start",), {"HSUP_FOLLOW_DRAINS": "1"}, "hsup-log-drain"),
    ],
)
def test_an_option_whose_plugin_is_missing_names_the_package(
    hsup: Hsup, words: tuple[str, ...], env: dict[str, str], package: str
) -> None:
    skip_if_installed(hsup, package)
    done = hsup.call(*words, env=env)
    assert done.status in {1, 2}
    assert done.message.startswith("hsup: ")
    assert f"pip install -c dist/wheels.txt {package}" in done.message


@pytest.mark.parametrize(
    ("words", "env", "package"),
    [
        (("start", "--control-socket", "x"), {}, "hsup-control"),
        (("-s", "x", "start"), {}, "hsup-control"),
    ],
)
def test_an_option_whose_plugin_is_not_published_says_so(
    hsup: Hsup, words: tuple[str, ...], env: dict[str, str], package: str
) -> None:
    skip_if_installed(hsup, package)
    done = hsup.call(*words, env=env)
    assert done.status == 2
    assert done.message.startswith("hsup: ")
    assert f"needs a plugin that is not installed, and {package} has not been" in done.message
    assert "pip install" not in done.message


def skip_if_installed(hsup: Hsup, package: str) -> None:
    hsup.procfile(web="true")
    listed = json.loads(hsup.call("plugins", "--json").text)["plugins"]
    if package in {one["distribution"] for one in listed}:
        pytest.skip(f"{package} is installed")


def test_an_unknown_driver_is_an_error_that_lists_the_known(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    hsup.driver = "nope"
    done = hsup.call("run", "true")
    assert done.status in {1, 2}
    assert "nope" in done.message
    assert "simple" in done.message


def test_an_unknown_source_is_an_error_that_lists_the_known(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    done = hsup.call("--source", "nope", "run", "true")
    assert done.status in {1, 2}
    assert "procfile" in done.message


@pytest.mark.simple_only("other drivers have a view of the files of their own")
def test_a_bind_is_an_error_where_the_driver_has_none(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    for words in (("--bind", "/tmp:/data", "run", "true"), ("start", "--bind", "/tmp")):
        done = hsup.call(*words)
        assert done.status in {1, 2}
        assert "bind" in done.message
        assert "simple" in done.message
