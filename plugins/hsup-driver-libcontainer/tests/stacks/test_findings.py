from __future__ import annotations

import os
from pathlib import Path

from hsup.api import Settings
from hsup_driver_libcontainer.stacks.findings import examine
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore


def test_a_stack_that_is_there_is_good(
    settings: Settings, store: StackStore, small_root: Path
) -> None:
    store.add(Entry("mine", None, str(small_root), primary=True))

    found = examine(settings)[0]

    assert (found.is_good, found.text) == (True, f"mine is in {small_root}")


def test_a_new_machine_is_told_what_will_be_pulled_and_what_to_install(
    settings: Settings, tmp_path: Path
) -> None:
    poor = settings._replace(environ={**settings.environ, "PATH": str(tmp_path)})

    stack, tools = examine(poor)

    assert stack.is_good
    assert "heroku-24 is not installed yet" in stack.text
    assert (tools.is_good, tools.remedy) == (
        False,
        "install them: apt-get install skopeo umoci, or your system's packages of them",
    )
    assert tools.text == "skopeo and umoci are not installed; they pull stacks from registries"
    assert os.listdir(tmp_path) == []


def test_tools_that_no_stack_needs_are_not_missed(
    settings: Settings, store: StackStore, small_root: Path, tmp_path: Path
) -> None:
    store.add(Entry("mine", None, str(small_root), primary=True))

    _, tools = examine(settings._replace(environ={**settings.environ, "PATH": str(tmp_path)}))

    assert (tools.is_good, tools.remedy) == (False, None)


def test_a_faulty_manifest_is_told(settings: Settings, stacks_dir: Path) -> None:
    (stacks_dir / "manifest.yml").write_text("x")

    found = examine(settings)[0]

    assert not found.is_good
    assert "the manifest must be a list" in found.text
    assert found.remedy == "run hsup stacks list to list all faults"


def test_a_directory_that_is_no_root_is_told(
    settings: Settings, stacks_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir(mode=0o755)
    for place, text in (("bare", "has no /bin/bash"), ("none", "nothing exists there")):
        line = f"- {{name: a, url: {tmp_path / place}, primary: true}}"
        (stacks_dir / "manifest.yml").write_text(line)

        found = examine(settings)[0]

        assert not found.is_good
        assert text in found.text
        assert found.remedy
