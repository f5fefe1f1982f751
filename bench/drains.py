"""Measure log drains: how fast lines arrive, how soon, and what drains that are away cost."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import measure
from measure import HSUP, Reach, Sample, Sides
from relay import BULK_WRITER, LINE, PRINTING_WRITER, WRITERS, receive

LINES = 1_000_000
DYNOS, LINES_OF_EACH = 100, 10_000
RECEIVER = Path(__file__).with_name("drain_receiver.py")
DEAD = 10
#: What waits for a dead receiver in the measurement of memory.
WAITING_LINES = 500_000
QUIET_LINES = 20

#: Writes lines one by one, and says at the end how long the longest write has taken, in ms.
TIMED_WRITER = """\
from os import write
from time import perf_counter
longest = 0.0
for _ in range({lines}):
    begun = perf_counter()
    write(1, {line!r})
    longest = max(longest, perf_counter() - begun)
print("longest", longest * 1e3)
"""

#: Writes the time now and then.
QUIET_WRITER = """\
from time import sleep, time_ns
for _ in range({lines}):
    sleep(0.4)
    print("now", time_ns(), flush=True)
"""


def main() -> None:
    arguments = measure.argument_parser(__doc__, rounds=3).parse_args()
    hsup, rounds = arguments.hsup, arguments.rounds
    for title, writer in WRITERS.items():
        _print_rates(f"one drain, {title}", hsup, rounds, writer)
    _print_many(hsup, rounds)
    _print_syslog(hsup, rounds)
    _print_delays(hsup, rounds)
    _print_dead(hsup, rounds)
    _print_memory(hsup, rounds)


def _print_rates(title: str, hsup: Path, rounds: int, writer: str) -> None:
    with _script(writer, LINES) as argv:
        sides: Sides = {
            HSUP: partial(_to_drain, hsup, argv, LINES),
            "terminal": partial(_to_terminal, hsup, argv, LINES),
        }
        samples = measure.alternate(rounds, sides)
    measure.print_row(title, "rate", "k/s", samples, Reach(limit=300, at_least=True))
    part = Reach(limit=2 / 3, of_peer="terminal", at_least=True)
    measure.print_row(f"{title}, beside the terminal", "rate", "k/s", samples, part)
    measure.print_row("lines lost", "lost", "lines", samples, Reach(limit=0))


def _print_many(hsup: Path, rounds: int) -> None:
    with _script(TIMED_WRITER, LINES_OF_EACH) as many, _script(TIMED_WRITER, LINES) as one:
        sides: Sides = {
            HSUP: partial(_to_drain, hsup, many, DYNOS * LINES_OF_EACH, DYNOS),
            "one dyno": partial(_to_drain, hsup, one, LINES),
        }
        samples = measure.alternate(rounds, sides)
    part = Reach(limit=0.8, of_peer="one dyno", at_least=True)
    measure.print_row(f"{DYNOS} dynos at once", "rate", "k/s", samples, part)
    measure.print_row("lines lost", "lost", "lines", samples, Reach(limit=0))
    measure.print_row("longest wait of a dyno", "longest", "ms", samples, Reach(limit=100))


def _print_syslog(hsup: Path, rounds: int) -> None:
    if not measure.installed("rsyslogd", "Debian's rsyslog"):
        return
    with _script(BULK_WRITER, LINES) as argv:
        sides: Sides = {
            HSUP: partial(_to_rsyslog, _hsup_to_rsyslog(hsup, argv)),
            "logger": partial(_to_rsyslog, _logger_to_rsyslog(argv)),
        }
        samples = measure.alternate(rounds, sides)
    part = Reach(limit=1, of_peer="logger", at_least=True)
    measure.print_row("to rsyslog over TCP", "rate", "k/s", samples, part)
    measure.print_row("lines lost", "lost", "lines", samples, Reach(limit=0))


def _print_delays(hsup: Path, rounds: int) -> None:
    with _script(QUIET_WRITER, QUIET_LINES) as argv:
        drain = measure.alternate(rounds, {HSUP: partial(_delay_to_drain, hsup, argv)})
        terminal = measure.alternate(rounds, {HSUP: partial(_delay_to_terminal, hsup, argv)})
    measure.print_row("a quiet dyno's line at a drain", "worst", "ms", drain, Reach(limit=300))
    measure.print_row("on the terminal", "median", "ms", terminal, Reach(limit=5))


def _print_dead(hsup: Path, rounds: int) -> None:
    urls = [f"http://127.0.0.1:1/{number}" for number in range(DEAD)]
    with _script(PRINTING_WRITER, LINES) as argv:
        sides: Sides = {
            HSUP: partial(_to_terminal, hsup, argv, LINES, urls),
            "without": partial(_to_terminal, hsup, argv, LINES),
        }
        samples = measure.alternate(rounds, sides)
    part = Reach(limit=0.95, of_peer="without", at_least=True)
    measure.print_row(f"relay beside {DEAD} dead drains", "rate", "k/s", samples, part)


def _print_memory(hsup: Path, rounds: int) -> None:
    with _script(BULK_WRITER, WAITING_LINES) as argv:
        samples = measure.alternate(rounds, {HSUP: partial(_memory, hsup, argv)})
    title = "memory for a line of 100 bytes that waits"
    measure.print_row(title, "bytes", "B", samples, Reach(limit=200))


@contextmanager
def _script(writer: str, lines: int) -> Iterator[Sequence[str]]:
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        path = Path(name) / "writer.py"
        path.write_text(writer.format(line=LINE, lines=lines))
        yield (sys.executable, "-SI", str(path))


def _start(hsup: Path, directory: Path, argv: Sequence[str], dynos: int = 1) -> list[str]:
    control = directory / "control"
    control.mkdir()
    types = [{"Args": list(argv), "Quantity": dynos, "Type": "w"}]
    (control / "new").write_text(json.dumps({"Version": 1, "Name": "bench", "Processes": types}))
    start = ("start", "--oneshot", "-d", "simple", "--source", "directory")
    return ["env", f"HSUP_CONTROL_DIR={control}", str(hsup), *start, "--quantities", "release"]


@contextmanager
def _receiver() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a receiver; yield its port."""
    argv = [sys.executable, str(RECEIVER)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def _counted(receiver: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert receiver.stdin is not None
    assert receiver.stdout is not None
    receiver.stdin.write(LINE)
    receiver.stdin.close()
    counted: dict[str, Any] = json.loads(receiver.stdout.readline())
    return counted


def _to_drain(hsup: Path, argv: Sequence[str], lines: int, dynos: int = 1) -> Sample:
    """Deliver to a receiver on this machine, and print nothing."""
    with TemporaryDirectory(prefix="hsup-bench-") as name, _receiver() as (port, receiver):
        drain = ("--log-format", "none", "--drain", f"http://127.0.0.1:{port}/logs")
        words = [*_start(hsup, Path(name), argv, dynos), *drain]
        subprocess.run(words, check=True, env=measure.environment(), stdin=subprocess.DEVNULL)
        counted = _counted(receiver)
    waits = [float(text.split()[1]) for _, text in counted["others"] if text.startswith("longest")]
    return {
        "rate": counted["lines"] / counted["seconds"] / 1e3,
        "lost": lines - counted["lines"],
        "longest": max(waits, default=0.0),
    }


def _to_terminal(hsup: Path, argv: Sequence[str], lines: int, drains: Sequence[str] = ()) -> Sample:
    words = [word for url in drains for word in ("--drain", url)]
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        options = ("--log-format", "heroku", "--grace", "0", *words)
        call = [*_start(hsup, Path(name), argv), *options]
        with measure.running(call, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            received = receive(process.stdout.fileno())
    return {"rate": received.lines / received.seconds / 1e3, "lost": lines - received.lines}


def _delay_to_drain(hsup: Path, argv: Sequence[str]) -> Sample:
    with TemporaryDirectory(prefix="hsup-bench-") as name, _receiver() as (port, receiver):
        drain = ("--log-format", "none", "--drain", f"http://127.0.0.1:{port}/logs")
        words = [*_start(hsup, Path(name), argv), *drain]
        subprocess.run(words, check=True, env=measure.environment(), stdin=subprocess.DEVNULL)
        others = _counted(receiver)["others"]
    delays = [
        (arrived - int(text.split()[1])) / 1e6 for arrived, text in others if text[:3] == "now"
    ]
    assert len(delays) == QUIET_LINES
    return {"worst": max(delays), "median": median(delays)}


def _delay_to_terminal(hsup: Path, argv: Sequence[str]) -> Sample:
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        call = [*_start(hsup, Path(name), argv), "--log-format", "heroku"]
        with measure.running(call, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            arrived = [(time.time_ns(), line) for line in process.stdout]
    found = [(moment, re.search(rb": now (\d+)$", line.rstrip())) for moment, line in arrived]
    delays = [(moment - int(written[1])) / 1e6 for moment, written in found if written]
    assert len(delays) == QUIET_LINES
    return {"worst": max(delays), "median": median(delays)}


def _memory(hsup: Path, argv: Sequence[str]) -> Sample:
    """Compare hsup's memory before a dyno writes with that when all its lines wait."""
    quiet = (sys.executable, "-SI", "-c", "import time; time.sleep(1000)")
    waiting = ("sh", "-c", f"{' '.join(argv)}; sleep 1000")
    with_lines, without = (_resident(hsup, words) for words in (waiting, quiet))
    return {"bytes": (with_lines - without) / WAITING_LINES}


def _resident(hsup: Path, argv: Sequence[str]) -> float:
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        drain = ("--log-format", "none", "--grace", "0", "--drain", "http://127.0.0.1:1/?buffer=1G")
        with measure.running([*_start(hsup, Path(name), argv), *drain]) as process:
            time.sleep(3)
            return measure.pss_mib([process.pid]) * (1 << 20)


def _hsup_to_rsyslog(hsup: Path, argv: Sequence[str]) -> Any:
    def words(port: int, directory: Path) -> list[str]:
        drain = ("--log-format", "none", "--drain", f"syslog://127.0.0.1:{port}?buffer=256M")
        return [*_start(hsup, directory, argv), *drain]

    return words


def _logger_to_rsyslog(argv: Sequence[str]) -> Any:
    def words(port: int, directory: Path) -> list[str]:
        del directory
        logger = f"logger --tcp --octet-count --server 127.0.0.1 --port {port} --size 20000"
        return ["sh", "-c", f"{' '.join(argv)} | {logger}"]

    return words


def _to_rsyslog(words: Any) -> Sample:
    """Count the lines that rsyslog has written when it has ended."""
    with TemporaryDirectory(prefix="hsup-bench-") as name:
        directory = Path(name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with _rsyslog(directory, port) as rsyslog:
            begun = time.monotonic()
            call = words(port, directory)
            subprocess.run(call, check=True, env=measure.environment(), stdin=subprocess.DEVNULL)
            seconds = time.monotonic() - begun
            rsyslog.terminate()
            rsyslog.wait()
        lines = (directory / "log").read_bytes().count(LINE.rstrip())
    return {"rate": lines / seconds / 1e3, "lost": LINES - lines}


@contextmanager
def _rsyslog(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    # AppArmor does not let the installed one write here.
    program = shutil.copy("/usr/sbin/rsyslogd", directory / "rsyslogd")
    configuration = directory / "rsyslog.conf"
    configuration.write_text(
        f'global(workDirectory="{directory}")\nmodule(load="imtcp")\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="taken")\n'
        f'ruleset(name="taken") {{ action(type="omfile" file="{directory}/log") }}\n'
    )
    argv = [program, "-n", "-f", str(configuration), "-i", str(directory / "pid")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            measure.wait_until(lambda: _listens(port), "rsyslog")
            yield process
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
