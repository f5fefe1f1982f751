from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import UsageError
from hsup.events import Scale
from hsup.model import Command, DynoName, DynoSpec, ProcessType, Release
from hsup.supervision.formation import Change, ScaleRequest, change
from hsup.testing import make_release

NAMES = st.builds(DynoName, st.sampled_from(["web", "worker", "clock"]), st.integers(1, 12))
COMMANDS = st.sampled_from([Command(("a",)), Command(("b",)), Command(("c", "d"))])


@st.composite
def spec_maps(draw: st.DrawFn) -> dict[DynoName, DynoSpec]:
    commands = draw(st.dictionaries(NAMES, COMMANDS))
    version = draw(st.integers(1, 9))
    return {
        name: DynoSpec(name=name, command=command, config={}, app="shop", release_version=version)
        for name, command in commands.items()
    }


def test_the_scale_of_a_formation_is_that_of_its_dynos_not_the_releases() -> None:
    release = make_release(release=1, web=3, worker=0)
    asked = ScaleRequest(sizes={"web": "eco"})
    assert asked.scales(release) == {"web": Scale(1, "eco"), "worker": Scale(0)}
    asked = ScaleRequest(quantities={"worker": 2}, size="basic")
    assert asked.scales(release) == {"web": Scale(0, "basic"), "worker": Scale(2, "basic")}
    assert ScaleRequest(follows_release=True).scales(release)["web"] == Scale(3)


@given(running=spec_maps(), wanted=spec_maps())
def test_applying_the_change_gives_what_is_wanted(
    running: dict[DynoName, DynoSpec], wanted: dict[DynoName, DynoSpec]
) -> None:
    todo = change(running, wanted)
    after = {name: spec for name, spec in running.items() if name not in todo.stop}
    after |= {name: wanted[name] for name in (*todo.restart, *todo.start)}
    assert after.keys() == wanted.keys()
    assert all(spec.runs_like(wanted[name]) for name, spec in after.items())


@given(running=spec_maps(), wanted=spec_maps())
def test_nothing_is_done_that_need_not_be(
    running: dict[DynoName, DynoSpec], wanted: dict[DynoName, DynoSpec]
) -> None:
    todo = change(running, wanted)
    assert set(todo.stop) == running.keys() - wanted.keys()
    assert set(todo.start) == wanted.keys() - running.keys()
    assert all(not running[name].runs_like(wanted[name]) for name in todo.restart)
    touched = [*todo.stop, *todo.restart, *todo.start]
    assert len(touched) == len(set(touched))


@given(running=spec_maps())
def test_equal_specs_of_another_release_are_left_alone(running: dict[DynoName, DynoSpec]) -> None:
    same = {name: spec._replace(release_version=99, app="other") for name, spec in running.items()}
    assert change(running, same) == Change()


@given(running=spec_maps(), wanted=spec_maps())
def test_the_highest_numbers_of_a_type_leave_first(
    running: dict[DynoName, DynoSpec], wanted: dict[DynoName, DynoSpec]
) -> None:
    leaving = change(running, wanted).stop
    for kind in {name.type for name in leaving}:
        numbers = [name.number for name in leaving if name.type == kind]
        assert numbers == sorted(numbers, reverse=True)


def names_of(asked: ScaleRequest, release: Release) -> list[str]:
    return [str(name) for name in asked.names(release)]


def test_by_default_every_type_with_a_quantity_has_one_dyno() -> None:
    release = make_release(web=3, worker=0, clock=1)
    assert names_of(ScaleRequest(), release) == ["web.1", "clock.1"]


def test_quantities_can_follow_the_release() -> None:
    release = make_release(web=2, worker=0, clock=1)
    assert names_of(ScaleRequest(follows_release=True), release) == ["web.1", "web.2", "clock.1"]


def test_what_was_asked_for_outweighs_the_release() -> None:
    release = make_release(web=5, worker=0, clock=1)
    assert names_of(ScaleRequest(quantities={"worker": 2, "web": 1}), release) == [
        "web.1",
        "worker.1",
        "worker.2",
    ]


def test_numbers_count_from_the_one_that_was_asked_for() -> None:
    asked = ScaleRequest(quantities={"web": 2}, start_number=7)
    assert names_of(asked, make_release(web=1)) == ["web.7", "web.8"]


@pytest.mark.parametrize(
    ("asked", "of_release", "size"),
    [
        (ScaleRequest(), None, None),
        (ScaleRequest(), "eco", "eco"),
        (ScaleRequest(size="basic"), None, "basic"),
        (ScaleRequest(size="basic"), "eco", "eco"),
        (ScaleRequest(size="basic", sizes={"web": "performance-m"}), "eco", "performance-m"),
        (ScaleRequest(size="basic", sizes={"worker": "performance-m"}), None, "basic"),
    ],
    ids=str,
)
def test_the_size_that_was_asked_for_a_type_outweighs_the_releases_and_the_default(
    asked: ScaleRequest, of_release: str | None, size: str | None
) -> None:
    web = ProcessType(name="web", command=Command(("serve",)), size=of_release)
    assert asked.size_of(web) == size


def test_the_release_type_is_no_dyno_of_a_release() -> None:
    release = make_release(release=4, web=1)
    assert names_of(ScaleRequest(follows_release=True), release) == ["web.1"]
    assert names_of(ScaleRequest(quantities={"release": 1}), release) == []


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    asked = ScaleRequest(quantities={"web": 1, "wroker": 2})
    with pytest.raises(UsageError) as caught:
        asked.require_known_types(make_release(version=4, release=1, web=1, worker=1))
    text = str(caught.value)
    assert text == 'v4 of shop has no process type "wroker"; choose from web, worker'


def test_the_release_phase_is_no_unknown_type_but_runs_before_the_others() -> None:
    with pytest.raises(UsageError) as caught:
        ScaleRequest(quantities={"release": 1}).require_known_types(make_release(release=1))
    assert str(caught.value) == (
        'process type "release" runs once before the dynos of each release, and cannot be started; '
        "hsup run release runs it alone"
    )
    with pytest.raises(UsageError, match='no process type "release"; choose from web'):
        ScaleRequest(quantities={"release": 1}).require_known_types(make_release(web=1))


def test_an_unknown_type_of_a_release_without_any_is_refused() -> None:
    with pytest.raises(UsageError, match="add process types to the release"):
        ScaleRequest(quantities={"web": 1}).require_known_types(make_release())


def test_known_types_are_accepted() -> None:
    ScaleRequest(quantities={"web": 0}).require_known_types(make_release(web=1))
    ScaleRequest().require_known_types(make_release())
