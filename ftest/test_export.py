"""What `hsup export` writes, as the programs that it is for read it."""

from __future__ import annotations

import json
import os
import plistlib
import pwd
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ftest.program import Hsup, eventually

#: Values with what means something to a shell, to systemd, supervisord, Compose, YAML or XML.
CONFIG = {
    "PERCENT": "100% %(here)s %n %%",
    "QUOTES": 'it\'s "so" `id`',
    "LINES": "one\ntwo\\\n\n  three\n",
    "DOLLAR": "$HOME ${HOME} $$ $",
    "BACKSLASH": "a\\b\\\\c\\n\\",
    "COMMENT": "a ;b #c",
    "TAGS": "<a>&amp;</a> - {x: y} !b *c",
    "BLANKS": " \t x \t ",
    "EMPTY": "",
    "NUMBER": "1e3",
    "SNOW": "\N{SNOWMAN}",
}

#: A process type with all that its name may have.
OTHER = "2_Odd-Type-"
#: The dynos of both, and their ports.
DYNOS = {"web.1": "7000", "web.2": "7001", f"{OTHER}.1": "7100"}

pytestmark = pytest.mark.simple_only("what is exported runs without hsup")


def tool(name: str, package: str) -> str:
    """Return the path of a program; skip the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return path


def export(hsup: Hsup, form: str) -> tuple[Path, str]:
    """Export an application with awkward config vars, from and to directories with awkward names.

    Return where the files are, and what was told.
    """
    directory = hsup.directory / "it's 50% of: $HOME"
    directory.mkdir()
    show = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
    line = f"trap 'pwd > stopped.$DYNO; exit' TERM; {hsup.python} -c '{show}'; {hsup.sleep} & wait"
    variables = (f"{name}={shlex.quote(value)}\n" for name, value in CONFIG.items())
    procfile = f"web: {line}\n{OTHER}: {line}\n"
    hsup.files({"Procfile": procfile, ".env": "".join(variables)}, directory)
    exported = hsup.directory / "it's [50%] of *"
    words = ("export", form, str(exported), "--app", "shop", "-m", "all=1,web=2", "-p", "7000")
    done = hsup.call(*words, "--root", str(directory))
    assert done.status == 0, done.message
    return exported, done.message


def variables(dyno: str) -> dict[str, str]:
    """Return what a dyno has to have in its environment."""
    return {**CONFIG, "PORT": DYNOS[dyno], "DYNO": dyno}


@contextmanager
def supervisord(files: str, directory: Path) -> Iterator[Sequence[str]]:
    """Run supervisord with some files; give the words that call supervisorctl."""
    server, client = tool("supervisord", "supervisor"), tool("supervisorctl", "supervisor")
    path, socket = directory / "supervisord.conf", directory / "socket"
    path.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
        f"pidfile={directory}/pid\nchildlogdir={directory}\n"
        f"[unix_http_server]\nfile={socket}\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{socket}\n"
        f"[include]\n{files}\n"
    )
    daemon = subprocess.Popen([server, "-c", path], env={"PATH": "/usr/bin:/bin", "HOME": "/no"})
    try:
        assert eventually(socket.exists)
        yield client, "-c", str(path)
    finally:
        daemon.terminate()
        assert daemon.wait(timeout=30) == 0


def logged(directory: Path, program: str) -> str:
    """Return the first line that a program under supervisord has written, when it is there."""

    def text() -> str:
        return "".join(path.read_text() for path in directory.glob(f"{program}-stdout---*"))

    assert eventually(lambda: "\n" in text())
    return text().splitlines()[0]


def test_supervisord_runs_the_dynos(hsup: Hsup) -> None:
    _, told = export(hsup, "supervisord")
    (files,) = re.findall(r"in \[include\] of supervisord.conf: (files = .*)", told)
    with supervisord(files, hsup.directory) as control:
        for dyno in DYNOS:
            expected = {**variables(dyno), "HOME": pwd.getpwuid(os.geteuid()).pw_dir}
            seen = json.loads(logged(hsup.directory, f"shop-{dyno}"))
            assert {name: seen.get(name) for name in expected} == expected
        stopped = subprocess.run([*control, "stop", "shop:*"], check=True, capture_output=True)
        assert sorted(stopped.stdout.splitlines()) == [
            b"shop:shop-2_Odd-Type-.1: stopped",
            b"shop:shop-web.1: stopped",
            b"shop:shop-web.2: stopped",
        ]
        assert not hsup.sleepers(0)
    directory = hsup.directory / "it's 50% of: $HOME"
    for dyno in DYNOS:
        assert (directory / f"stopped.{dyno}").read_text() == f"{directory}\n"


def test_systemd_takes_the_units(hsup: Hsup) -> None:
    exported, _ = export(hsup, "systemd")
    units = sorted(path for path in exported.iterdir() if path.suffix != ".env")
    assert [path.name for path in units] == [
        "shop-2_Odd-Type-.1.service",
        "shop-web.1.service",
        "shop-web.2.service",
        "shop.target",
    ]
    analyze = tool("systemd-analyze", "systemd")
    told = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert str(exported) not in told.stderr


def test_launchd_gets_property_lists(hsup: Hsup) -> None:
    exported, _ = export(hsup, "launchd")
    for dyno in DYNOS:
        path = exported / f"shop-{dyno}.plist"
        binary = path.with_suffix(".binary")
        plistutil = tool("plistutil", "libplist-utils")
        subprocess.run([plistutil, "-i", path, "-o", binary], check=True)
        assert binary.read_bytes().startswith(b"bplist00")
        read = plistlib.loads(binary.read_bytes())
        assert read["EnvironmentVariables"] == variables(dyno)
        assert read["WorkingDirectory"] == str(hsup.directory / "it's 50% of: $HOME")


def test_compose_reads_every_value(hsup: Hsup) -> None:
    exported, _ = export(hsup, "docker-compose")
    compose = tool("docker-compose", "docker-compose")
    done = subprocess.run(
        [compose, "-f", exported / "compose.yaml", "config"],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    )
    yaml = pytest.importorskip("yaml", reason="PyYAML, which reads it, is not beside pytest here")
    services = yaml.safe_load(done.stdout)["services"]
    assert {*services} == {*DYNOS}
    for dyno in DYNOS:
        service = services[dyno]
        # What it writes is for itself to read: it doubles a dollar again.
        seen = {name: value.replace("$$", "$") for name, value in service["environment"].items()}
        assert seen == {"HOME": "/app", **variables(dyno)}
        assert "$HOME" in service["volumes"][0]["source"].replace("$$", "$")
