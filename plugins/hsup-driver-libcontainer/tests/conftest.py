"""A stack for tests: bash and coreutils of this machine, with the libraries that they need."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from hsup.api import Settings

PROGRAMS = """
    bash cat chmod env false grep head id ln ls mkdir nproc printenv printf ps pwd seq setsid sh
    sleep stat stty tail touch true tty umask wc whoami
"""


def _libraries(program: str) -> set[str]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {word for word in listing.split() if word.startswith("/")}


@contextmanager
def _descriptors_left(count: int) -> Iterator[None]:
    """Limit the number of files that can be opened inside the block."""
    taken: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/", os.O_PATH))
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def descriptors_left() -> Callable[[int], AbstractContextManager[None]]:
    return _descriptors_left


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with the programs that the tests run."""
    root = tmp_path_factory.mktemp("stack")
    root.chmod(0o755)
    programs = [
        path for name in PROGRAMS.split() if (path := shutil.which(name, path="/usr/bin:/bin"))
    ]
    (root / "usr/bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (root / "bin").symlink_to("usr/bin")
    for program in programs:
        shutil.copy(program, root / "usr/bin")
        for library in _libraries(program):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    return root


@pytest.fixture(scope="session")
def environ(stack: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables for a driver that shares nothing with other hsups."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    base = tmp_path_factory.mktemp("hsup")
    stacks = base / "stacks"
    stacks.mkdir()
    manifest = f"- name: test\n  version: '1'\n  url: file://{stack}\n  primary: true\n"
    (stacks / "manifest.yml").write_text(manifest)
    return {
        "PATH": os.environ["PATH"],
        "HSUP_STACKS_DIR": str(stacks),
        "HSUP_SLUGS_DIR": str(base / "slugs"),
        "LIBCONTAINER_RUN_DIR": str(base / "run"),
        "HEROKU_ACCESS_TOKEN": "secret",
    }


@pytest.fixture
def settings(environ: Mapping[str, str], tmp_path: Path) -> Settings:
    return Settings(directory=str(tmp_path), environ=environ)
