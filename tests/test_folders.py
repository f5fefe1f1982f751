from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsup.folders import make_folders


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_folder_is_its_owners_alone_and_those_above_it_can_be_passed(tmp_path):
    path = tmp_path / "a/b/c"
    make_folders(str(path))
    assert [mode_of(one) for one in (path, path.parent, path.parent.parent)] == [
        0o700,
        0o755,
        0o755,
    ]


@pytest.mark.usefixtures("umask")
def test_a_folder_has_the_mode_that_was_asked_for(tmp_path):
    make_folders(str(tmp_path / "shared"), 0o1777)
    assert mode_of(tmp_path / "shared") == 0o1777


def test_what_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "a").mkdir(mode=0o711)
    make_folders(str(tmp_path / "a"))
    assert mode_of(tmp_path / "a") == 0o711


def test_what_cannot_be_a_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folders(str(tmp_path / "file/a"))
