from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.calling import call, failed
from tests.cli.telling import DRAINED, SIZED
from tests.conftest import Installer


def test_check_prints_every_fault_with_its_place(directory: Path) -> None:
    (directory / "Procfile").write_text("web: ./serve\nweb: ./serve\n: no name\nworker:\n")
    ended = call("check", "Procfile")
    assert ended.exit_code == 1
    kinds = [line.split(": ")[1:3] for line in ended.output.splitlines()]
    assert kinds == [["warning", "line 2"], ["fault", "line 3"], ["fault", "line 4"]]


def test_check_prints_a_fault_below_the_name_of_its_file(directory: Path) -> None:
    (directory / ".env").write_text("A=1\nB\n")
    (directory / "app.json").write_text("[]")
    assert call("check").output.splitlines() == [
        '.env: warning: line 2: has no "=" and is ignored',
        "app.json: fault: must be an object, got a list",
    ]
    above = call("check", str(directory)).output.splitlines()
    assert [line.split(": ")[0] for line in above] == [f"{directory}/.env", f"{directory}/app.json"]


@pytest.mark.usefixtures("directory")
def test_what_is_good_is_said_so() -> None:
    ended = call("check")
    assert ended.exit_code == 0
    assert ended.output.endswith(": ok\n")


@pytest.mark.usefixtures("directory")
def test_a_file_that_is_not_there_is_bad_usage() -> None:
    assert "cannot check gone: the file does not exist" in str(failed("check", "gone"))


@pytest.mark.parametrize(
    ("words", "who"),
    [((), "no source checks"), (("--source", "procfile"), 'source "procfile" does not check')],
    ids=str,
)
def test_a_file_that_no_source_checks_is_bad_usage_with_what_to_check_instead(
    directory: Path, words: tuple[str, str], who: str
) -> None:
    (directory / "other").mkdir()
    (directory / "my shop").mkdir()
    (directory / "my shop" / "Procfile").touch()
    (directory / "my shop" / "app.json").write_text("{}")
    assert str(failed("check", *words, "my shop/app.json")).endswith("hsup check 'my shop'")
    (directory / "app.json").write_text("{}")
    (directory / "other" / "app.json").write_text("{}")
    assert str(failed("check", *words, "app.json")) == (
        f"{who} files like app.json; check its directory instead: hsup check ."
    )
    kinds = "check a control file, a Procfile, or a directory with a Procfile"
    assert str(failed("check", *words, "other/app.json")) == (
        f"{who} files like other/app.json; {kinds}"
    )
    assert str(failed("check", *words, "other")) == f"{who} directories like other; {kinds}"


@pytest.mark.usefixtures("directory")
def test_a_source_may_be_named() -> None:
    assert call("check", "--source", "procfile", "Procfile").exit_code == 0


def test_with_strict_a_warning_is_a_fault(directory: Path) -> None:
    (directory / ".env").write_text("A=1\nB\n")
    assert call("check").exit_code == 0
    assert call("check", "--strict").exit_code == 1


def test_faults_can_be_annotations_of_github(directory: Path) -> None:
    (directory / "Procfile").write_text("web: ./serve\nnone 100%\n")
    (directory / "a,b.env").write_text("A\n")
    (directory / "app.json").write_text("[]")
    ended = call("check", "--format", "github", "-e", "a,b.env", "-e", str(directory / "c.env"))
    assert "cannot read" in str(ended.exception)  # a comma separates two files
    (directory / "a:b.env").write_text("A\n")
    ended = call("check", "--format", "github", "-e", "a:b.env")
    assert ended.exit_code == 1
    assert ended.output.splitlines() == [
        ('::error file=Procfile,line=2::must be "name: command", got "none 100%25"'),
        '::warning file=a%3Ab.env,line=1::has no "=" and is ignored',
        "::error file=app.json::must be an object, got a list",
    ]


