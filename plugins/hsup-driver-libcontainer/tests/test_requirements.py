"""The remedies for what this machine lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsup_driver_libcontainer.requirements import how_to_get_rights


def test_on_a_machine_sudo_gives_the_rights(tmp_path: Path) -> None:
    assert "sudo" in how_to_get_rights(str(tmp_path))


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_in_a_container_who_starts_it_gives_them(tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    assert "--privileged" in how_to_get_rights(str(tmp_path))
