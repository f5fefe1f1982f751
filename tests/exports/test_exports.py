"""What other supervisors read is what the application has, whatever characters it has."""

from __future__ import annotations

import configparser
import json
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import HsupError
from hsup.exports import compose, launchd, supervisord, systemd
from hsup.exports.program import Exported, Program
from hsup.model import Command, DynoName

#: Whatever means something to a shell, to systemd, supervisord, Compose, YAML or XML.
ODD = 'it\'s "50%" $HOME ${HOME} $$ \\ ; # <&> `x`\nnext\tline: - {a} \N{SNOWMAN}'
VARIABLES = {"ODD": ODD, "EMPTY": "", "PORT": "5000", "DYNO": "web.1"}


def application(line: str = "serve", directory: str = "/srv/shop", **variables: str) -> Exported:
    environment = {**VARIABLES, **variables}
    web = Program(DynoName("web", 1), Command((line,)), environment)
    worker = Program(
        DynoName("worker", 1), Command(("work", "a b", "$x")), {"PORT": "5100", "DYNO": "worker.1"}
    )
    return Exported(
        app="shop",
        directory=directory,
        user="ada",
        ids=(1001, 1002),
        dynos=(web, worker),
        release_phase=Program(DynoName("release", 1), Command(("migrate",)), {"DYNO": "release.1"}),
        grace_seconds=30.0,
        stack=None,
    )


def test_systemd_has_a_target_and_a_service_for_each_dyno() -> None:
    files = systemd.export(application(), "/etc/50% shop").files
    names = ["shop-release", "shop-web.1", "shop-worker.1"]
    both = (f"{name}.{kind}" for name in names for kind in ("service", "env"))
    assert list(files) == ["shop.target", *both]
    assert "Wants=shop-web.1.service shop-worker.1.service\n" in files["shop.target"]
    web = files["shop-web.1.service"]
    assert "Requires=shop-release.service\nAfter=shop-release.service\n" in web
    assert "EnvironmentFile=/etc/50%% shop/shop-web.1.env\n" in web
    assert "Environment=" not in web
    assert 'EMPTY=""\n' in files["shop-web.1.env"]
    assert "ExecStart=/bin/bash -c -- serve\n" in web
    assert "Restart=always\n" in web
    assert "StartLimitIntervalSec=0\n" in web.partition("[Service]")[0]
    assert "TimeoutStopSec=30000ms\n" in web
    execute = r'ExecStart=/bin/bash -c "exec -- \"$$@\"" bash work "a b" "$$x"'
    assert f"{execute}\n" in files["shop-worker.1.service"]
    assert "Type=oneshot\n" in files["shop-release.service"]


def test_systemd_does_not_wait_for_ever_without_a_grace_period() -> None:
    files = systemd.export(application()._replace(grace_seconds=0.0), "/etc").files
    assert "TimeoutStopSec=1ms\n" in files["shop-web.1.service"]


@pytest.mark.parametrize("name", ["A.B", "X;id;Y", "$(id)", "-u", "A\nB"])
def test_a_variable_that_systemd_or_a_script_would_not_set_is_an_error(name: str) -> None:
    for export in (systemd.export, supervisord.export):
        with pytest.raises(HsupError, match=re.escape(f'takes no variable called "{name}"')):
            export(application(**{name: "1"}), "/etc")


@pytest.mark.parametrize("path", ["/a\nExecStartPre=/bin/id", "/a\\", "/a ", "/a\x7f", "/\udcff"])
def test_a_directory_that_would_break_a_line_is_an_error(path: str) -> None:
    with pytest.raises(HsupError, match="systemd takes no path like"):
        systemd.export(application(directory=path), "/etc")
    for export in (systemd.export, supervisord.export):
        with pytest.raises(HsupError, match="takes no path like"):
            export(application(), path)


def test_a_description_continues_on_no_other_line() -> None:
    files = systemd.export(application()._replace(app="my app\\"), "/etc").files
    assert "Description=my-app\nWants=" in files["my-app.target"]
    assert "Description=my-app: web.1\n" in files["my-app-web.1.service"]


def test_only_the_units_that_were_written_are_linked() -> None:
    usage = systemd.export(application(), "/etc/my shop").usage
    names = ("shop.target", "shop-release.service", "shop-web.1.service", "shop-worker.1.service")
    linked = " ".join(f"'/etc/my shop/{name}'" for name in names)
    assert f"systemctl link {linked} && systemctl daemon-reload" in usage


