from __future__ import annotations

from typing import Any

import pytest

from hsup.model import Author, Command, Drain, DynoName, ExitStatus, Fault, Release, Slug
from hsup.testing import make_release, make_spec


def test_a_command_of_one_word_is_a_line_for_the_shell() -> None:
    command = Command(("bundle exec puma | tee log",))
    assert command.is_shell_line
    assert str(command) == "bundle exec puma | tee log"


def test_a_command_of_several_words_is_told_as_a_shell_would_read_it() -> None:
    command = Command(("echo", "a  b", "$HOME"))
    assert not command.is_shell_line
    assert str(command) == "echo 'a  b' '$HOME'"


def test_a_dyno_is_named_by_type_and_number() -> None:
    assert str(DynoName("web", 12)) == "web.12"


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (ExitStatus(), 0),
        (ExitStatus(code=3), 3),
        (ExitStatus(signal=15), 143),
        (ExitStatus(code=255), 255),
    ],
)
def test_a_status_is_as_a_shell_has_it(ended: ExitStatus, status: int) -> None:
    assert ended.status == status


@pytest.mark.parametrize(
    ("location", "image"),
    [
        ("docker://registry.example:5000/shop:1", "registry.example:5000/shop:1"),
        ("docker://", ""),
        ("slug.tgz", None),
        ("/srv/docker://x", None),
        ("https://example.com/docker://x", None),
        ("docker:x", None),
    ],
)
def test_a_slug_whose_location_says_so_is_a_container_image(
    location: str, image: str | None
) -> None:
    assert Slug(location).image == image


def test_a_release_finds_its_process_types() -> None:
    release = make_release(web=1, worker=2)
    assert release.process("worker") == release.processes[1]
    assert release.process("clock") is None


def test_a_release_is_told_by_version_and_app() -> None:
    assert str(make_release(version=7)) == "v7 of shop"


def test_a_release_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(make_release(), "version", 2)  # noqa: B010 - the type checker knows it too


def test_scale_is_quantities_and_sizes() -> None:
    one, other = make_release(web=1, worker=2), make_release(web=3, worker=0)
    assert one.differs_in_scale_only(other)
    assert one.scaled_like(other) == other
    assert not one.differs_in_scale_only(other._replace(version=2))
    assert not one.differs_in_scale_only(make_release(web=1))
    assert not make_release(web=1).differs_in_scale_only(one)


def test_specs_run_alike_whatever_release_they_come_from() -> None:
    before, after = make_spec(version=1), make_spec(version=2)
    assert before.runs_like(after)
    assert before.runs_like(before._replace(app="another"))
    assert before.runs_like(before._replace(author=Author(1000, 1000)))


@pytest.mark.parametrize(
    "different",
    [
        {"command": Command(("other",))},
        {"config": {"A": "1"}},
        {"port": None},
        {"slug": Slug("/srv/slug.tgz")},
        {"stack": "heroku-24"},
        {"binds": (("/a", "/b"),)},
    ],
    ids=str,
)
def test_specs_differ_in_all_that_a_process_could_notice(different: dict[str, Any]) -> None:
    assert not make_spec().runs_like(make_spec()._replace(**different))


def test_the_same_release_of_another_author_differs_in_scale_only() -> None:
    release = make_release(web=1)
    assert release.differs_in_scale_only(release._replace(author=Author(1000, 1000)))


def test_a_fault_is_told_with_its_place() -> None:
    assert str(Fault("line 3", "no colon")) == "line 3: no colon"


def test_a_fault_of_the_whole_is_told_without_a_place() -> None:
    assert str(Fault("", "no process type")) == "no process type"
    assert str(Fault("line 3", "no colon", file=".env")) == ".env line 3: no colon"
    assert str(Fault('"name"', "no text", file="app.json")) == 'app.json, "name": no text'
    assert str(Fault("", "no object", file="app.json")) == "app.json: no object"


def test_a_release_has_nothing_that_was_not_given() -> None:
    release = Release(app="shop", version=1)
    assert (release.config, release.processes, release.slug) == ({}, (), None)


def test_the_url_of_a_drain_is_not_shown() -> None:
    drain = Drain("https://user:secret@logs.example/x", "d.1")
    release = make_release()._replace(drains=(drain,))
    assert "secret" not in repr(release)
    assert "logs.example" not in f"{drain} {release!r}"


def test_a_change_of_drains_restarts_nothing() -> None:
    release = make_release(web=1)
    other = release._replace(drains=(Drain("https://logs.example"),))
    assert release.differs_in_scale_only(other)
    assert release.scaled_like(other) == other
