from __future__ import annotations

import json
import resource
import stat
from pathlib import Path

import pytest

from tests.cli.calling import call, failed

ODD_COMPOSE = rf"""
services:
  web.a: {{command: one}}
  web-a: {{command: two}}
  -x:
    command: run
    environment: {{C D: 1, "A\nB": 2, D.E: e, F: "one\ntwo", LONG: 0x{"f" * 4000}}}
  nul: {{command: "a\0"}}
  nested: {{command: [a, [b]]}}
  control: {{command: "a\rb"}}
"""


@pytest.fixture
def application(directory: Path) -> Path:
    """Have an application without a Procfile in the current directory."""
    (directory / "Procfile").unlink()
    (directory / "package.json").write_text('{"scripts": {"start": "x", "worker": "y"}}')
    return directory


def test_the_files_are_shown_and_written(application: Path) -> None:
    ended = call("init", "--yes")
    assert ended.exit_code == 0, ended.exception
    assert (application / "Procfile").read_text() == "web: npm start\nworker: npm run worker\n"
    content = json.loads((application / "app.json").read_text())
    formation = {"web": {"quantity": 1}, "worker": {"quantity": 1}}
    assert content == {"name": "shop", "formation": formation}
    assert not (application / ".env").exists()
    assert ended.output.startswith(
        f"guessed from {application}/package.json:\n"
        "\n--- Procfile\nweb: npm start\nworker: npm run worker\n"
    )
    assert ended.output.endswith("wrote Procfile, app.json; hsup start starts the application\n")
    assert call("check").output == "Procfile: ok\n"


def test_scripts_that_watch_are_in_a_procfile_of_their_own(application: Path) -> None:
    scripts = {"start": "x", "dev": "y", "watch:css": "z"}
    (application / "package.json").write_text(json.dumps({"scripts": scripts}))
    ended = call("init", "--yes")
    assert (application / "Procfile").read_text() == "web: npm start\n"
    lines = "web: npm run dev\ncss: npm run watch:css\n"
    assert (application / "Procfile.dev").read_text() == lines
    assert f"\n--- Procfile.dev\n{lines}" in ended.output
    told = "hsup start starts the application, hsup start -f Procfile.dev as you develop it\n"
    assert ended.output.endswith(f"wrote Procfile, Procfile.dev, app.json; {told}")
    assert call("check", "-f", "Procfile.dev").output == "Procfile.dev: ok\n"


def test_what_is_there_is_left_as_it_is(application: Path) -> None:
    (application / "Procfile").write_text("web: mine\n")
    (application / ".env").write_text("A=1\n")
    assert call("init", "--yes").exit_code == 0
    assert (application / "Procfile").read_text() == "web: mine\n"
    assert (application / ".env").read_text() == "A=1\n"
    assert (application / "app.json").exists()
    told = "Procfile, app.json are there already; hsup start starts the application\n"
    assert call("init").output == told


def test_an_example_of_config_vars_is_copied(application: Path) -> None:
    (application / ".env.example").write_text("# the key\nKEY=\n")
    call("init", "--yes")
    assert (application / ".env").read_text() == "# the key\nKEY=\n"
    assert stat.S_IMODE((application / ".env").stat().st_mode) == 0o600


def test_variables_of_compose_are_config_vars(application: Path) -> None:
    (application / "compose.yaml").write_text(
        "services:\n  db: {image: postgres}\n"
        '  app: {command: x, environment: {A: "it\'s $1", B: plain}}\n'
    )
    ended = call("init", "--yes")
    assert (application / ".env").read_text() == "A='it'\"'\"'s $1'\nB=plain\n"
    assert 'service "db" has no command (image postgres); start it separately' in ended.output
    assert call("check").output == "Procfile: ok\n"


def test_without_a_terminal_nothing_is_written_unless_that_is_said(application: Path) -> None:
    told = "nothing was written: without a terminal, nobody can be asked; use --yes"
    assert str(failed("init")) == told
    assert not (application / "Procfile").exists()


