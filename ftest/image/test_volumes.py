"""The directories of a container that may be the host's, or another container's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ftest.image.conftest import Control
from ftest.image.engine import Engine


@pytest.mark.parametrize("point", ["/var/lib/hsup", "/var/lib/hsup/stacks", None])
def test_a_fresh_container_unpacks_no_stack(
    engine: Engine, tmp_path: Path, point: str | None
) -> None:
    """Also where a volume is empty, but for what a new file system has."""
    (tmp_path / "lost+found").mkdir()
    more = ("--volume", f"{tmp_path}:{point}") if point else ()
    done = engine.run("run", "cat /etc/debian_version; stat -c %u:%a /bin/su", more=more)
    assert done.status == 0, done
    assert "unpacking stack" not in done.message
    version, su = done.text.splitlines()
    assert version.startswith("12.")
    assert su == "0:4755"


def test_a_volume_has_slugs_too(engine: Engine, tmp_path: Path) -> None:
    volume = ("--volume", f"{tmp_path}/lib:/var/lib/hsup", "--volume", f"{tmp_path}/etc:/etc/hsup")
    app = tmp_path / "app"
    app.mkdir()
    (app / "greeting").write_text("hello\n")
    (tmp_path / "etc").mkdir()
    subprocess.run(["tar", "-czf", tmp_path / "etc/slug.tgz", "-C", tmp_path, "./app"], check=True)
    release = {"Version": 1, "Slug": "/etc/hsup/slug.tgz", "Processes": []}
    (tmp_path / "etc/new").write_text(json.dumps(release))
    done = engine.run("run", "cat greeting", more=volume)
    assert done.text == "hello\n", done
    assert len(list(tmp_path.glob("lib/slugs/unpacked/*"))) == 1


def test_containers_share_stacks(engine: Engine, tmp_path: Path) -> None:
    """What one of them has imported the others have."""
    volume = ("--volume", f"{tmp_path}:/var/lib/hsup/stacks")
    words = ("stacks", "import", "mine", "/usr/share/hsup/stack", "--primary")
    assert engine.run(*words, more=volume).status == 0
    done = engine.run("stacks", "list", "--json", more=volume)
    assert [one["name"] for one in json.loads(done.text) if one["primary"]] == ["mine"], done


def test_two_containers_at_once_make_an_empty_directory_of_stacks_whole(
    engine: Engine, tmp_path: Path
) -> None:
    volume = ("--volume", f"{tmp_path}:/var/lib/hsup/stacks")
    both = [engine.start("run", "echo up; sleep 3", more=volume) for _ in range(2)]
    for one in both:
        one.wait_for("up\n")
    assert [one.name for one in tmp_path.glob("*.yml")] == ["manifest.yml"]
    assert not list(tmp_path.glob(".manifest.??????*[!json]"))
    for one in both:
        one.stop()


def test_a_stack_of_the_hosts_counts(engine: Engine, tmp_path: Path) -> None:
    """The image brings its own to an empty directory only."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    (stacks / "manifest.yml").write_text("- name: mine\n  url: /nowhere\n  primary: true\n")
    done = engine.run("run", "true", more=("--volume", f"{stacks}:/var/lib/hsup/stacks"))
    assert done.status == 1
    assert "/nowhere" in done.message


def test_a_new_release_becomes_the_loaded_one(engine: Engine, control: Control) -> None:
    control.put("new", "echo this is new")
    done = engine.run("start", "--oneshot", more=control.volume)
    assert done.status == 0, done
    assert "app[one.1]: this is new\n" in done.text
    assert (control.directory / "loaded").exists()
    assert not (control.directory / "new").exists()
    again = engine.run("start", "--oneshot", more=control.volume)
    assert "app[one.1]: this is new\n" in again.text


def test_a_loaded_release_may_be_read_only(engine: Engine, control: Control) -> None:
    control.put("loaded", "echo this was loaded")
    done = engine.run("start", "--oneshot", more=(*control.volume[:1], f"{control.volume[1]}:ro"))
    assert done.status == 0, done
    assert "app[one.1]: this was loaded\n" in done.text


def test_a_faulty_release_is_told_and_put_aside(engine: Engine, control: Control) -> None:
    (control.directory / "new").write_text('{"Version": "one"}')
    done = engine.run("run", "true", more=control.volume)
    assert done.status == 1
    assert '"Version" must be a whole number' in done.message
    assert (control.directory / "rejected").exists()


def test_releases_follow_one_another_while_the_container_runs(
    engine: Engine, control: Control
) -> None:
    container = engine.start("start", more=control.volume)
    container.wait_for("There is no release yet")
    for version in (1, 2):
        control.put("new", f"echo release {version}; exec sleep 1000", version=version)
        container.wait_for(f"app[one.1]: release {version}\n")
    container.stop()
    assert container.status == 0


def test_slugs_are_kept_in_a_volume(
    engine: Engine, control: Control, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    slug = request.config.getoption("--slug")
    (control.directory / "slug.tgz").write_bytes(slug.read_bytes())
    release = '{"Version": 1, "Slug": "/etc/hsup/slug.tgz", "Processes": []}'
    (control.directory / "new").write_text(release)
    slugs = tmp_path / "slugs"
    for volume in ((), ("--volume", f"{slugs}:/var/lib/hsup/slugs")):
        line = "stat -c %U guestbook.py; touch guestbook.py && echo written"
        done = engine.run("run", line, more=(*control.volume, *volume))
        assert done.text == "dyno\nwritten\n", done
    assert list(slugs.glob("unpacked/*"))
