from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogEvent
from hsup.events import ReleaseReceived, Scale
from hsup.model import Release, Slug
from hsup.output import causes
from hsup.output.lines import CAUSED
from hsup.testing import make_release

FIRST = make_release(version=1, web=1, config={"A": "1", "B": "2"})
COMMIT = "1a2b3c4d5e6f708192a3b4c5d6e7f80910111213"


def texts(
    release: Release,
    previous: Release | None = FIRST,
    formation: dict[str, Scale] | None = None,
    before: dict[str, Scale] | None = None,
) -> list[str]:
    """Return the lines for a release that follows another one."""
    earlier = None if previous is None else ReleaseReceived(previous, formation=before or {})
    event = ReleaseReceived(release, formation=formation or {}, previous=earlier)
    lines = list(causes.received(event))
    assert {line.source for line in lines} <= {CAUSED}
    return [line.text for line in lines]


def test_at_a_start_nothing_was_caused_but_the_release() -> None:
    assert texts(FIRST, previous=None, formation={"web": Scale(1)}) == ["Release v1 created"]


def test_config_vars_are_told_by_their_names_alone_in_order() -> None:
    changed = FIRST._replace(version=2, config={"B": "secret", "Z": "new", "AA": ""})
    assert texts(changed) == [
        "Set AA, B, Z config vars",
        "Remove A config vars",
        "Release v2 created",
    ]


@given(
    new=st.dictionaries(st.sampled_from("ABC"), st.text(min_size=9)),
    old=st.dictionaries(st.sampled_from("ABC"), st.text(min_size=9)),
)
def test_no_line_has_the_value_of_a_config_var(new: dict[str, str], old: dict[str, str]) -> None:
    told = texts(FIRST._replace(version=2, config=new), previous=FIRST._replace(config=old))
    assert not [value for value in (*new.values(), *old.values()) if value in "\n".join(told)]


@pytest.mark.parametrize(
    ("slug", "commit", "is_told"),
    [
        (Slug("/b"), COMMIT, True),
        (Slug("/a"), COMMIT, True),
        (Slug("/b"), "old", True),
        (Slug("/a"), "old", False),
        (Slug("/b"), "", False),
    ],
    ids=["both", "commit", "slug", "neither", "unknown"],
)
def test_other_code_is_told_by_the_beginning_of_its_commit(
    slug: Slug, commit: str, is_told: bool
) -> None:
    previous = FIRST._replace(slug=Slug("/a"), metadata={"HEROKU_SLUG_COMMIT": "old"})
    release = previous._replace(version=2, slug=slug, metadata={"HEROKU_SLUG_COMMIT": commit})
    told = [f"Deploy {commit[:8]}"] if is_told else []
    assert texts(release, previous) == [*told, "Release v2 created"]


def test_a_change_of_scale_alone_makes_no_release() -> None:
    formation = {"worker": Scale(0, "eco"), "web": Scale(2, "1X"), "clock": Scale(1, "own")}
    told = texts(FIRST, formation=formation, before={"web": Scale(1)})
    assert told == ["Scaled to clock@1:own web@2:Standard-1X worker@0:Eco"]


def test_a_size_that_nobody_gave_is_not_made_up() -> None:
    told = texts(FIRST, formation={"web": Scale(2)}, before={"web": Scale(1)})
    assert told == ["Scaled to web@2"]


def test_a_release_that_also_scales_is_told_first() -> None:
    told = texts(FIRST._replace(version=2), formation={"web": Scale(2)}, before={"web": Scale(1)})
    assert told == ["Release v2 created", "Scaled to web@2"]


def test_what_changes_no_dyno_has_no_line() -> None:
    assert texts(FIRST, formation={"web": Scale(1)}, before={"web": Scale(1)}) == []


def test_programs_are_told_the_same() -> None:
    release = FIRST._replace(version=2, config={"B": "2", "C": "3"})
    earlier = ReleaseReceived(FIRST, formation={"web": Scale(1)})
    formation = {"web": Scale(2, "standard-2x")}
    lines = causes.received(ReleaseReceived(release, formation=formation, previous=earlier))
    assert [line.event for line in lines] == [
        LogEvent("config_set", facts={"config_vars": ["C"]}),
        LogEvent("config_removed", facts={"config_vars": ["A"]}),
        LogEvent("release_received"),
        LogEvent("scaled", facts={"formation": {"web": {"quantity": 2, "size": "Standard-2X"}}}),
    ]


def test_a_release_phase_is_told_by_the_number_of_its_release() -> None:
    assert causes.release_phase_started(FIRST).text == "Running release v1 commands"
    assert causes.release_phase_failed(FIRST).text == "Release v1 command failed"
