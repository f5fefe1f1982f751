from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsup.errors import DriverError, UsageError
from hsup_driver_libcontainer.stacks.catalogue import (
    Catalogue,
    ManifestRejected,
    split_wanted,
)
from hsup_driver_libcontainer.stacks.manifest import Entry

THREE = """
- {name: cedar, version: "1.9", url: /nine}
- {name: cedar, version: "1.10", url: /ten}
- {name: other, url: /other, primary: true}
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(str(tmp_path))


def test_heroku_24_is_the_image_of_that_tag_by_default(catalogue: Catalogue) -> None:
    image = Entry("heroku-24", None, "docker://docker.io/heroku/heroku:24")

    assert catalogue.find("heroku-24") == image
    assert catalogue.find(None) == image


def test_cedar_14_is_the_image_of_that_name(catalogue: Catalogue) -> None:
    image = Entry("cedar-14", None, "docker://docker.io/heroku/cedar:14")

    assert catalogue.find("cedar-14") == image


def test_the_stack_of_container_images_is_for_another_driver(catalogue: Catalogue) -> None:
    with pytest.raises(DriverError, match="container image") as caught:
        catalogue.find("container")

    assert "-d docker" in (caught.value.hint or "")


def test_a_build_of_a_heroku_stack_is_its_version(catalogue: Catalogue) -> None:
    found = catalogue.find("heroku-24:24.v123")

    assert found == Entry("heroku-24", "24.v123", "docker://docker.io/heroku/heroku:24.v123")


def test_the_manifest_says_otherwise(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "manifest.yml").write_text("- {name: heroku-24, url: /mine}")

    assert catalogue.find("heroku-24").url == "/mine"
    assert catalogue.find(None).url == "/mine"


def test_of_several_versions_it_is_the_highest(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "manifest.yml").write_text(THREE)

    assert catalogue.find("cedar").url == "/ten"
    assert catalogue.find("cedar:1.9").url == "/nine"
    assert catalogue.find(None).url == "/other"


def test_of_several_versions_it_is_the_primary(catalogue: Catalogue, tmp_path: Path) -> None:
    text = "- {name: a, version: 1, url: /one, primary: true}\n- {name: a, version: 2, url: /two}"
    (tmp_path / "manifest.yml").write_text(text)

    assert catalogue.find("a").url == "/one"


def test_an_unknown_stack_is_told_with_those_that_are_known(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "manifest.yml").write_text(THREE)

    with pytest.raises(DriverError) as caught:
        catalogue.find("cedar:2")

    assert str(caught.value) == (
        'stack "cedar:2" is not known; '
        "the known stacks are cedar:1.10, cedar:1.9, heroku-24, other; "
        f"add it to {tmp_path}/manifest.yml, or run hsup stacks import cedar:2 PATH|URL"
    )


def test_an_import_counts_more_than_the_manifest(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "manifest.yml").write_text(THREE)
    mine = Entry("cedar", "1.10", "/mine", primary=True)
    catalogue.add_import(mine)

    assert catalogue.find("cedar:1.10") == mine
    assert catalogue.find(None) == mine

    catalogue.drop_imports([mine])
    assert catalogue.find("cedar:1.10").url == "/ten"
    assert catalogue.find(None).url == "/other"


def test_what_was_imported_is_for_root_alone(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.add_import(Entry("a", None, "https://me:secret@example.com/a.tar"))

    assert (tmp_path / "imported.json").stat().st_mode & 0o777 == 0o600


def test_the_last_import_that_is_primary_is_it(catalogue: Catalogue) -> None:
    catalogue.add_import(Entry("a", None, "/a", primary=True))
    catalogue.add_import(Entry("b", None, "/b", primary=True))

    assert catalogue.find(None).name == "b"


def test_a_faulty_manifest_is_told_with_its_first_fault(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "manifest.yml").write_text("- {name: a}\n- {name: b}\n")

    with pytest.raises(ManifestRejected) as caught:
        catalogue.find("a")

    assert str(caught.value) == (
        f'{tmp_path}/manifest.yml: line 1: stack "a" has no "url" (and 1 more)'
    )


def test_a_manifest_that_was_changed_is_read_again(catalogue: Catalogue, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.yml"
    manifest.write_text("- {name: a, url: /one}")
    assert catalogue.find("a").url == "/one"

    manifest.write_text("- {name: a, url: /two}")
    os.utime(manifest, ns=(1, 1))

    assert catalogue.find("a").url == "/two"


def test_a_manifest_that_was_read_before_is_not_read_as_yaml_again(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "manifest.yml").write_text(THREE)
    catalogue.find("cedar")
    program = (
        "import sys; from hsup_driver_libcontainer.stacks.catalogue import Catalogue;"
        "print(Catalogue(sys.argv[1]).find('cedar').url, 'yaml' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "/ten False\n"
    assert json.loads((tmp_path / ".manifest.json").read_text())["entries"]


@pytest.mark.parametrize(
    "wanted", ["", ":1", "a:", "../a", "a/b", "a b", "a:../b", "-a", "x" * 101]
)
def test_hostile_names_are_refused(catalogue: Catalogue, wanted: str) -> None:
    for look in (split_wanted, catalogue.find):
        with pytest.raises(UsageError, match="must be letters"):
            look(wanted)
