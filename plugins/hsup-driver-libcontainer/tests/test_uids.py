"""The operator chooses the range of uids, which must be valid."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from hsup.errors import DriverError, UsageError
from hsup_driver_libcontainer.leases import Leases
from hsup_driver_libcontainer.uids import examine, take, uid_range


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("", "", range(3000, 11001)),
        ("5000", "", range(5000, 11001)),
        (" 77 ", "77", range(77, 78)),
    ],
)
def test_the_range_is_what_the_variables_say(first: str, last: str, expected: range) -> None:
    environ = {"LIBCONTAINER_DYNO_UID_MIN": first, "LIBCONTAINER_DYNO_UID_MAX": last}
    assert uid_range(environ) == expected


@pytest.mark.parametrize("text", ["0", "-1", "x", "3e3", "٣", "4294967295"])
def test_what_is_no_uid_is_refused(text: str) -> None:
    expected = f'LIBCONTAINER_DYNO_UID_MIN must be a uid, 1 or more, got "{text}"'
    with pytest.raises(UsageError, match=expected):
        uid_range({"LIBCONTAINER_DYNO_UID_MIN": text})


def test_an_empty_range_is_refused() -> None:
    expected = "UID_MAX must not be less than LIBCONTAINER_DYNO_UID_MIN, got 11000 and 12000"
    with pytest.raises(UsageError, match=expected):
        uid_range({"LIBCONTAINER_DYNO_UID_MIN": "12000"})


def leases(directory: Path, numbers: range) -> Leases:
    return Leases(str(directory / "uids"), numbers, resource="uid", remedy="raise it")


def test_the_uids_of_accounts_and_of_their_containers_are_passed_over(tmp_path: Path) -> None:
    """Accounts and groups are looked up by the C library; every machine has daemon."""
    (tmp_path / "subuid").write_text("me:2:2\nfaulty\n\nroot:70000:5\n")
    (tmp_path / "subgid").write_text("me:4:1\n")
    daemon = pwd.getpwnam("daemon").pw_uid
    assert daemon == 1
    with pytest.raises(DriverError, match="no uid is free"):
        take(leases(tmp_path, range(daemon, 5)), str(tmp_path))
    free = range(70004, 70007)
    assert take(leases(tmp_path, free), str(tmp_path)) == 70005
    assert take(leases(tmp_path, free), str(tmp_path)) == 70006


def test_uids_that_others_have_are_a_finding_that_keeps_nobody_from_starting(
    tmp_path: Path,
) -> None:
    os.mkdir(tmp_path / "none")
    assert examine(range(70000, 70010), str(tmp_path / "none")).is_good
    (tmp_path / "subuid").write_text("me:70005:65536\n")
    for numbers, told in ((range(1, 3), "daemon (1)"), (range(70000, 70010), "ids from 70005")):
        finding = examine(numbers, str(tmp_path))
        assert not finding.is_good
        assert not finding.remedy
        assert told in finding.text