def test_annotations_name_files_from_the_root_of_the_repository(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".env").write_text("A\n")
    (directory / "app.json").write_text("{")
    annotate = ("check", "--format", "github")
    for words, workspace, env in (
        ((), tmp_path, "shop/.env"),
        ((), directory, ".env"),
        ((), tmp_path / "elsewhere", ".env"),
        ((str(directory),), tmp_path, "shop/.env"),
    ):
        ended = call(*annotate, *words, GITHUB_WORKSPACE=str(workspace))
        warning, error = ended.output.splitlines()
        assert warning == f'::warning file={env},line=1::has no "=" and is ignored'
        place = f"::error file={env.replace('.env', 'app.json')},line=1::column 2: must be JSON"
        assert error.startswith(place)
    (directory / "below").mkdir()
    monkeypatch.chdir(directory / "below")
    ended = call(*annotate, "--root", "..", GITHUB_WORKSPACE=str(tmp_path))
    assert "file=shop/.env,line=1" in ended.output


def test_from_below_files_are_named_as_seen_from_there(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".env").write_text("A\n")
    (directory / "Procfile.bad").write_text("none\n")
    (tmp_path / "link").symlink_to(directory / "below")
    (directory / "below").mkdir()
    for here in (directory / "below", tmp_path / "link"):
        monkeypatch.chdir(here)
        monkeypatch.setenv("PWD", str(directory / "below"))
        assert call("check").output.splitlines() == [
            '../.env: warning: line 1: has no "=" and is ignored',
            "../Procfile: ok",
        ]
        assert call("check", "-f", "../Procfile.bad").output.startswith("../Procfile.bad: fault:")
        for workspace, file in (("", "../Procfile.bad"), (str(tmp_path), "shop/Procfile.bad")):
            words = ("check", "-f", "../Procfile.bad", "--format", "github")
            ended = call(*words, GITHUB_WORKSPACE=workspace)
            assert ended.output.startswith(f"::error file={file},line=1::")


def test_a_directory_entered_by_a_link_above_changes_no_path(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".env").write_text("A\n")
    (directory / "below").mkdir()
    (tmp_path / "link").symlink_to(directory)
    monkeypatch.chdir(tmp_path / "link/below")
    monkeypatch.setenv("PWD", str(tmp_path / "link/below"))
    assert call("check").output.startswith("../.env: warning: line 1")


def test_a_file_of_the_same_name_above_is_not_taken_for_the_one_at_fault(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "Procfile").write_text("none\n")
    (directory / "below").mkdir()
    (tmp_path / "Procfile").write_text("web: ./serve\n")
    monkeypatch.chdir(directory / "below")
    ended = call("check", "--format", "github", GITHUB_WORKSPACE=str(tmp_path))
    assert ended.output.startswith("::error file=shop/Procfile,line=1::")


def test_an_env_file_far_away_is_named_by_its_whole_path(directory: Path) -> None:
    del directory
    ended = call("check", "-e", "/dev/null")
    assert ended.output == "/dev/null: fault: must be a file, got a device\n"


def test_a_check_reads_what_start_would(directory: Path) -> None:
    (directory / "Procfile.dev").write_text("nonsense\n")
    assert call("check").exit_code == 0
    ended = call("check", "-f", "Procfile.dev")
    assert ended.exit_code == 1
    assert ended.output.startswith("Procfile.dev: fault: line 1: must be")


def test_files_are_named_as_seen_from_here(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "backend").mkdir()
    (directory / "backend/Procfile").write_text("web:x\n")
    (directory / "backend/app.json").write_text("[]")
    ended = call("check", "-f", "backend/Procfile", "--format", "github")
    assert [
        line.partition(",line")[0].partition("::m")[0] for line in ended.output.splitlines()
    ] == [
        "::warning file=backend/Procfile",
        "::error file=backend/app.json",
    ]
    monkeypatch.chdir(directory / "backend")
    (directory / "Procfile.dev").write_text("nonsense\n")
    assert call("check", "../Procfile.dev").output.startswith("../Procfile.dev: fault: line 1")