@pytest.mark.parametrize("name", ["../../x", "/x", "a b", "a,b]", "%n", "...", "sh\N{SNOWMAN}p"])
def test_no_name_of_an_application_leads_out_of_the_directory(name: str) -> None:
    for export in (systemd.export, supervisord.export, launchd.export, compose.export):
        for file in export(application()._replace(app=name), "/etc").files:
            assert re.fullmatch(r"[\w-][\w.-]*", file)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    exported = application(ODD, directory=str(tmp_path))._replace(user="root", app="shöp %n")
    for name, text in systemd.export(exported, str(tmp_path)).files.items():
        (tmp_path / name).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir() if path.suffix != ".env")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(tmp_path) not in done.stderr
    assert done.returncode == 0, done.stderr


def environment_of(exported: Exported, directory: Path) -> dict[str, str]:
    """Return the variables of the dyno that a script of the export for supervisord starts."""
    files = supervisord.export(exported, str(directory)).files
    script = directory / "shop-web.1.sh"
    script.write_text(files[script.name])
    done = subprocess.run(["/bin/bash", script], capture_output=True, check=True)
    seen: dict[str, str] = json.loads(done.stdout)
    return seen


SHOW = (
    f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    ' # a comment; "%d"'
)


def test_the_script_for_supervisord_runs_the_command_with_its_variables(tmp_path: Path) -> None:
    seen = environment_of(application(SHOW, directory=str(tmp_path)), tmp_path)
    assert {name: seen[name] for name in VARIABLES} == VARIABLES
    assert seen["PWD"] == str(tmp_path)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")
def test_no_argv_of_the_script_for_supervisord_has_a_config_var(tmp_path: Path) -> None:
    """The kernel's own list of what bash executes: the argv of each execve."""
    exported = application("true", directory=str(tmp_path), SECRET="hush")
    script = tmp_path / "shop-web.1.sh"
    script.write_text(supervisord.export(exported, str(tmp_path)).files[script.name])
    trace = ["strace", "-f", "-s", "999", "-e", "trace=execve", "/bin/bash", str(script)]
    done = subprocess.run(trace, capture_output=True, text=True, check=True)
    assert 'execve("/bin/bash", ["/bin/bash", "-c", "--", "true"]' in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("name", supervisord.OF_BASH.split())
def test_what_bash_sets_itself_is_refused_in_a_script(name: str) -> None:
    told = f'supervisord\'s script takes no variable called "{name}", which bash sets itself'
    with pytest.raises(HsupError, match=told):
        supervisord.export(application(**{name: "/v"}), "/etc")
    script = f"cd / || exit\nexport {name}=/v\nexec /usr/bin/printenv {name}"
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=False)
    assert done.stdout != b"/v\n"


@pytest.mark.parametrize("first", ["-u", "A=1", "@x", "a b"])
def test_any_first_word_is_a_program(tmp_path: Path, first: str) -> None:
    """It is found in the PATH of the dyno, and gets its arguments as they are."""
    (tmp_path / first).write_text('#!/bin/sh\nprintf \'%s|\' "$0" "$@"\n')
    (tmp_path / first).chmod(0o755)
    one = Program(DynoName("web", 1), Command((first, "$HOME", "a b")), {})
    path = {"PATH": str(tmp_path)}
    done = subprocess.run(one.argv, capture_output=True, text=True, check=True, env=path)
    assert done.stdout == f"{tmp_path}/{first}|$HOME|a b|"


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_reaches_the_dyno_by_the_script(
    value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp()
    exported = application(SHOW, directory=str(directory), VALUE=value)
    assert environment_of(exported, directory)["VALUE"] == value


def test_supervisord_reads_the_configuration_as_it_is_meant() -> None:
    made = supervisord.export(application(ODD), "/etc/50% shop")
    read = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))  # as supervisord does
    read.read_string(made.files["shop.conf"])
    assert read["program:shop-web.1"]["command"] == "/bin/bash '/etc/50%% shop/shop-web.1.sh'"
    assert read["program:shop-web.1"]["stopwaitsecs"] == "30"
    assert read["program:shop-web.1"]["startretries"] == "1000000"
    assert read["group:shop"]["programs"] == "shop-web.1,shop-worker.1"
    assert any("release phase is not exported" in remark for remark in made.remarks)


@pytest.mark.parametrize("directory", ["/etc/a ;b", "/etc/a #b; c", "/etc/it's ;'x'"])
def test_supervisord_takes_no_part_of_a_path_for_a_comment(directory: str) -> None:
    text = supervisord.export(application(), directory).files["shop.conf"]
    read = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    read.read_string(text)
    words = shlex.split(read["program:shop-web.1"]["command"])
    assert words == ["/bin/bash", f"{directory}/shop-web.1.sh"]


