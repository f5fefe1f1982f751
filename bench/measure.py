"""Run programs side by side in alternating rounds, and print how they compare."""

from __future__ import annotations

import argparse
import configparser
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".bench"
PEER_REQUIREMENTS = ("honcho==2.0.0", "supervisor==4.3.0")
HSUP = "hsup"
#: supervisord takes 10 s for 1,000 children.
STOP_SECONDS = 15

#: What one round of one side measured, by the measure's name.
Sample = Mapping[str, float]
#: One round of each side does what its function does.
Sides = Mapping[str, Callable[[], Sample]]
#: The samples of every round, by the side's name.
Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What hsup should do: `limit` in the measure's unit, or as a multiple of a peer's median."""

    limit: float
    of_peer: str | None = None
    at_least: bool = False

    def __str__(self) -> str:
        peer = f" x {self.of_peer}" if self.of_peer else ""
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{peer}"

    def verdict(self, medians: Mapping[str, float]) -> str:
        """Say `met` or `missed`, or why neither can be said."""
        absent = {HSUP, self.of_peer or HSUP} - medians.keys()
        if absent:
            return f"not measured: {', '.join(sorted(absent))}"
        reached = medians[HSUP]
        limit = self.limit * (medians[self.of_peer] if self.of_peer else 1)
        return "met" if (reached >= limit if self.at_least else reached <= limit) else "missed"


def argument_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Make the parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--hsup", type=absolute_path, default=ROOT / ".venv/bin/hsup", metavar="PATH"
    )
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N")
    return parser


def absolute_path(text: str) -> Path:
    """Return a path that holds in any directory; a virtual environment's links are kept."""
    return Path(text).absolute()


def peer(name: str) -> str:
    """Return the path of a peer's command; the first use installs the peers from PyPI."""
    command = PEERS / "bin" / name
    if not command.exists():
        print(f"installing {', '.join(PEER_REQUIREMENTS)} into {PEERS}", file=sys.stderr)
        same_python = ROOT / ".venv/bin/python"
        python = str(same_python) if same_python.exists() else sys.executable
        subprocess.run([python, "-m", "venv", str(PEERS)], check=True)
        pip = (str(PEERS / "bin/python"), "-m", "pip", "--disable-pip-version-check")
        subprocess.run([*pip, "install", "--quiet", *PEER_REQUIREMENTS], check=True)
    return str(command)


def supervisord_argv(
    directory: Path, program: Mapping[str, object], own: Mapping[str, object] | None = None
) -> tuple[str, ...]:
    """Configure a supervisord without a log; `own` are settings of its own, more than the usual."""
    settings = configparser.RawConfigParser(delimiters="=")
    settings["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": "/dev/null",
        "logfile_maxbytes": "0",
        "pidfile": f"{directory}/supervisord.pid",
    }
    settings["program:w"] = {}
    for section, more in (("supervisord", own or {}), ("program:w", program)):
        settings[section].update({name: str(value) for name, value in more.items()})
    path = directory / "supervisord.conf"
    with path.open("w") as file:
        settings.write(file, space_around_delimiters=False)
    return (peer("supervisord"), "-c", str(path))


def installed(program: str, remedy: str) -> bool:
    """Tell whether an optional program is on PATH; say so where it is not."""
    found = shutil.which(program) is not None
    if not found:
        print(f"skipped: {program} is not installed ({remedy})")
    return found


def environment() -> dict[str, str]:
    """Return this process's environment with nothing in it that configures a side."""
    foreign = ("HSUP_", "HEROKU_", "LIBCONTAINER_", "PYTHON", "PORT")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}


def write_control_directory(directory: Path, words: Sequence[str]) -> None:
    """Write a release of the one process type `w` to `directory`/new."""
    directory.mkdir()
    processes = [{"Args": list(words), "Quantity": 1, "Type": "w"}]
    release = {"Version": 1, "Name": "bench", "Env": {}, "Processes": processes}
    (directory / "new").write_text(json.dumps(release))


@contextmanager
def running(
    argv: Sequence[str], directory: Path | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a supervisor, and end it and everything below it on the way out."""
    process = subprocess.Popen(
        argv, cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stdout=stdout
    )
    try:
        yield process
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a supervisor to stop, then kill what is left of it and of what was below it."""
    family = [process.pid, *descendants(process.pid)]
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in filter(is_alive, family):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, zombies included (man 5 proc_pid_task)."""
    try:
        files = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
        found = [int(child) for file in files for child in file.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found + [below for child in found for below in descendants(child)]


def all_pids() -> set[int]:
    """Return the processes of the machine."""
    return {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()}


def process_name(pid: int) -> str | None:
    """Return the name of a process's program, None for one that is no more."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def command_line(pid: int) -> bytes:
    """Return the argv of a process, each word with a NUL; nothing for one that is no more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_alive(pid: int) -> bool:
    """Tell whether a process exists that is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def pss_mib(pids: Iterable[int]) -> float:
    """Return the processes' proportional share of memory, in MiB."""
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    lines = (line for rollup in rollups for line in rollup.splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the time that all threads of the processes have been on a processor.

    From schedstat, which counts nanoseconds where stat counts hundredths.
    """
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def wait_until(
    condition: Callable[[], bool],
    what: str,
    timeout_seconds: float = 60,
    *,
    every_seconds: float = 0.002,
) -> None:
    """Poll; raise TimeoutError with `what` in it."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:g} s for {what}")
        time.sleep(every_seconds)


def alternate(rounds: int, sides: Sides, *, warm_up: bool = False) -> Samples:
    """Measure A B A B …, so that what else the machine does falls on all sides alike.

    A warm-up round reads the programs from disk, and is not counted.
    """
    if warm_up:
        for measure in sides.values():
            measure()
    samples: dict[str, list[Sample]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, measure in sides.items():
            samples[side].append(measure())
    return samples


def print_row(title: str, measure: str, unit: str, samples: Samples, reach: Reach) -> None:
    """Print the medians of one measure, hsup's ratio to each peer, and the target."""
    medians = {s: median(each[measure] for each in many) for s, many in samples.items() if many}
    print(f"{title} (median of {max(map(len, samples.values()))})")
    for side, value in medians.items():
        compared = side != HSUP and HSUP in medians and value > 0
        ratio = f"   hsup/{side} {medians[HSUP] / value:.3g}" if compared else ""
        print(f"  {side:<12}{value:>10.2f} {unit:<6}{ratio}".rstrip())
    print(f"  reach: {reach}   {reach.verdict(medians)}", flush=True)
