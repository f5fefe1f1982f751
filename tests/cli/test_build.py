from __future__ import annotations

import pytest

from tests.cli.calling import call
from tests.cli.telling import TELLING
from tests.conftest import Installer


@pytest.mark.usefixtures("directory")
def test_a_release_is_built_by_the_driver(install: Installer) -> None:
    install("hsup-driver-telling", TELLING)
    output = call("build", "-d", "telling").output
    assert "build v1 of shop\n" in output
    assert 'hsup: built v1 of shop for driver "telling"\n' in output
