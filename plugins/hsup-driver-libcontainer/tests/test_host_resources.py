"""What the settings say of the machine; nothing of it is taken, and no root is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import DynoStartError, UsageError
from hsup.sizes import named
from hsup.testing import make_spec
from hsup_driver_libcontainer.host_resources import HostResources


def resources(**environ: str) -> HostResources:
    return HostResources(Settings(directory="/", environ=environ))


@pytest.mark.parametrize("environ", [{}, {"LIBCONTAINER_RUN_DIR": ""}], ids=["unset", "empty"])
def test_the_run_directory_is_below_run(environ: dict[str, str]) -> None:
    found = resources(**environ)
    assert found.directory == "/run/hsup/libcontainer"
    assert found.stage.startswith(f"{found.directory}/")
    assert found.images.startswith(f"{found.directory}/")


def test_nothing_is_made_before_it_is_opened_nor_when_it_is_closed_then(tmp_path: Path) -> None:
    found = resources(LIBCONTAINER_RUN_DIR=f"{tmp_path}/run")
    assert found.directory == f"{tmp_path}/run"
    found.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("directory", ["run", "./run", "/a:b", "/a,b", "/a\\b"])
def test_a_run_directory_that_no_overlay_can_be_in_is_bad_usage(directory: str) -> None:
    with pytest.raises(UsageError) as caught:
        resources(LIBCONTAINER_RUN_DIR=directory)
    assert "LIBCONTAINER_RUN_DIR" in str(caught.value)
    assert f'"{directory}"' in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    ["LIBCONTAINER_DYNO_SIZE", "LIBCONTAINER_DYNO_UID_MIN", "LIBCONTAINER_DYNO_SCRATCH"],
)
def test_a_variable_with_a_value_that_it_does_not_take_is_bad_usage(variable: str) -> None:
    with pytest.raises(UsageError, match=variable):
        resources(**{variable: "wrong"})


def test_a_dyno_has_its_own_size_or_that_of_the_machine() -> None:
    spec = make_spec()
    assert spec.size is None
    found = resources(LIBCONTAINER_DYNO_SIZE="performance-m")
    assert found.size_of(spec) == named("performance-m")
    assert found.size_of(spec._replace(size="eco")) == named("eco")
    with pytest.raises(DynoStartError, match="wrong"):
        found.size_of(spec._replace(size="wrong"))


def test_a_dyno_may_write_half_of_its_memory_or_what_the_machine_says() -> None:
    size = named("standard-2x")
    assert resources().scratch_bytes(size) == size.memory // 2
    assert resources(LIBCONTAINER_DYNO_SCRATCH="7M").scratch_bytes(size) == 7 << 20
