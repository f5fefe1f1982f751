from __future__ import annotations

import pytest

from hsup import errors
from hsup.errors import (
    DriverError,
    DynoStartError,
    HsupError,
    InvalidRelease,
    PluginError,
    ReleaseFailed,
    SourceError,
    UsageError,
)
from hsup.model import Fault
from hsup.testing import make_release


def test_a_hint_follows_the_text() -> None:
    assert str(HsupError("cannot do it", hint="try again")) == "cannot do it; try again"


def test_without_a_hint_there_is_only_the_text() -> None:
    assert str(HsupError("cannot do it")) == "cannot do it"


def test_bad_usage_ends_with_2_and_a_failure_of_ours_with_1() -> None:
    assert UsageError("no").exit_code == 2
    for failure in (HsupError, PluginError, SourceError, DriverError, DynoStartError):
        assert failure("no").exit_code == 1


def test_a_dyno_that_could_not_be_started_says_what_a_shell_would_end_with() -> None:
    assert DynoStartError("no such command: frob", exit_code=127).exit_code == 127


def test_a_rejection_of_one_fault_tells_it() -> None:
    error = InvalidRelease("cannot read new", [Fault("line 1", "no brace")])
    assert str(error) == "cannot read new: line 1: no brace"
    assert error.faults == (Fault("line 1", "no brace"),)


def test_a_rejection_of_several_faults_tells_the_first_and_where_the_others_are() -> None:
    faults = [Fault("line 1", "a"), Fault("line 2", "b"), Fault("line 3", "c")]
    error = InvalidRelease("cannot read new", faults, hint="mend it")
    assert str(error) == "cannot read new: line 1: a (and 2 more); mend it"


def test_a_failed_release_phase_has_its_status() -> None:
    error = ReleaseFailed(make_release(version=3), "exited with status 7", exit_code=7)
    assert str(error) == "the release phase of v3 of shop exited with status 7"
    assert error.exit_code == 7


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_every_error_is_caught_with_the_tree(name: str) -> None:
    assert issubclass(getattr(errors, name), HsupError)
