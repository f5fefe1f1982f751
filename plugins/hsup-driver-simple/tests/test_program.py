"""A spec becomes the program that a shell would execute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsup.errors import DynoStartError
from hsup.model import Command, DynoName, DynoSpec, Release
from hsup.testing import dyno_spec
from hsup_driver_simple.program import find, inherited, program

SURROUNDINGS = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "HEROKU_ACCESS_TOKEN": "secret",
    "HSUP_CONTROL_DIR": "/etc/hsup",
}


def spec(*words: str, **config: str) -> DynoSpec:
    release = Release(app="hello", version=1, config=config)
    return dyno_spec(release, DynoName("web", 1), Command(words=words), port=5000)


def test_only_what_a_program_needs_is_inherited() -> None:
    kept = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    assert inherited(SURROUNDINGS) == kept


def test_config_vars_outweigh_what_is_inherited_and_the_platform_outweighs_both() -> None:
    made = program(spec("true", HOME="/app", DYNO="mine", PORT="1"), SURROUNDINGS)
    assert made.environment["HOME"] == "/app"
    assert made.environment["DYNO"] == "web.1"
    assert made.environment["PORT"] == "5000"


def test_one_word_is_run_by_bash() -> None:
    made = program(spec("echo $PORT | cat"), SURROUNDINGS)
    assert made.path.endswith("/bash")
    assert made.argv == ("bash", "-c", "--", "echo $PORT | cat")


def test_several_words_are_looked_for_in_the_path_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    made = program(spec("tool", "x", PATH=f"/nowhere:{tmp_path}"), SURROUNDINGS)
    assert made.path == str(tmp_path / "tool")
    assert made.argv == ("tool", "x")


def test_bash_is_found_though_the_release_sets_a_path_without_it() -> None:
    assert program(spec("true", PATH="/nowhere"), SURROUNDINGS).path.endswith("/bash")


def test_a_command_that_is_not_there_is_127() -> None:
    with pytest.raises(DynoStartError, match="not in a directory of PATH") as caught:
        program(spec("no-such-command", "x"), SURROUNDINGS)
    assert caught.value.exit_code == 127


def test_a_file_that_is_not_executable_is_126_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "my tool").write_text("")
    for word, path in ((str(tmp_path / "my tool"), None), ("my tool", str(tmp_path))):
        with pytest.raises(DynoStartError) as caught:
            find(word, path or "")
        assert caught.value.exit_code == 126
        assert caught.value.hint == f"run chmod +x '{tmp_path}/my tool'"


def test_a_directory_is_126_and_no_program_to_make(tmp_path: Path) -> None:
    with pytest.raises(DynoStartError, match="it is not an executable file") as caught:
        find(str(tmp_path), "")
    assert (caught.value.exit_code, caught.value.hint) == (126, None)


@pytest.mark.parametrize(
    ("content", "exit_code"), [("#!/no/such/interpreter\n", 127), ("\x7fELF", 126)]
)
def test_a_file_that_the_kernel_refuses_is_an_error(
    tmp_path: Path, content: str, exit_code: int
) -> None:
    (tmp_path / "tool").write_text(content)
    (tmp_path / "tool").chmod(0o755)
    made = program(spec(str(tmp_path / "tool"), "x"), SURROUNDINGS)
    if exit_code == 126:  # bash is asked, as a shell would ask itself; it refuses
        pid = made.spawn(actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", 1, 0)], session=False)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 126
        return
    with pytest.raises(DynoStartError, match="interpreter") as caught:
        made.spawn(session=False)
    assert caught.value.exit_code == exit_code


def test_what_cannot_be_an_argument_is_an_error() -> None:
    for word in ("a\0b", "\ud800"):
        with pytest.raises(DynoStartError, match="cannot execute"):
            program(spec("true", word), SURROUNDINGS).spawn(session=False)


def test_a_process_that_has_the_command_of_its_image_only_is_refused() -> None:
    with pytest.raises(
        DynoStartError, match=r"the release has no command for web\.1, only its image does"
    ):
        program(spec(), SURROUNDINGS)
