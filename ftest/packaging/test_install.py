"""`make install` and `make uninstall`: hsup runs from where it is, and nothing is left of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest.program import eventually

ROOT = Path(__file__).parent.parent.parent
COMPLETIONS = (
    "bash-completion/completions/hsup",
    "zsh/site-functions/_hsup",
    "fish/vendor_completions.d/hsup.fish",
)


def tried(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the clone as someone whose files nobody else may read."""
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, umask=0o077)


def make(*words: str) -> None:
    done = tried("make", "--old-file=wheels", *words)  # `make ftest-deb` has built them
    assert not done.returncode, done.stdout + done.stderr


def output(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def assert_runs(opt: Path, prefix: Path) -> None:
    """Look at what is installed: that the program runs with all plugins, and its completions."""
    hsup = prefix / "bin/hsup"
    assert hsup.resolve().parent.parent.parent == opt / "releases"
    assert hsup.resolve().parent.parent == (opt / "current").resolve()
    listed = output(hsup, "plugins")
    assert "drivers: docker, libcontainer, simple\nsources: directory, heroku, procfile\n" in listed
    for path, shell in zip(COMPLETIONS, ("bash", "zsh", "fish"), strict=True):
        assert (prefix / "share" / path).read_text() == output(hsup, "completion", shell)


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give a list, and end the processes that the test has put there."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.terminate()
        process.communicate()


def test_a_release_stays_while_hsup_runs_from_it(
    tmp_path: Path, running: list[subprocess.Popen[bytes]]
) -> None:
    opt, prefix = tmp_path / "my apps/hsup", tmp_path / "usr [1]"
    where = (f"OPT={opt}", f"PREFIX={prefix}")
    make("install", *where)
    assert_runs(opt, prefix)
    first = (opt / "current").resolve()
    (tmp_path / "Procfile").write_text("work: echo works; exec sleep 1000\n")
    hsup = subprocess.Popen([prefix / "bin/hsup", "start"], cwd=tmp_path, stdout=subprocess.PIPE)
    running.append(hsup)
    assert hsup.stdout
    assert any(b"works" in line for line in hsup.stdout)

    for _ in range(2):
        make("install", *where)
        assert_runs(opt, prefix)
        kept = {first, (opt / "current").resolve()}
        assert len(kept) == 2
        assert set((opt / "releases").iterdir()) == kept
    refused = tried("make", "uninstall", *where)
    assert f"hsup runs from {opt} and cannot be removed" in refused.stderr
    assert f"kill {hsup.pid}\n" in refused.stderr
    assert_runs(opt, prefix)

    hsup.terminate()
    assert hsup.wait() == 0
    make("install", *where)
    assert set((opt / "releases").iterdir()) == {(opt / "current").resolve()}

    (opt / "mine").touch()
    make("uninstall", *where)
    left = {one for one in tmp_path.rglob("*") if not one.is_dir()}
    assert left == {tmp_path / "Procfile", opt / "mine"}


def test_everybody_may_run_it_and_plugins_outlive_an_upgrade(tmp_path: Path) -> None:
    opt, prefix = tmp_path / "opt/hsup", tmp_path / "usr"
    where = (f"OPT={opt}", f"PREFIX={prefix}")
    make("install", *where)
    public = [one for one in tmp_path.rglob("*") if one.stat().st_mode & 0o044 == 0o044]
    assert public == list(tmp_path.rglob("*"))

    (tmp_path / "Procfile").write_text("web: true\n")
    command = (prefix / "bin/hsup", "run", "-d", "nosuch", "true")
    asked = tried("env", f"HSUP_ROOT={tmp_path}", *command).stderr
    pip = f"{(opt / 'current').resolve()}/bin/pip"
    assert f"{pip} install --no-deps --target {opt}/plugins PACKAGE" in asked
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "mine.py").write_text("from hsup import hookimpl\n")
    (plugin / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='hsup-mine', version='1.2', py_modules=['mine'],"
        " install_requires=['hsup'], entry_points={'hsup': ['mine = mine']})\n"
    )
    output(pip, "install", "--no-deps", "--target", opt / "plugins", plugin)
    assert "hsup-mine" in output(prefix / "bin/hsup", "plugins")
    make("install", *where)
    assert "hsup-mine" in output(prefix / "bin/hsup", "plugins")
    make("uninstall", *where)
    assert not opt.exists()


def test_what_runs_in_a_container_is_told_apart(
    tmp_path: Path, running: list[subprocess.Popen[bytes]]
) -> None:
    root, opt = tmp_path / "root", tmp_path / "opt [1]"
    for directory in (opt, Path(f"{root}{opt}")):
        directory.mkdir(parents=True)
        shutil.copy("/bin/busybox", directory / "sleep")
    script = ROOT / "packaging/running"
    running.append(subprocess.Popen([opt / "sleep", "1000"]))
    running.append(subprocess.Popen(["chroot", root, opt / "sleep", "1000"]))
    outside, inside = (f"{process.pid}\n" for process in running)
    assert eventually(lambda: output(script, opt, root) == inside)
    assert output(script, opt) == outside
    assert not output(script, tmp_path / "opt 1")


def test_nothing_is_left_of_an_installation_that_fails(tmp_path: Path) -> None:
    opt, prefix = tmp_path / "opt", tmp_path / "usr"
    install = ROOT / "packaging/install"
    failed = tried(install, sys.executable, tmp_path, opt, prefix)
    assert failed.returncode
    assert f"{tmp_path}/*.whl" in failed.stderr
    assert not list((opt / "releases").iterdir())
    assert not [one for one in tmp_path.rglob("*") if not one.is_dir()]


def test_what_is_put_below_another_directory_runs_where_it_is_for(tmp_path: Path) -> None:
    destination, real = tmp_path / "a|b & [c]", tmp_path / "real"
    opt, prefix = real / "opt/hsup", real / "usr"
    where = (f"OPT={opt}", f"PREFIX={prefix}")
    make("install", *where, f"DESTDIR={destination}")
    assert not real.exists()

    Path(f"{destination}{real}").rename(real)
    assert_runs(opt, prefix)
    search = ["grep", "-rlIF", str(destination), str(real)]
    assert not subprocess.run(search, capture_output=True, check=False).stdout

    real.rename(f"{destination}{real}")
    make("uninstall", *where, f"DESTDIR={destination}")
    assert not [one for one in destination.rglob("*") if not one.is_dir()]
