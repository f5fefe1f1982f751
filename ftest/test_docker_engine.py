"""What a Docker Engine does to its users: it is away, it is restarted, it is full, it refuses."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ftest.own_engine import OwnEngine
from ftest.program import PATIENCE, Hsup, Running, eventually, free_port, process
from ftest.registry import running_registry

IMAGE = "hsup-stack:1"
#: Says a number twenty times a second.
COUNT = "i=0; while :; do i=$((i+1)); echo number $i; sleep 0.05; done"


@pytest.fixture
def own_engine(request: pytest.FixtureRequest, hsup: Hsup) -> Iterator[Callable[..., OwnEngine]]:
    """Give what starts an engine for this test, and has hsup use it."""
    engines = []

    def start(
        size: str = "600m", options: Sequence[str] = (), host: str | None = None
    ) -> OwnEngine:
        engine = OwnEngine(size, options)
        engines.append(engine)
        engine.load(request.config.getoption("--stack"), IMAGE)
        stacks = f"cedar-14={IMAGE} heroku-24={IMAGE}"
        hsup.environ |= {"DOCKER_HOST": host or engine.host, "DOCKER_STACKS": stacks}
        return engine

    yield start
    for running in hsup.started:
        if running.child.poll() is None:
            running.child.kill()
    for engine in engines:
        engine.remove()


def numbers(running: Running) -> list[int]:
    """Return what a dyno with COUNT has said so far."""
    lines = [line for line in running.out.splitlines() if "]: number " in line]
    return [int(line.split()[-1]) for line in lines]


def is_gapless(said: Sequence[int]) -> bool:
    """Tell whether numbers are in order, and none is missing; the latest ones may be repeated."""
    return sorted(set(said)) == list(range(1, max(said) + 1))


@pytest.mark.parametrize("words", [("run", "true"), ("start",), ("build",)])
def test_without_an_engine_the_error_says_where_it_should_be_and_what_to_do(
    hsup: Hsup, words: tuple[str, ...]
) -> None:
    hsup.procfile(one="true")
    hsup.environ["DOCKER_HOST"] = "unix:///run/no-such-engine.sock"
    done = hsup.call(*words)
    assert done.status == 1
    assert done.message == (
        "hsup: cannot reach the Docker Engine at unix:///run/no-such-engine.sock: "
        "No such file or directory; start it (systemctl start docker), or set DOCKER_HOST\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_dynos_are_started_again_by_an_engine_that_was_restarted(
    hsup: Hsup, own_engine: Callable[..., OwnEngine], number: signal.Signals
) -> None:
    engine = own_engine()
    hsup.procfile(one=COUNT)
    running = hsup.start()
    running.wait_for("number 5$")
    engine.stop(number)
    running.wait_for("cannot reach the Docker Engine")
    engine.start()
    running.wait_for("number 5$", count=2, timeout=40)
    assert running.count("Process exited with status") >= 1
    assert running.stop() == 0
    assert engine.containers() == []


def test_dynos_run_on_unseen_while_an_engine_that_lets_them_is_restarted(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    engine = own_engine(options=["--live-restore"])
    hsup.procfile(one=COUNT)
    running = hsup.start()
    running.wait_for("number 5$")
    engine.stop(signal.SIGKILL)
    running.wait_for(
        "cannot reach the Docker Engine.*one.1 keeps running, its output is not being read"
    )
    engine.start()
    assert eventually(lambda: max(numbers(running)) > 60)
    assert running.count("Process exited") == 0
    assert running.stop(timeout=40) == 0
    assert engine.containers() == []


def test_hsup_ends_also_where_the_engine_does_not_come_back(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    engine = own_engine()
    hsup.procfile(one=COUNT)
    running = hsup.start("--grace", "1")
    running.wait_for("number 5$")
    engine.stop(signal.SIGKILL)
    assert running.stop(timeout=40) == 1
    assert "cannot reach the Docker Engine" in running.said
    assert "Traceback" not in running.out
    engine.start()
    assert eventually(lambda: is_swept(hsup, engine))


def is_swept(hsup: Hsup, engine: OwnEngine) -> bool:
    """Tell whether the next hsup leaves nothing; the engine may yet do what the last one asked."""
    hsup.procfile(one="true")
    hsup.call("start", "--oneshot")
    return not engine.containers()


def stopped(engine: OwnEngine) -> None:
    engine.send(signal.SIGSTOP)


def killed(engine: OwnEngine) -> None:
    engine.stop(signal.SIGKILL)


def unlinked(engine: OwnEngine) -> None:
    Path(engine.host.removeprefix("unix://")).unlink()


@pytest.fixture(params=[stopped, killed, unlinked])
def break_engine(request: pytest.FixtureRequest) -> Iterator[Callable[[OwnEngine], None]]:
    """Give what does to an engine what becomes of one; it is whole again afterwards."""
    broken = []

    def run(engine: OwnEngine) -> None:
        broken.append(engine)
        request.param(engine)

    yield run
    for engine in broken:
        engine.repair()


#: So long is an engine waited for that does not answer, and as long takes hsup's own end at most.
AWAY_SECONDS, END_SECONDS = 10, 5


@pytest.mark.parametrize("signals", [1, 2])
def test_hsup_ends_in_time_whatever_becomes_of_the_engine(
    hsup: Hsup,
    own_engine: Callable[..., OwnEngine],
    break_engine: Callable[[OwnEngine], None],
    signals: int,
) -> None:
    engine = own_engine()
    hsup.procfile(one=COUNT)
    start, run = hsup.start("one=3"), hsup.begin("--grace", "1", "run", COUNT)
    start.wait_for("number 5$", count=3)
    run.wait_for("number 5$")
    break_engine(engine)
    began = time.monotonic()
    for _ in range(signals):
        start.send(signal.SIGTERM)
        run.send(signal.SIGTERM)
        time.sleep(0.5)  # two in a row are one
    for one in (start, run):
        assert one.ended(timeout=60) != 0
        assert time.monotonic() - began < (AWAY_SECONDS + END_SECONDS) * PATIENCE, one.said
        assert "Traceback" not in one.said
    assert is_told(engine, run)
    if signals == 2 and "hsup stopped waiting" in start.said:
        # The second signal leaves the driver less time than it leaves the engine.
        assert 'driver "docker" of hsup-driver-docker' in start.said
    else:
        assert is_told(engine, start), start.said


def is_told(engine: OwnEngine, running: Running) -> bool:
    """Tell whether it is said that the engine is away, and what is left there."""
    left = r"container hsup-\S+ is left behind; start hsup again to remove it$"
    away = f"cannot reach the Docker Engine at {engine.host}: "
    return away in running.said and bool(re.search(left, running.said, re.MULTILINE))


def test_the_third_signal_ends_hsup_at_once_and_tells_which_dynos_are_left(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    engine = own_engine()
    hsup.procfile(one=COUNT, two=COUNT, three="exit 1")
    running = hsup.start()
    running.wait_for("number 5$", count=2)
    running.wait_for("three.1.*from up to crashed$", count=3)  # waits for 1.5 s at least now
    engine.send(signal.SIGSTOP)
    for _ in range(3):
        running.send(signal.SIGTERM)
        time.sleep(0.5)  # two in a row are one
    assert running.ended(timeout=5) == 128 + signal.SIGTERM
    engine.repair()
    left = re.findall(
        r"^hsup: left (\S+) running; start hsup again to .*$", running.said, re.MULTILINE
    )
    assert sorted(left) == ["one.1", "two.1"]
    assert eventually(lambda: is_swept(hsup, engine))


def test_a_run_whose_engine_goes_away_ends_with_an_error(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    engine = own_engine()
    hsup.procfile(one="true")
    running = hsup.begin("run", COUNT)
    running.wait_for("number 5$")
    engine.stop(signal.SIGKILL)
    assert running.ended() == 1
    assert "hsup: cannot reach the Docker Engine" in running.err
    assert "Traceback" not in running.err


def test_an_image_that_does_not_fit_on_the_disk_is_told(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    engine = own_engine(size="160m")
    (hsup.directory / "large").write_bytes(bytes(120_000_000))
    hsup.procfile(one="true")
    done = hsup.call("run", "true", timeout=60)
    assert done.status == 1
    assert "cannot build the image hsup/" in done.message
    assert "no space left on device; free some space; docker system df" in done.message
    assert engine.containers() == []


def test_a_dyno_that_fills_the_disk_is_told_so_itself(
    hsup: Hsup, own_engine: Callable[..., OwnEngine]
) -> None:
    own_engine(size="160m")
    hsup.procfile(one="true")
    done = hsup.call("run", "head -c 200M /dev/zero > /app/x; echo status $?", timeout=60)
    assert "No space left on device" in done.message
    assert done.text == "status 1\n"


class TestRegistry:
    @pytest.fixture(autouse=True)
    def _tools(self) -> None:
        if shutil.which("docker-registry") is None:
            pytest.skip("docker-registry is not installed")

    def test_a_stack_that_is_not_there_is_pulled(
        self, hsup: Hsup, own_engine: Callable[..., OwnEngine]
    ) -> None:
        engine = own_engine()
        hsup.procfile(one="true")
        with running_registry(hsup.directory) as address:
            name = f"{address}/stack:7"
            for words in (("tag", IMAGE, name), ("push", name), ("rmi", name, IMAGE)):
                subprocess.run(["docker", *words], env=engine.environ, check=True)
            hsup.environ["DOCKER_STACKS"] = f"heroku-24={name}"
            done = hsup.call("run", "echo pulled", timeout=60)
        assert (done.text, done.status) == ("pulled\n", 0), done

    def test_an_image_that_a_registry_has_not_got_is_named(
        self, hsup: Hsup, own_engine: Callable[..., OwnEngine]
    ) -> None:
        own_engine()
        hsup.release(Stack="mine", Processes=[process("one", "true")])
        with running_registry(hsup.directory) as address:
            hsup.environ["DOCKER_STACKS"] = f"mine={address}/nosuch:7"
            done = hsup.call("run", "true", timeout=60)
        assert done.status == 1
        assert f"hsup: cannot pull the image {address}/nosuch:7: " in done.message
        assert "check its name, or log in with docker login" in done.message


class TestTLS:
    @pytest.fixture
    def certificates(self, hsup: Hsup) -> Path:
        """Make an authority, and certificates for an engine and its user."""
        directory = hsup.directory / "tls"
        directory.mkdir()
        (directory / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
        new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hsup")
        authority = (*new, "-x509", "-keyout", "ca-key.pem", "-out", "ca.pem")
        made: list[tuple[str, ...]] = [authority]
        for name in ("server-", ""):
            key, request, signed = f"{name}key.pem", f"{name}request", f"{name}cert.pem"
            made.append((*new, "-keyout", key, "-out", request))
            sign = ("openssl", "x509", "-req", "-in", request, "-CA", "ca.pem", "-days", "2")
            by = ("-CAkey", "ca-key.pem", "-CAcreateserial", "-out", signed)
            made.append((*sign, *by, "-extfile", "extensions"))
        for words in made:
            subprocess.run(words, cwd=directory, check=True, capture_output=True)
        return directory

    def test_an_engine_is_reached_by_tls(
        self, hsup: Hsup, own_engine: Callable[..., OwnEngine], certificates: Path
    ) -> None:
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        names = {"cacert": "ca", "cert": "server-cert", "key": "server-key"}
        options = [f"--tls{one}={certificates}/{name}.pem" for one, name in names.items()]
        own_engine(options=["--host", address, "--tlsverify", *options], host=address)
        hsup.environ |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
        hsup.procfile(one="cat; seq 20000; echo over")
        done = hsup.call("run", "cat; exit 7", stdin=b"typed\n")
        assert (done.text, done.status) == ("typed\n", 7), done
        running = hsup.start("--oneshot")
        assert running.ended() == 0
        assert running.count(r"\]: \d+$") == 20_000
        hsup.environ["DOCKER_CERT_PATH"] = str(hsup.directory)
        done = hsup.call("run", "true")
        assert done.status == 1
        assert f"cannot reach the Docker Engine at {address}: " in done.message
        assert "certificate" in done.message.lower()
