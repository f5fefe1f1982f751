from __future__ import annotations

import pytest

from tests.cli.calling import call, failed


def test_check_prints_every_fault_with_its_place(folder):
    (folder / "Procfile").write_text("web: ./serve\nweb: ./serve\n: no name\nworker:\n")
    ended = call("check", "Procfile")
    assert ended.exit_code == 1
    kinds = [line.split(": ")[1:3] for line in ended.output.splitlines()]
    assert kinds == [["warning", "line 2"], ["fault", "line 3"], ["fault", "line 4"]]


@pytest.mark.usefixtures("folder")
def test_what_is_good_is_said_so():
    ended = call("check")
    assert ended.exit_code == 0
    assert ended.output.endswith(": ok\n")


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there_is_bad_usage():
    assert "cannot check gone: the file does not exist" in str(failed("check", "gone"))


@pytest.mark.usefixtures("folder")
def test_a_source_may_be_named():
    assert call("check", "--source", "procfile", "Procfile").exit_code == 0