def test_what_cannot_be_guessed_is_told(application: Path) -> None:
    (application / "package.json").write_text("{}")
    assert "package.json does not say how it is started" in str(failed("init"))
    (application / "package.json").unlink()
    told = str(failed("init"))
    assert f"cannot guess how the application in {application} is started: no known file" in told


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("package.json", b'{\n "a" 1\n}', "line 2, column 6: must be JSON: expecting ':'"),
        ("package.json", b"[]", "must be an object of JSON"),
        ("package.json", b"\xff", "must be UTF-8 text"),
        ("package.json", b"[" * 99999, "must be JSON: it is nested too deeply"),
        ("pyproject.toml", b"\n=", "must be TOML: Invalid statement (at line 2, column 1)"),
        ("compose.yaml", b"a: [", "must be YAML: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    application: Path, name: str, content: bytes, fault: str
) -> None:
    (application / "package.json").unlink()
    (application / name).write_bytes(content)
    text = f"cannot guess how the application in {application} is started: {name}: {fault}"
    assert str(failed("init")).startswith(text)
    (application / "go.mod").touch()
    ended = call("init", "--yes")
    assert f"hsup: {name}: {fault}" in ended.output
    assert (application / "Procfile").read_text() == "web: go run .\n"


def test_another_procfile_is_a_beginning(application: Path) -> None:
    (application / "package.json").unlink()
    (application / "Procfile.dev").write_text("web: x\n")
    hint = "use hsup start -f Procfile.dev, or copy it: cp Procfile.dev Procfile"
    assert str(failed("init")).endswith(f"no known file was found; {hint}")


def test_a_file_that_cannot_be_written_is_told(application: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        told = str(failed("init", "--yes"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told == f"cannot write {application}/Procfile: File too large"


def test_a_link_that_leads_nowhere_is_left_as_it_is(application: Path) -> None:
    (application / ".env.example").write_text("A=1\n")
    (application / ".env").symlink_to("gone")
    ended = call("init", "--yes")
    assert ended.exit_code == 0, ended.exception
    assert "hsup: .env is there already, and is left as it is\n" in ended.output
    assert (application / ".env").is_symlink()
    assert (application / "Procfile").exists()


def test_an_example_that_is_no_text_is_told(application: Path) -> None:
    (application / ".env.example").write_bytes(b"A=\xe9\n")
    ended = call("init", "--yes")
    assert "hsup: .env.example is not copied: it is not UTF-8 text\n" in ended.output
    assert not (application / ".env").exists()


def test_what_compose_has_is_written_so_that_hsup_takes_it(application: Path) -> None:
    (application / "package.json").unlink()
    (application / "compose.yaml").write_text(ODD_COMPOSE)
    ended = call("init", "--yes")
    assert ended.exit_code == 0, ended.exception
    assert (application / "Procfile").read_text() == "web-a: one\nx: run\n"
    assert (application / ".env").read_text() == "D.E=e\nF='one\ntwo'\n"
    for told in (
        'service "web-a" is left out: another one is "web-a" in the Procfile, too; rename it\n',
        'service "-x" has a variable "C D" that .env cannot have: it is left out\n',
        r'service "-x" has a variable "A\nB" that .env cannot have: it is left out',
        'service "-x" has a variable "LONG" that .env cannot have: it is left out\n',
        'service "nul" has a command that is no text: write it into the Procfile\n',
        'service "nested" has a command that is no text: write it into the Procfile\n',
        'service "control" has a command of several lines: put it into a script\n',
    ):
        assert f"hsup: {told}" in ended.output
    assert call("check").output == "Procfile: ok\n"


def test_another_directory_may_be_named(application: Path, tmp_path: Path) -> None:
    other = tmp_path / "My Other Shop"
    other.mkdir()
    (other / "go.mod").touch()
    assert call("init", "--yes", "--root", "../My Other Shop").exit_code == 0
    assert (other / "Procfile").read_text() == "web: go run .\n"
    assert json.loads((other / "app.json").read_text())["name"] == "my-other-shop"
    assert not (application / "Procfile").exists()


def test_what_cannot_be_encoded_is_told(application: Path) -> None:
    (application / "package.json").write_text('{"main": "\\ud800"}')
    assert f"cannot write {application}/Procfile: " in str(failed("init", "--yes"))
    assert not (application / "Procfile").exists()
