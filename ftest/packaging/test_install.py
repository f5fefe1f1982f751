"""`make install` and `make uninstall`: hsup runs from where it is, and nothing is left of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COMPLETIONS = (
    "bash-completion/completions/hsup",
    "zsh/site-functions/_hsup",
    "fish/vendor_completions.d/hsup.fish",
)


def make(*words: str) -> None:
    done = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=False)
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


def test_the_release_before_stays_until_the_next(tmp_path: Path) -> None:
    opt, prefix = tmp_path / "opt/hsup", tmp_path / "usr"
    where = (f"OPT={opt}", f"PREFIX={prefix}")
    make("install", *where)
    assert_runs(opt, prefix)
    (first,) = (opt / "releases").iterdir()

    make("install", "--old-file=wheels", *where)
    assert_runs(opt, prefix)
    second = (opt / "current").resolve()
    assert set((opt / "releases").iterdir()) == {first, second}
    assert output(first / "bin/hsup", "--version")

    make("install", "--old-file=wheels", *where)
    assert_runs(opt, prefix)
    assert set((opt / "releases").iterdir()) == {second, (opt / "current").resolve()}

    make("uninstall", *where)
    assert not [one for one in tmp_path.rglob("*") if not one.is_dir()]
    assert not opt.exists()


def test_what_is_put_below_another_directory_runs_where_it_is_for(tmp_path: Path) -> None:
    destination, real = tmp_path / "root", tmp_path / "real"
    opt, prefix = real / "opt/hsup", real / "usr"
    where = (f"OPT={opt}", f"PREFIX={prefix}")
    make("install", *where, f"DESTDIR={destination}")
    assert not real.exists()

    Path(f"{destination}{real}").rename(real)
    assert_runs(opt, prefix)
    search = ["grep", "-rlI", str(destination), str(real)]
    assert not subprocess.run(search, capture_output=True, check=False).stdout

    real.rename(f"{destination}{real}")
    make("uninstall", *where, f"DESTDIR={destination}")
    assert not [one for one in destination.rglob("*") if not one.is_dir()]
