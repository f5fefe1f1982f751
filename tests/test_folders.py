from __future__ import annotations

import os
import stat

import pytest

from hsup.folders import make_folders


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_may_write_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        make_folders(str(tmp_path / "above" / "own"))
        make_folders(str(tmp_path / "above" / "passable"), 0o755)
    finally:
        os.umask(before)
    assert mode(tmp_path / "above") == 0o755
    assert mode(tmp_path / "above" / "own") == 0o700
    assert mode(tmp_path / "above" / "passable") == 0o755


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o750)
    make_folders(str(tmp_path))
    assert mode(tmp_path) == 0o750


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)
