"""Several log drains at once, some of which fail: none costs the others, or the dynos, anything."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest.program import Hsup, Running, eventually, free_port, process
from hsup_log_drain.testing import HttpReceiver, Rsyslog

#: Writes numbered lines of 100 bytes until it is stopped; then it says how many there were.
COUNTING = """
import itertools, signal, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
for number in itertools.count(1):
    print(f"line {number:094d}", flush=True)
    if number % 50 == 0:
        time.sleep(0.01)
    if stopped:
        break
print(f"wrote {number} lines", flush=True)
"""


_GZIP = b"\x1f\x8b"


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as running:
        yield running
    assert running.invalid == []


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    if not Rsyslog.is_installed():
        pytest.skip("rsyslog is not installed here, as in hsup's image")
    running = Rsyslog(tmp_path / "rsyslog")
    running.start()
    yield running
    running.stop()


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\bline (\d{94})\b", text)]


def posted(receiver: HttpReceiver, dyno: str) -> str:
    """Return the messages of a dyno that a receiver has taken, each block once."""
    blocks = {one.headers["logplex-frame-id"]: one for one in receiver.requests}
    frames = (frame for one in blocks.values() for frame in one.frames)
    return b"".join(one.message for one in frames if one.process == dyno).decode()


def in_files(path: Path) -> str:
    """Return the lines of a file and of those that were rotated, oldest first."""
    rotated = path.parent.glob(f"{path.name}.*")
    files = sorted(rotated, key=lambda one: -int(one.name.split(".")[2]))
    texts = [one.read_bytes() for one in files]
    plain = [gzip.decompress(one) if one.startswith(_GZIP) else one for one in texts]
    return b"".join([*plain, path.read_bytes()]).decode()


def counted(running: Running) -> int:
    (line,) = running.wait_for(r"wrote \d+ lines$")
    return int(line.split()[-2])


def test_rsyslog_an_http_receiver_and_a_rotated_file_have_every_line_while_one_is_away(
    hsup: Hsup, receiver: HttpReceiver, rsyslog: Rsyslog
) -> None:
    hsup.files({"count.py": COUNTING})
    hsup.procfile(one=f"exec {hsup.python} count.py")
    syslog = f"syslog://127.0.0.1:{rsyslog.tcp_port}"
    log = f"file:{hsup.directory}/app.log?size=256K&keep=999"
    running = hsup.start("--drain", f"{receiver.url}/in", "--drain", syslog, "--drain", log)
    receiver.wait_until(lambda: "line" in posted(receiver, "one.1"))
    rsyslog.stop()
    running.wait_for(rf"Warning: drain {syslog}: ")
    before = len(receiver.requests)
    receiver.wait_until(lambda: len(receiver.requests) > before + 10)
    rsyslog.start()
    running.wait_for(rf"drain {syslog} takes lines again after .*; no line was lost")
    assert running.stop() == 0
    expected = [*range(1, counted(running) + 1)]
    assert numbers(running.out) == expected
    assert numbers(posted(receiver, "one.1")) == expected
    assert numbers(in_files(hsup.directory / "app.log")) == expected

    def taken() -> list[int]:
        return numbers(b"\n".join(rsyslog.parsed(0)).decode())

    # What was on its way when rsyslog ended may have come twice; see the guide.
    assert eventually(lambda: sorted(set(taken())) == expected)


def test_what_does_not_fit_is_counted_to_the_line(hsup: Hsup) -> None:
    """A receiver that is away at first, and then takes everything."""
    port = free_port()
    hsup.files({"count.py": COUNTING})
    hsup.procfile(one=f"exec {hsup.python} count.py")
    running = hsup.start("--drain", f"http://127.0.0.1:{port}/in?buffer=256K")
    running.wait_for(r"line 0*20000$")
    with HttpReceiver(port) as back:
        running.wait_for("takes lines again after ")
        assert running.stop() == 0
        arrived = numbers(posted(back, "one.1"))
        told = re.findall(r"Error L10 \(output buffer overflow\): (\d+) ", posted(back, "logplex"))
        written = counted(running)
        assert arrived == sorted(set(arrived))
        # Lines of hsup's own are counted, too: a few were dropped at the start.
        lost = written - len(arrived)
        assert 0 < lost <= sum(map(int, told)) <= lost + 20
        assert back.invalid == []


class Silent:
    """Takes connections, and whatever is sent, as far as nobody reads it; answers nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._connections.append(self._server.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        for one in (self._server, *self._connections):
            one.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_twenty_drains_that_take_nothing_cost_the_terminal_nothing(
    hsup: Hsup, silent: Silent
) -> None:
    hsup.procfile(one="seq -f 'line %094.0f' 100000")
    drains = [f"http://127.0.0.1:{silent.port}/{number}" for number in range(18)]
    drains += [f"syslog://127.0.0.1:{silent.port}", "https://127.0.0.1:1/"]
    words = [word for url in drains for word in ("--drain", url)]
    done = hsup.call("start", "--oneshot", "--grace", "1", *words)
    assert done.status == 0
    assert numbers(done.text) == [*range(1, 100_001)]
    assert (
        len(
            re.findall(
                r"^hsup: warning: drain .* lines were not delivered$", done.message, re.MULTILINE
            )
        )
        == 20
    )


def test_a_megabyte_right_before_the_end_arrives(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(one="seq -f 'line %094.0f' 10000; exit 3", two="seq -f 'line %094.0f' 10000 >&2")
    hsup.call("start", "--oneshot", "--drain", receiver.url)
    for dyno in ("one.1", "two.1"):
        text = posted(receiver, dyno)
        assert numbers(text) == [*range(1, 10_001)]
        assert text.rstrip().splitlines()[-2:] == [
            f"Process exited with status {3 if dyno == 'one.1' else 0}",
            "State changed from up to complete",
        ]


def test_no_dyno_has_a_descriptor_of_a_drain_or_its_url(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.environ["HSUP_DRAIN"] = receiver.url.replace("//", "//user:s3cret@")
    hsup.procfile(one="sleep 1; ls -l /proc/self/fd; env; echo done; exec sleep 1000")
    running = hsup.start()
    receiver.wait_until(lambda: "done" in posted(receiver, "one.1"))
    assert running.stop() == 0
    written = posted(receiver, "one.1")
    assert "/proc/" in written or "pipe:" in written
    assert "socket:" not in written
    assert "s3cret" not in running.said
    assert "HSUP_DRAIN" not in written


def test_what_a_release_names_is_followed_without_a_restart(
    hsup: Hsup, receiver: HttpReceiver
) -> None:
    dynos = [process("one", "echo born; while echo tick; do sleep 0.1; done")]
    hsup.release(Version=1, Processes=dynos)
    running = hsup.start()
    running.wait_for("born$")
    hsup.release(Version=1, Processes=dynos, LogDrains=[f"{receiver.url}/in"])
    receiver.wait_until(lambda: "tick" in posted(receiver, "one.1"))
    hsup.release(Version=1, Processes=dynos, LogDrains=[])
    assert eventually(lambda: receiver.open_connections == 0)
    assert running.stop() == 0
    assert running.count("born$") == running.count("Release v1 created$") == 1


def test_sigterm_with_much_in_the_buffer_ends_in_time_and_counts(
    hsup: Hsup, silent: Silent
) -> None:
    hsup.procfile(one=f"seq -f 'line %094.0f' 500000; echo born; exec {hsup.sleep}")
    url = f"http://127.0.0.1:{silent.port}/?buffer=64M"
    running = hsup.start("--grace", "2", "--log-format", "none", "--drain", url)
    assert eventually(hsup.sleepers)
    time.sleep(0.5)
    before = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - before < 30
    found = re.search(r"hsup: warning: drain \S+: (\d+) lines were not delivered", running.err)
    assert found
    assert int(found[1]) >= 500_001
