from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from hsup.launch import environment
from hsup.model import Bind, Command, DynoName, ProcessType, Release, Slug
from hsup.supervision.dyno_spec import dyno_spec, one_off_command, one_off_name
from hsup.testing import make_release


def test_a_spec_has_all_of_its_release_that_matters(tmp_path: Path) -> None:
    bind = Bind(host=tmp_path, dyno=tmp_path)
    release = make_release(version=9, config={"A": "1"})._replace(
        slug=Slug("slug.tgz"), stack="heroku-24"
    )
    spec = dyno_spec(
        release, DynoName("web", 1), Command(("x",)), port=5000, size="eco", binds=(bind,)
    )
    assert (spec.config, spec.slug, spec.stack) == ({"A": "1"}, Slug("slug.tgz"), "heroku-24")
    assert (spec.app, spec.release_version, spec.binds) == ("shop", 9, (bind,))
    assert (spec.port, spec.size) == (5000, "eco")


def metadata_of(release: Release, number: int = 1) -> dict[str, str]:
    name = DynoName("web", number)
    spec = dyno_spec(release, name, Command(("x",)), port=5000, has_metadata=True)
    variables = environment(spec)
    return {name: variables[name] for name in variables if name.startswith("HEROKU_")}


def test_a_dyno_has_metadata_where_that_is_asked_for() -> None:
    commit = {"HEROKU_SLUG_COMMIT": "5ca1e"}
    release = make_release(version=42, config={"HEROKU_APP_NAME": "mine"})._replace(metadata=commit)
    metadata = metadata_of(release)
    assert UUID(metadata.pop("HEROKU_DYNO_ID"))
    assert metadata == {
        "HEROKU_APP_NAME": "shop",
        "HEROKU_RELEASE_VERSION": "v42",
        "HEROKU_SLUG_COMMIT": "5ca1e",
    }
    spec = dyno_spec(release, DynoName("web", 1), Command(("x",)), port=5000)
    assert environment(spec) == {"HEROKU_APP_NAME": "mine", "PORT": "5000", "DYNO": "web.1"}


def test_a_dyno_keeps_its_id_as_long_as_the_release_runs() -> None:
    def ids(release: Release) -> list[str]:
        return [metadata_of(release, number)["HEROKU_DYNO_ID"] for number in (1, 2)]

    assert ids(make_release(version=1)) == ids(make_release(version=1))
    assert len({*ids(make_release(version=1)), *ids(make_release(version=2))}) == 4


def test_a_one_off_has_four_digits() -> None:
    name = one_off_name("run")
    assert name.type == "run"
    assert 1000 <= name.number <= 9999


def test_a_one_off_has_the_number_of_no_live_one() -> None:
    live = [DynoName("run", number) for number in range(1000, 10_000) if number != 4711]
    assert one_off_name("run", live) == DynoName("run", 4711)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("worker",), ("work $QUEUE && true",)),
        (("worker", "42", "a b"), ("work $QUEUE && true 42 'a b'",)),
        (("worker 42 | cat",), ("work $QUEUE && true 42 | cat",)),
        (("argv",), ("./serve", "a  b")),
        (("argv", "42", "$HOME"), ("./serve", "a  b", "42", "$HOME")),
        (("argv $HOME",), ("./serve 'a  b' $HOME",)),
        (("workers",), ("workers",)),
        (("echo", "worker"), ("echo", "worker")),
        (("bash -c worker",), ("bash -c worker",)),
        (("own", "x"), ("own", "x")),
        ((" ",), (" ",)),
    ],
)
def test_a_type_stands_for_its_command_with_what_follows_it(
    words: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    commands = {"worker": ("work $QUEUE && true",), "argv": ("./serve", "a  b"), "own": ()}
    processes = tuple(ProcessType(name, Command(one)) for name, one in commands.items())
    release = Release(app="shop", version=1, processes=processes)
    assert one_off_command(release, words) == Command(expected)
