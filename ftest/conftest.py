"""Which hsup and which driver the suite runs, and that no test leaves anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest

from ftest import docker_engine, leftovers
from ftest.program import STACK, Hsup, Running, eventually
from ftest.terminal import Terminal

BUILD = Path(__file__).parent.with_name("build")

#: Directories of tests that are run if an option says what of.
_DIRECTORIES = {"image": "--image", "packaging": "--packages"}

#: How much of each stream of hsup the report of a failed test shows.
_SHOWN = 6000


def pytest_addoption(parser: pytest.Parser) -> None:
    options = parser.getgroup("hsup")
    options.addoption("--driver", default="simple", help="the dyno driver to run with")
    options.addoption(
        "--hsup",
        type=Path,
        default=Path(sys.executable).with_name("hsup"),
        help="the installed program",
    )
    options.addoption(
        "--stack",
        type=Path,
        default=BUILD / "stack",
        help="the root directory of a small Debian; drivers with containers need it",
    )
    options.addoption(
        "--slug",
        type=Path,
        default=BUILD / "guestbook.tgz",
        help="the slug of examples/guestbook; drivers with containers need it",
    )
    options.addoption(
        "--runtimes",
        type=Path,
        default=BUILD / "runtimes",
        help="one that has Java and Node.js too, for a few tests of the libcontainer driver",
    )
    options.addoption(
        "--image", help="the container image that ftest/image tests, or ftest/packaging boots"
    )
    options.addoption(
        "--packages", type=Path, help="the directory of the two packages that ftest/packaging tests"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simple_only(reason): what only the simple driver can show")
    config.addinivalue_line("markers", "containers_only(reason): what it cannot show")
    config.addinivalue_line("markers", "not_with(driver, reason): what one driver cannot show")
    # Start hsup as a terminal does, also where the tests run under nohup, or behind a script's &.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if (driver := config.getoption("--driver")) != "simple":
        _require(config, driver)


def _require(config: pytest.Config, driver: str) -> None:
    """End at once where the machine lacks what every test of the driver needs."""
    if os.geteuid():
        pytest.exit(f"the tests of the {driver} driver need root: sudo make ftest-{driver}", 1)
    for option in ("--stack", "--slug"):
        path = config.getoption(option)
        if not path.exists():
            pytest.exit(f"{path} is not there: make ftest-{driver}-local makes it", 1)
    if driver == "docker" and (problem := docker_engine.problem()):
        pytest.exit(problem, 1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is about the image, and what is about another driver, which its name has."""
    option = _DIRECTORIES.get(collection_path.name)
    if option is not None and not config.getoption(option):
        return True
    for driver in ("docker", "libcontainer"):
        if collection_path.name.startswith(f"test_{driver}_"):
            return config.getoption("--driver") != driver or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    driver = config.getoption("--driver")
    for item in items:
        for marker in item.iter_markers():
            if reason := _why_not(marker, driver):
                item.add_marker(pytest.mark.skip(reason=reason))


def _why_not(marker: pytest.Mark, driver: str) -> str | None:
    """Return why a test is not for a driver, None if the marker does not say so."""
    match marker.name:
        case "simple_only" if driver != "simple":
            return marker.args[0]
        case "containers_only" if driver == "simple":
            return marker.args[0]
        case "not_with" if marker.args[0] == driver:
            return marker.args[1]
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what hsup has written to the report of a test that failed."""
    report = yield
    program = getattr(item, "funcargs", {}).get("hsup")
    if report.failed and isinstance(program, Hsup):
        for running in program.started:
            report.sections.append(("stdout of hsup", running.out[-_SHOWN:]))
            report.sections.append(("stderr of hsup", running.err[-_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def variables(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """Give what the driver needs in hsup's environment on this machine."""
    option = request.config.getoption
    if option("--driver") == "simple":
        yield {}
        return
    directory = tmp_path_factory.mktemp("data")
    if option("--driver") == "docker":
        yield from docker_engine.variables(directory, option("--stack"), STACK)
        return
    environ = {
        "HSUP_STACKS_DIR": str(directory / "stacks"),
        "HSUP_SLUGS_DIR": str(directory / "slugs"),
    }
    subprocess.run(
        [option("--hsup").absolute(), "stacks", "import", STACK, option("--stack"), "--primary"],
        env={**os.environ, **environ},
        check=True,
    )
    yield environ


@pytest.fixture
def hsup(
    request: pytest.FixtureRequest, tmp_path: Path, variables: Mapping[str, str]
) -> Iterator[Hsup]:
    """Give the program; end what the test started, and fail if something is left."""
    path = request.config.getoption("--hsup").absolute()
    program = Hsup(path, request.config.getoption("--driver"), tmp_path, variables)
    before = leftovers.taken() if program.has_containers else set()
    yield program
    stubborn = [one for one in program.started if not _end(one)]
    left = program.processes()
    for pid in left:
        _kill(pid)
    for one in program.started:
        one.close()
    assert not stubborn, f"hsup did not end on SIGTERM:\n{stubborn[0].said[-4000:]}"
    assert not left, f"left running: {left}"
    if program.has_containers:
        assert not leftovers.since(before)


@pytest.fixture
def install(hsup: Hsup) -> Callable[..., None]:
    """Install a distribution of one module, as pip would leave it, for this test only."""
    site = hsup.directory / "site"
    site.mkdir()
    hsup.environ["PYTHONPATH"] = str(site)

    def write(name: str, code: str, version: str = "1.2.3") -> None:
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        info.joinpath("entry_points.txt").write_text(f"[hsup]\n{name}-entry = {module}\n")

    hsup.procfile(web="true")
    return write


@pytest.fixture
def terminal(hsup: Hsup) -> Iterator[Callable[..., Terminal]]:
    """Start hsup, or another program, in a pseudo terminal."""
    opened = []

    def open_terminal(
        *words: str,
        argv: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        **size: int,
    ) -> Terminal:
        line = argv or hsup.words(*words)
        opened.append(Terminal(line, hsup.directory, {**hsup.environ, **(env or {})}, **size))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def _end(running: Running) -> bool:
    """Stop an hsup that the test has left running; tell whether it obeyed."""
    if running.child.poll() is not None:
        return True
    running.send(signal.SIGTERM)
    if eventually(lambda: running.child.poll() is not None):
        return True
    running.child.kill()
    running.child.wait()
    return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
