"""The driver that "Writing a plugin" makes from nothing works as the page says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "plugins/README.md"
#: A file's name in backticks, on the line before its content.
FILE = re.compile(r"`([\w./]+\.(?:toml|py))`[^\n]*:\n\n```\w+\n(.*?)```", re.DOTALL)
SECONDS = 300


@pytest.fixture
def nice(tmp_path: Path) -> Iterator[Path]:
    """Write the files of the page, and what pip makes of them when it installs them."""
    files = dict(FILE.findall(PAGE.read_text()))
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "hsup_driver_nice/__init__.py").touch()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    installed = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    points = project["entry-points"]["hsup"].items()
    lines = ("[hsup]", *(f"{name} = {value}" for name, value in points))
    (installed / "entry_points.txt").write_text("\n".join(lines))
    yield tmp_path
    end_processes_in(tmp_path)


def end_processes_in(directory: Path) -> None:
    """End what has got away from the driver of the page, as the page says that it does."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == directory:
                os.kill(int(process.name), signal.SIGKILL)


def call(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a directory, whose packages it finds."""
    path = os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HSUP_")},
        "HSUP_PROCFILE_DIR": str(directory / "kept"),
        "PYTHONPATH": path,
    }
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command,
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_page_has_four_files_and_a_test(nice: Path) -> None:
    names = {str(path.relative_to(nice)) for path in nice.rglob("*.py")}
    assert names == {
        "hsup_driver_nice/__init__.py",
        "hsup_driver_nice/driver.py",
        "hsup_driver_nice/hooks.py",
        "test_nice_driver.py",
    }


def test_the_plugin_is_listed(nice: Path) -> None:
    listed = json.loads(call(nice, "hsup", "plugins", "--json").stdout)
    assert "nice" in listed["drivers"]
    assert not listed["faults"]


def test_the_driver_runs_dynos(nice: Path) -> None:
    (nice / "Procfile").write_text("worker: echo $DYNO has nice $(nice); exit 3\n")
    ended = call(nice, "hsup", "start", "-d", "nice", "--oneshot", "--log-format", "raw")
    own = os.nice(0)
    assert ended.stdout == f"worker.1 has nice {min(own + 10, 19)}\n"
    assert ended.returncode == 3


def test_the_checks_fail_that_the_page_names(nice: Path) -> None:
    ended = call(nice, "pytest", "-q", "-rfs", "-p", "no:cacheprovider", "test_nice_driver.py")
    failed = set(re.findall(r"^FAILED .*::(test_\w+)", ended.stdout, re.MULTILINE))
    text = PAGE.read_text()
    named = set(re.findall(r"^- `(test_\w+)`", text, re.MULTILINE))
    assert failed == named, ended.stdout[-4000:]
    assert len(named) == 2
    assert re.search(r"\d+ passed", ended.stdout)
