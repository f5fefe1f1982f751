"""The range of uids is the operator's, and makes sense."""

from __future__ import annotations

import pytest

from hsup.errors import UsageError
from hsup_driver_libcontainer.uids import uid_range


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("", "", range(3000, 11001)),
        ("5000", "", range(5000, 11001)),
        (" 77 ", "77", range(77, 78)),
    ],
)
def test_the_range_is_what_the_variables_say(first, last, expected):
    environ = {"LIBCONTAINER_DYNO_UID_MIN": first, "LIBCONTAINER_DYNO_UID_MAX": last}
    assert uid_range(environ) == expected


@pytest.mark.parametrize("text", ["0", "-1", "x", "3e3", "٣", "4294967295"])
def test_what_is_no_uid_is_refused(text):
    expected = f'LIBCONTAINER_DYNO_UID_MIN must be a uid from 1 up, got "{text}"'
    with pytest.raises(UsageError, match=expected):
        uid_range({"LIBCONTAINER_DYNO_UID_MIN": text})


def test_an_empty_range_is_refused():
    expected = "UID_MAX must not be less than LIBCONTAINER_DYNO_UID_MIN, got 11000 and 12000"
    with pytest.raises(UsageError, match=expected):
        uid_range({"LIBCONTAINER_DYNO_UID_MIN": "12000"})
