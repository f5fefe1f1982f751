from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hsup.cli.shells import register
from tests.cli.calling import call, failed
from tests.cli.telling import DRAINED
from tests.conftest import Installer

SHELLS = ["bash", "zsh", "fish"]


def completed(words: str) -> list[str]:
    count = len(words.split(" ")) - 1
    ended = call(_HSUP_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(count))
    return [line.partition(",")[2] for line in ended.output.splitlines() if line]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hsup com", ["completion"]),
        ("hsup start -d s", ["simple"]),
        ("hsup --driver d", ["docker"]),
        ("hsup start --source pro", ["procfile"]),
        ("hsup start -d docker --size performance-m", ["performance-m"]),
        ("hsup start w", ["web", "worker"]),
        ("hsup run wo", ["worker"]),
        ("hsup start -m we", ["web"]),
        ("hsup start -m web=2,wo", ["web=2,worker"]),
        ("hsup start --only web,wo", ["web,worker"]),
        ("hsup start -d docker web=2:performance-m", ["web=2:performance-m"]),
        ("hsup start -d docker -m web=2:performance-m", ["web=2:performance-m"]),
        ("hsup start --exit-code-from we", ["web"]),
        ("hsup start --log-format s", ["screen"]),
        ("hsup completion z", ["zsh"]),
        ("hsup stacks pull hero", ["heroku-24"]),
        ("hsup check -f Pro", ["Pro"]),
    ],
)
def test_what_may_come_next_is_known(words: str, expected: list[str]) -> None:
    assert completed(words) == expected


@pytest.mark.usefixtures("directory")
def test_the_url_of_a_drain_begins_with_a_scheme_of_a_plugin(install: Installer) -> None:
    install("hsup-log-kept", DRAINED)
    assert "kept://" in completed("hsup start --drain ")
    assert completed("hsup run --drain ke") == ["kept://"]
    assert completed("hsup --drain fil") == ["file:"]
    assert completed("hsup --drain logp") == []


def test_types_are_those_of_the_files_that_the_options_name(directory: Path) -> None:
    (directory / "Procfile.dev").write_text("css: a\ncount: b\n")
    assert completed("hsup start -f Procfile.dev c") == ["count", "css"]


def test_where_nothing_can_be_read_nothing_is_completed(directory: Path) -> None:
    (directory / "Procfile").unlink()
    assert completed("hsup start w") == []
    assert completed("hsup --source nosuch start w") == []


def test_no_warning_gets_into_the_line_that_is_typed(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (directory / ".foreman").write_text("nosuch: 1\n")
    (directory / "hsup.toml").touch(0o666)
    (directory / "hsup.toml").chmod(0o666)
    assert completed("hsup start w") == ["web", "worker"]
    assert capfd.readouterr().err == ""


def test_a_file_with_odd_values_keeps_nobody_from_typing(directory: Path) -> None:
    (directory / "hsup.toml").write_text('root = "\\u0000"\n')
    assert completed("hsup start w") == []


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    "words", ["web = 2 : ", "web = 2 :", "-m web = 2 : ", "-m a = 1,web = 2 :"]
)
def test_bash_completes_a_size_which_it_takes_for_a_word(words: str) -> None:
    register()
    assert "performance-m" in completed(f"hsup start -d docker {words}")
    assert completed("hsup start -d docker web = 2 : performance-m") == ["performance-m"]
    assert completed("hsup start --driver = s") == ["simple"]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("words", ["-m web = 1,wo", "--formation = web = 1,wo", "-c all = 0,wo"])
def test_bash_completes_what_follows_the_quantity_of_another_type(words: str) -> None:
    register()
    assert completed(f"hsup start {words}") == ["1,worker" if "web" in words else "0,worker"]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("words", ["web=2:", "--size ", "-m web=2:p"])
def test_with_a_driver_without_sizes_none_are_completed(words: str) -> None:
    assert completed(f"hsup start {words}") == []
    assert completed(f"hsup start -d docker {words}") != []


def test_files_that_follow_a_comma_are_completed(directory: Path) -> None:
    (directory / "envs").mkdir()
    (directory / "envs/dev.env").touch()
    assert completed("hsup start -e a.env,en") == ["a.env,envs/"]
    assert completed("hsup start --env-file a.env,envs/d") == ["a.env,envs/dev.env"]
    assert completed("hsup start -e en") == ["en"]  # the shell knows the rest


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(shell: str) -> None:
    assert f"_HSUP_COMPLETE={shell}_complete" in call("completion", shell).output


def test_bash_takes_the_script() -> None:
    script = call("completion", "bash").output
    subprocess.run([shutil.which("bash") or "bash", "-n"], input=script, text=True, check=True)


def test_the_shell_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "fish_complete" in call("completion").output
    monkeypatch.setenv("SHELL", "/bin/sh")
    told = str(failed("completion"))
    assert told == (
        'cannot tell which shell you use: SHELL is "/bin/sh"; '
        "choose from bash, zsh, fish, as in hsup completion bash"
    )


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/hsup"),
        ("zsh", ".zfunc/_hsup"),
        ("fish", ".config/fish/completions/hsup.fish"),
    ],
)
def test_it_is_written_to_where_the_shell_looks(
    shell: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = call("completion", shell, "--install")
    assert (tmp_path / place).read_text() == call("completion", shell).output
    assert ended.output.startswith(f"wrote {tmp_path / place}; start another {shell} to use it\n")


def test_zsh_reads_a_directory_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZDOTDIR", str(tmp_path / "my files"))
    remark = call("completion", "zsh", "--install").output.partition("there: ")[2]
    assert remark.startswith(f"fpath+=('{tmp_path}/my files/.zfunc'); ")


def test_a_file_in_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert f"cannot write {tmp_path}/file/bash-completion" in str(
        failed("completion", "bash", "--install")
    )