def test_supervisord_finds_the_configuration_by_the_pattern(tmp_path: Path) -> None:
    directory = tmp_path / "it's a [b]*? of 50% ;c\N{NO-BREAK SPACE}d"
    directory.mkdir()
    (directory / "shop.conf").touch()
    usage = supervisord.export(application(), str(directory)).usage
    told, pattern = usage.rsplit(" = ", 1)
    assert told == "to use it, have this in [include] of supervisord.conf: files"
    # As supervisord does: it splits, and replaces what begins with a percent sign.
    assert [glob(one % {}) for one in pattern.split()] == [[str(directory / "shop.conf")]]


def test_launchd_has_a_property_list_for_each_dyno() -> None:
    files = launchd.export(application(ODD), "/etc").files
    assert list(files) == ["shop-web.1.plist", "shop-worker.1.plist"]
    read = plistlib.loads(files["shop-web.1.plist"].encode())
    assert read["ProgramArguments"] == ["/bin/bash", "-c", "--", ODD]
    assert read["EnvironmentVariables"] == VARIABLES
    assert read["WorkingDirectory"] == "/srv/shop"
    assert read["KeepAlive"] is True


def test_what_a_property_list_cannot_have_is_an_error() -> None:
    with pytest.raises(HsupError, match=r"cannot write a property list for web\.1: "):
        launchd.export(application(COLOUR="\x1b[0m"), "/etc")
    with pytest.raises(HsupError, match="it cannot have a carriage return; end the lines of "):
        launchd.export(application(LINES="a\r\nb"), "/etc")


@pytest.mark.parametrize("port", ["", "x"])
def test_a_port_that_is_none_is_not_published(port: str) -> None:
    text = compose.export(application(PORT=port), "/etc").files["compose.yaml"]
    assert "ports" not in yaml.safe_load(text)["services"]["web.1"]


def test_compose_has_a_service_for_each_dyno() -> None:
    read = yaml.safe_load(compose.export(application(ODD), "/etc").files["compose.yaml"])[
        "services"
    ]
    assert list(read) == ["release", "web.1", "worker.1"]
    web = read["web.1"]
    assert web["command"] == ["/bin/bash", "-c", "--", ODD.replace("$", "$$")]
    assert web["environment"]["ODD"] == ODD.replace("$", "$$")
    assert web["ports"] == ["127.0.0.1:5000:5000"]
    assert web["user"] == "1001:1002"
    assert web["volumes"] == [{"type": "bind", "source": "/srv/shop", "target": "/app"}]
    assert web["depends_on"] == {"release": {"condition": "service_completed_successfully"}}
    assert "ports" not in read["worker.1"]
    assert read["release"]["restart"] == "no"


def test_compose_starts_the_file_where_it_is() -> None:
    usage = compose.export(application(), "/etc/my shop").usage
    assert usage == "start them with: docker compose -f '/etc/my shop/compose.yaml' up"


@pytest.mark.parametrize("value", ["1e3", "0o14", "+1", "-0", ".5", ".inf", "null", "~", ""])
def test_compose_takes_no_value_for_a_number(value: str) -> None:
    """It reads YAML 1.2, in which more is a number than in the YAML 1.1 of PyYAML."""
    text = compose.export(application(VALUE=value), "/etc").files["compose.yaml"]
    assert f'VALUE: "{value}"\n' in text or f"VALUE: '{value}'\n" in text


@pytest.mark.parametrize(
    ("stack", "image"),
    [
        (None, "heroku/heroku:24"),
        ("heroku-22", "heroku/heroku:22"),
        ("cedar-14", "cedar-14"),
        ("mine", "mine"),
    ],
)
def test_the_image_of_compose_is_that_of_the_stack(stack: str | None, image: str) -> None:
    text = compose.export(application()._replace(stack=stack), "/etc").files["compose.yaml"]
    assert yaml.safe_load(text)["services"]["web.1"]["image"] == image


@pytest.mark.skipif(
    shutil.which("docker-compose") is None,
    reason="needs docker-compose: apt-get install docker-compose",
)
def test_compose_takes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(compose.export(application(ODD), "/etc").files["compose.yaml"])
    done = subprocess.run(
        ["docker-compose", "-f", path, "config"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    web = yaml.safe_load(done.stdout)["services"]["web.1"]
    assert web["environment"]["ODD"] in (ODD, ODD.replace("$", "$$"))
