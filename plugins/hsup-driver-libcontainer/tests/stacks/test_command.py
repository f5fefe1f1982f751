from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hsup.api import Settings
from hsup.errors import HsupError
from hsup_driver_libcontainer.stacks.command import stacks


@pytest.fixture
def run(settings: Settings) -> Callable[..., tuple[int, str, str]]:
    options = SimpleNamespace(settings=lambda: settings)

    def call(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(stacks, words, obj=options)
        if isinstance(result.exception, HsupError):
            return result.exception.exit_code, result.stdout, str(result.exception)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


def test_the_commands_are_imported_without_what_they_need() -> None:
    program = (
        "import sys; from hsup_driver_libcontainer.stacks.command import stacks;"
        "print([name for name in ('yaml', 'requests', 'subprocess', 'hashlib',"
        "'hsup_driver_libcontainer.stacks.store') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"[]\n"


def test_a_new_machine_lists_the_stack_that_would_be_pulled(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    assert run("list")[1] == (
        "NAME         VERSION  STATE          SIZE  FROM\n"
        "heroku-24 *           not installed        docker://docker.io/heroku/heroku:24\n"
    )


def test_a_stack_is_imported_listed_and_removed(
    run: Callable[..., tuple[int, str, str]], small_root: Path
) -> None:
    assert run("import", "mine:1.2", str(small_root), "--primary") == (
        0,
        "",
        "hsup: imported stack mine:1.2\n",
    )
    assert json.loads(run("list", "--json")[1]) == [
        {
            "name": "mine",
            "version": "1.2",
            "primary": True,
            "url": str(small_root),
            "checksum": None,
            "path": str(small_root),
            "in_use": False,
            "digest": None,
            "filesystem": None,
            "bytes": None,
        }
    ]
    assert run("pull") == (0, "", "hsup: stack mine:1.2 is up to date\n")
    assert run("remove", "mine") == (0, "", "hsup: removed stack mine:1.2\n")
    assert run("remove", "mine")[0] == 1


def test_a_relative_path_is_below_the_directory_of_the_call(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, small_root: Path
) -> None:
    (tmp_path / "here").symlink_to(small_root)

    assert run("import", "mine", "here")[0] == 0
    assert run("import", "mine", f"file://{small_root}")[0] == 0


def test_a_tar_is_imported_and_its_size_is_shown(
    run: Callable[..., tuple[int, str, str]],
    need: Callable[..., None],
    tmp_path: Path,
    root_tar: bytes,
) -> None:
    need()
    (tmp_path / "a.tar").write_bytes(root_tar)

    code, _, told = run("import", "a", "a.tar")

    assert (code, told) == (0, "hsup: unpacking stack a\nhsup: imported stack a\n")
    assert f"  2 MiB  {tmp_path}/a.tar\n" in run("list")[1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("import", "a", "nothing"), "cannot import nothing: there is no such file or directory"),
        (("import", "a/b", "/"), "the name of a stack must be letters"),
        (("import", "a:", "/"), "its version must be letters"),
        (("import", "a", "ftp://x/y"), "url must begin with docker://"),
        (("import", "a", "/", "--checksum", "12"), '--checksum must be "sha256:" and 64'),
        (("remove", "../a"), "the name of a stack must be letters"),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    run: Callable[..., tuple[int, str, str]], words: tuple[str, ...], complaint: str
) -> None:
    code, _, told = run(*words)

    assert code == 2
    assert told.startswith(complaint)


def test_every_fault_of_the_manifest_is_listed(
    run: Callable[..., tuple[int, str, str]], stacks_dir: Path, settings: Settings
) -> None:
    (stacks_dir / "manifest.yml").write_text("- {name: a}\n- {url: /b}\n")
    program = (
        "import os; from types import SimpleNamespace; from hsup.api import Settings;"
        "from hsup_driver_libcontainer.stacks.command import stacks;"
        "settings = Settings(directory='/', environ=dict(os.environ));"
        "stacks(['list'], obj=SimpleNamespace(settings=lambda: settings))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=settings.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    manifest = f"{stacks_dir}/manifest.yml"
    assert done.stderr.startswith(
        f'hsup: {manifest}: fault: line 1: stack "a" has no "url"\n'
        f'hsup: {manifest}: fault: line 2: a stack has no "name"\n'
    )
    assert run("list")[0] == 1


def test_warnings_do_not_keep_the_list_from_being_read(
    run: Callable[..., tuple[int, str, str]], stacks_dir: Path
) -> None:
    (stacks_dir / "manifest.yml").write_text("- {name: a, url: 'http://example.com/a.tar'}\n")

    code, listed, told = run("list")

    assert code == 0
    assert "a                     not installed        http://example.com/a.tar" in listed
    assert 'warning: line 1, "url" of stack "a": needs a checksum' in told


@pytest.mark.parametrize("command", ["list", "pull", "import", "remove"])
def test_every_command_has_a_help_text(
    run: Callable[..., tuple[int, str, str]], command: str
) -> None:
    code, text, _ = run(command, "--help")

    assert code == 0
    assert text.startswith(f"Usage: stacks {command} ")
