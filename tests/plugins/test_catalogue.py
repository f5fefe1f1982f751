from __future__ import annotations

import pytest

from hsup.errors import PluginError
from hsup.plugins.catalogue import REMEDIES, missing, source_asked_for
from hsup.plugins.installation import how_to_install


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("driver", "docker", "hsup-driver-docker"),
        ("driver", "libcontainer", "hsup-driver-libcontainer"),
        ("source", "heroku", "hsup-source-heroku"),
        ("log drain", "https", "hsup-log-drain"),
        ("log drain", "logplex", "hsup-log-drain"),
    ],
)
def test_what_another_package_has_is_named_with_it(kind: str, name: str, package: str) -> None:
    error = missing(kind, name, ())
    assert isinstance(error, PluginError)
    assert str(error) == f'no {kind} "{name}" is installed; {how_to_install(package)}'


@pytest.mark.parametrize(
    ("kind", "name", "option", "variable", "package"),
    [
        ("service", "control", "--control-socket", "HSUP_CONTROL_SOCKET", "hsup-control"),
    ],
)
def test_what_a_package_is_to_have_that_is_not_published_is_not_advised(
    kind: str, name: str, option: str, variable: str, package: str
) -> None:
    assert str(missing(kind, name, ())) == (
        f"{option} needs a plugin that is not installed, and {package} has not been published "
        f"yet; leave out the option, or unset {variable}"
    )


def test_what_no_package_has_is_answered_with_what_is_installed() -> None:
    assert 'there is no driver "frob"; choose from a, b, or install a plugin' in str(
        missing("driver", "frob", "ba")
    )
    assert "; install a plugin" in str(missing("driver", "frob", ()))


@pytest.mark.parametrize(
    ("environ", "installed", "name"),
    [
        ({}, {"directory"}, None),
        ({"HEROKU_ACCESS_TOKEN": "t"}, {"directory"}, "heroku"),
        ({"HEROKU_ACCESS_TOKEN": "t", "HSUP_CONTROL_DIR": "/c"}, {"directory"}, "heroku"),
        ({"HEROKU_ACCESS_TOKEN": "t"}, {"heroku"}, None),
        ({"HEROKU_ACCESS_TOKEN": "", "HSUP_CONTROL_DIR": "/c"}, {"directory"}, None),
        ({"HSUP_CONTROL_DIR": "/c"}, {"procfile"}, "directory"),
    ],
)
def test_a_variable_may_ask_for_a_source_that_is_not_installed(
    environ: dict[str, str], installed: set[str], name: str | None
) -> None:
    assert source_asked_for(environ, installed) == name


def test_there_is_a_remedy_for_every_source_that_can_be_installed() -> None:
    assert list(REMEDIES) == ["heroku", "directory", "procfile"]