def test_a_port_that_is_none_is_told_by_its_line_and_not_shown(directory: Path) -> None:
    (directory / ".env").write_text("A=1\nPORT=s3cret\n")
    problem = '"PORT" must be a number from 1 to 65535'
    assert call("check").output == f".env: fault: line 2: {problem}\n"
    assert str(failed("start")) == f"cannot read .env: line 2: {problem}"
    assert call("check", "-p", "7000").exit_code == 0


def test_ports_that_run_out_are_a_fault_as_at_a_start(directory: Path) -> None:
    left = "dynos use every port from {} up; start fewer dynos, or choose a lower base with -p"
    (directory / ".env").write_text("A=1\nPORT=65535\n")
    told = f"no port is left for worker.1: {left.format(65535)}"
    assert str(failed("start")) == told
    ended = call("check")
    assert (ended.exit_code, ended.output) == (1, f".env: fault: line 2: {told}\n")
    ended = call("check", "-p", "65000", "-m", "web=900")
    told = f"Procfile: fault: no port is left for web.537: {left.format(65000)}\n"
    assert (ended.exit_code, ended.output) == (1, told)
    (directory / ".env").write_text("A=1\nPORT=65500\n")
    ended = call("check")
    assert ended.exit_code == 0
    told = "from port 65500 up, not every dyno has the port of its type and its number"
    assert ended.output.startswith(f".env: warning: line 2: {told}; choose 65435 at most with -p\n")
    assert call("check", "--strict").exit_code == 1
    assert call("check", "-m", "web=1").output == "Procfile: ok\n"
    assert call("check", "-p", "auto").output == "Procfile: ok\n"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("ONLY", "wbe", 'HSUP_ONLY: no dyno "wbe" is started; choose from web, worker'),
        ("STDIN", "web.3", 'HSUP_STDIN: dyno "web.3" is not started; choose from web.1, worker.1'),
        ("EXIT_CODE_FROM", "x", 'HSUP_EXIT_CODE_FROM: no dyno of process type "x" is started'),
    ],
)
def test_options_of_start_alone_are_checked_too(
    directory: Path, option: str, value: str, told: str
) -> None:
    for command in ("start", "check"):
        assert str(failed(command, **{f"HSUP_{option}": value})).startswith(told)
    key = option.lower().replace("_", "-")
    (directory / "hsup.toml").write_text(f'{key} = "{value}"\n')
    told = told.replace(f"HSUP_{option}", f'{directory}/hsup.toml: "{key}"')
    assert str(failed("check")).startswith(told)


@pytest.mark.usefixtures("directory")
def test_a_variable_of_start_alone_is_named_where_it_is_wrong() -> None:
    assert str(failed("check", HSUP_TTY="x")) == 'HSUP_TTY must be 1 or 0, got "x"'


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-d", "nodriver"), 'there is no driver "nodriver"'),
        (("--bind", "a:b"), "both paths must be absolute"),
        (("--grace", "inf"), "--grace must be a number of seconds"),
        (("-m", "web"), '--formation: "web": the quantity is missing, as in web=2'),
        (("-m", "wbe=2"), '--formation: v1 of shop has no process type "wbe"; choose from web, w'),
        (("-m", "web=2:eco"), '--formation: driver "simple" does not limit dynos, so they have'),
        (("-m", "all=2:eco"), '--formation: driver "simple" does not limit dynos, so they have'),
    ],
    ids=str,
)
def test_options_that_start_would_refuse_are_refused(words: tuple[str, ...], told: str) -> None:
    assert told in str(failed("check", *words))


def test_a_size_that_the_driver_does_not_have_is_a_fault(
    directory: Path, install: Installer
) -> None:
    install(
        "hsup-driver-sized",
        SIZED.replace("        pass", "        raise DynoStartError('no ' + name)", 1),
    )
    formation = {"formation": {"web": {"quantity": 1, "size": "huge"}}}
    (directory / "app.json").write_text(json.dumps(formation))
    ended = call("check", "-d", "sized")
    assert (ended.exit_code, ended.output) == (1, 'app.json: fault: "size" of "web": no huge\n')
    assert call("check", "-d", "sized", "-m", "worker=1").exit_code == 0
    assert call("check").exit_code == 0
    annotation = '::error file=app.json::"size" of "web": no huge\n'
    assert call("check", "-d", "sized", "--format", "github").output == annotation


