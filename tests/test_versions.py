from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import hsup

ROOT = Path(__file__).parent.parent
PROJECTS = {
    path.parent.name if path.parent != ROOT else "hsup": tomllib.loads(path.read_text())["project"]
    for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))
}


def test_hsup_tells_the_version_of_its_distribution() -> None:
    assert hsup.__version__ == PROJECTS["hsup"]["version"]


@pytest.mark.parametrize("directory", PROJECTS)
def test_all_distributions_have_the_same_version(directory: str) -> None:
    assert PROJECTS[directory]["version"] == hsup.__version__


@pytest.mark.parametrize("directory", PROJECTS)
def test_a_directory_is_named_after_its_distribution(directory: str) -> None:
    assert PROJECTS[directory]["name"] == directory


@pytest.mark.parametrize("directory", PROJECTS)
def test_distributions_ask_for_each_other_in_this_very_version(directory: str) -> None:
    project = PROJECTS[directory]
    extras = project.get("optional-dependencies", {}).values()
    asked = [*project["dependencies"], *(one for extra in extras for one in extra)]
    ours = [one for one in asked if one.startswith("hsup") and "[" not in one]
    assert all(one.endswith(f"=={hsup.__version__}") for one in ours)
    assert directory == "hsup" or f"hsup=={hsup.__version__}" in ours


@pytest.mark.parametrize("directory", PROJECTS)
def test_all_distributions_run_with_the_same_pythons(directory: str) -> None:
    assert PROJECTS[directory]["requires-python"] == PROJECTS["hsup"]["requires-python"]


@pytest.mark.parametrize("directory", PROJECTS)
def test_all_distributions_name_the_same_pythons(directory: str) -> None:
    assert PROJECTS[directory]["classifiers"] == PROJECTS["hsup"]["classifiers"]


@pytest.mark.parametrize("directory", PROJECTS)
def test_every_distribution_tells_type_checkers_that_it_is_typed(directory: str) -> None:
    package = directory.replace("-", "_")
    where = ROOT if directory == "hsup" else ROOT / "plugins" / directory
    assert "Typing :: Typed" in PROJECTS[directory]["classifiers"]
    assert (where / package / "py.typed").is_file()


@pytest.mark.parametrize("directory", PROJECTS)
def test_all_distributions_name_the_same_addresses(directory: str) -> None:
    assert PROJECTS[directory]["urls"] == PROJECTS["hsup"]["urls"]
