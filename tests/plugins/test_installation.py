from __future__ import annotations

import site
import sys
from pathlib import Path

import pytest

from hsup.plugins.installation import command_for, how_to_install

OURS = "in a clone of hsup: make wheels && "


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where hsup is installed, by something without pip."""
    there = tmp_path / "hsup"
    there.mkdir()
    monkeypatch.setattr(sys, "prefix", str(there))
    return there


def test_pip_installs_where_it_is(prefix: Path) -> None:
    (prefix / "bin").mkdir()
    (prefix / "bin/pip").touch()
    told = f"{OURS}{prefix}/bin/pip install -c dist/wheels.txt hsup-driver-docker"
    assert how_to_install("hsup-driver-docker") == told
    assert command_for("PACKAGE") == f"{prefix}/bin/pip install PACKAGE"


def test_pipx_injects_into_its_environment(prefix: Path) -> None:
    (prefix / "pipx_metadata.json").touch()
    told = f"{OURS}pipx inject --pip-args='-c dist/wheels.txt' hsup hsup-driver-docker"
    assert how_to_install("hsup-driver-docker") == told
    assert command_for("PACKAGE") == "pipx inject hsup PACKAGE"


@pytest.mark.parametrize(
    ("receipt", "others"),
    [
        ('[tool]\nrequirements = [{name = "hsup"}]', ""),
        ('[tool]\nrequirements = [{name = "hsup"}, {name = "other"}]', "--with other "),
        ("[tool]\nrequirements = 1", ""),
        ("no TOML", ""),
    ],
)
def test_uv_is_told_all_that_it_has_installed_beside_hsup(
    prefix: Path, receipt: str, others: str
) -> None:
    (prefix / "uv-receipt.toml").write_text(receipt)
    told = f"{OURS}uv tool install -c dist/wheels.txt {others}--with hsup-driver-docker hsup"
    assert how_to_install("hsup-driver-docker") == told
    assert command_for("PACKAGE") == f"uv tool install {others}--with PACKAGE hsup"


@pytest.mark.parametrize("has_pip", [True, False])  # `make install` and the Debian package
def test_plugins_go_to_the_directory_that_outlives_the_environment(
    prefix: Path, has_pip: bool
) -> None:
    pip = "pip"
    if has_pip:
        (prefix / "bin").mkdir()
        (prefix / "bin/pip").touch()
        pip = f"{prefix}/bin/pip"
    (packages,) = map(Path, site.getsitepackages([str(prefix)]))
    packages.mkdir(parents=True)
    (packages / "plugins.pth").write_text("/opt/my apps/plugins\n")
    told = f"{pip} install --no-deps --target '/opt/my apps/plugins' PACKAGE"
    assert command_for("PACKAGE") == told


def test_a_path_with_blanks_is_one_word_of_the_command(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", f"{prefix}/my apps")
    told = f"uv pip install --python '{prefix}/my apps/bin/python' PACKAGE"
    assert command_for("PACKAGE") == told


def test_an_environment_without_pip_is_one_of_uv(prefix: Path) -> None:
    told = f"uv pip install --python {prefix}/bin/python PACKAGE"
    assert command_for("PACKAGE") == told