def test_config_vars_that_the_kernel_refuses_are_told_by_their_lines(directory: Path) -> None:
    (directory / ".env").write_text(f"A=1\nBIG={'x' * (1 << 17)}\n\nALSO={'x' * (1 << 18)}\n")
    ended = call("check")
    assert ended.exit_code == 1
    big, also, *_ = ended.output.splitlines()
    assert big.startswith('.env: fault: line 2: config var "BIG" has 131076 bytes with its name')
    assert also.startswith('.env: fault: line 4: config var "ALSO" has 262149 bytes')
    (directory / "dev.env").write_text("BIG=1\nALSO=1\n")
    assert call("check", "-e", ".env,dev.env").exit_code == 0
    assert call("check", "-e", "dev.env", "-e", ".env").output == ended.output


def test_a_command_that_the_kernel_refuses_is_told_with_the_procfile(directory: Path) -> None:
    (directory / "Procfile").write_text(f"web: echo {'x' * (1 << 17)}\n")
    assert call("check").output.startswith('Procfile: fault: command "echo xxx')


SECRET = "s3cret"


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"nosuch://x/{SECRET}", 'there is no log drain "nosuch"'),
        (f"kept://u:{SECRET}@x:port/", "its URL cannot be parsed after kept:"),
        (f"{SECRET}", "it is not a URL: it has no scheme"),
        (f"kept://x/{SECRET}?size={SECRET}", 'a drain of scheme "kept" has no parameter "size"'),
        (f"kept://x/{SECRET}?buffer=1", 'parameter "buffer" must be a size of 64K or more'),
    ],
)
def test_a_drain_is_refused_as_start_would_and_no_secret_is_shown(
    install: Installer, url: str, told: str
) -> None:
    install("hsup-log-kept", DRAINED)
    for error in (failed("check", "--drain", url), failed("check", HSUP_DRAIN=url)):
        assert told in str(error)
        assert SECRET not in str(error)


def test_a_drain_is_created_and_nothing_is_delivered(install: Installer, directory: Path) -> None:
    install("hsup-log-kept", DRAINED)
    ended = call("check", "--drain", "kept://x?colour=red")
    assert (ended.exit_code, ended.output) == (0, "Procfile: ok\n")
    assert (directory / "told").read_text() == "created\nclosed\n"


@pytest.mark.usefixtures("directory")
def test_a_drain_with_a_spool_is_checked_without_touching_what_is_kept(
    install: Installer, tmp_path: Path
) -> None:
    install("hsup-log-kept", DRAINED)
    spool = tmp_path / "spool"
    url = f"kept://good/?spool={spool}"
    (tmp_path / "new").write_text(json.dumps({"Processes": [], "LogDrains": [url]}))
    assert call("check", "--drain", url, str(tmp_path / "new")).exit_code == 0
    assert not spool.exists()


@pytest.mark.usefixtures("directory")
def test_drains_of_a_control_file_that_would_not_be_used_are_warnings(
    install: Installer, tmp_path: Path
) -> None:
    install("hsup-log-kept", DRAINED)
    urls = ["kept://good/", f"nosuch://x/{SECRET}", f"kept://x?a={SECRET}", SECRET]
    (tmp_path / "new").write_text(json.dumps({"Processes": [], "LogDrains": urls}))
    ended = call("check", str(tmp_path / "new"))
    assert ended.exit_code == 0
    lines = [line for line in ended.output.splitlines() if ": warning: " in line]
    assert len(lines) == 3
    assert 'there is no log drain "nosuch"' in ended.output
    assert 'drain kept://x: a drain of scheme "kept" has no parameter "a"' in ended.output
    assert "a drain of the release is not used: it is not a URL" in ended.output
    assert SECRET not in ended.output
    assert call("check", "--strict", str(tmp_path / "new")).exit_code == 1
