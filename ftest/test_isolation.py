"""What a dyno attempts to get out of its container, or to harm the machine, is refused.

Every attempt is made in Docker's default container too, where there is a
Docker Engine: not to be judged, but to compare with. The table of both is
printed, and kept in build/isolation.txt.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftest.program import Hsup, eventually

HERE = Path(__file__).parent
ATTEMPTS = HERE / "isolation"
TABLE = HERE.with_name("build") / "isolation.txt"
#: Where the attempts are, in either container.
SEEN = "/attempts"
METADATA = "169.254.169.254"
BRIDGE, BRIDGED_IP = "iso0", "10.213.251.2"
NEIGHBOUR_PORT = 5000
IMAGE = "hsup-isolation"
LEAST_ATTEMPTS = 40
KILLED = 128 + 9
#: PID 1 of a dyno was forked from hsup, and is the dyno's user.
ATTEMPTS_ON_INIT = (
    "trace PID 1",
    "read the memory of PID 1",
    "list the descriptors of PID 1",
    "read what PID 1 keeps to itself",
    "find a secret of hsup's in memory",
    "find a secret of hsup's in an environment",
)
IPC_CREAT, IPC_RMID = 0o1000, 0

Ends = dict[str, tuple[str, str]]
#: Runs Python in a new container with these arguments; returns its output and status.
RunPython = Callable[..., tuple[str, int]]


pytestmark = pytest.mark.containers_only("the simple driver isolates nothing")


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


@pytest.fixture
def secret(hsup: Hsup) -> str:
    """Give what hsup knows and no dyno may find, in the variable that is most worth it."""
    value = f"HSUPSECRET{secrets.token_hex(8)}"
    hsup.environ |= {"HEROKU_ACCESS_TOKEN": value, "HSUP_SOURCE": "procfile"}
    return value


@pytest.fixture
def harness(hsup: Hsup, request: pytest.FixtureRequest) -> Path:
    """Give a directory with the attempts, and a set-id program of root's."""
    directory = hsup.directory / "attempts"
    shutil.copytree(ATTEMPTS, directory, ignore=shutil.ignore_patterns("__pycache__"))
    program = directory / "id"
    shutil.copy(request.config.getoption("--stack") / "usr/bin/id", program)
    program.chmod(0o4755)
    return directory


@pytest.fixture
def host(hsup: Hsup, secret: str) -> Iterator[dict[str, object]]:
    """Give facts of the host that no container has anything to do with."""
    name = f"hsup-isolation-{random.randrange(10**9)}"
    file = hsup.directory / "secret"
    file.write_text(secret)
    with ExitStack() as stack:
        key = stack.enter_context(shared_memory())
        stack.enter_context(listening(socket.AF_UNIX, f"\0{name}"))
        stack.enter_context(message_queue(name))
        stack.enter_context(metadata())
        server = stack.enter_context(listening(socket.AF_INET, ("127.0.0.1", 0)))
        process = stack.enter_context(sleeper(secret))
        stack.enter_context(bridged())
        yield {
            "host_port": server.getsockname()[1],
            "host_socket": name,
            "host_shm_key": key,
            "host_file": str(file),
            "host_pid": process.pid,
            "bridged_ip": BRIDGED_IP,
        }


@contextmanager
def listening(family: int, address: tuple[str, int] | str) -> Iterator[socket.socket]:
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server


@contextmanager
def bridged() -> Iterator[None]:
    """Have a container of somebody else's at a bridge, as Docker makes it with a chosen name."""
    serve = (
        f"import socket, sys; s = socket.create_server(('', {NEIGHBOUR_PORT})); sys.stdin.read()"
    )
    line = ["unshare", "--net", sys.executable, "-c", f"print(input(), flush=True); {serve}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, bufsize=1) as container:
        assert container.stdin is not None
        assert container.stdout is not None
        inside = f"nsenter --net=/proc/{container.pid}/ns/net"
        container.stdin.write("go on\n")
        container.stdout.readline()  # it is in its namespace
        script = f"""
            ip link add {BRIDGE} type bridge
            ip address add 10.213.251.1/24 dev {BRIDGE}
            ip link set {BRIDGE} up
            ip link add {BRIDGE}p type veth peer name eth0 netns {container.pid}
            ip link set {BRIDGE}p master {BRIDGE} up
            {inside} ip address add {BRIDGED_IP}/24 dev eth0
            {inside} ip link set eth0 up
            {inside} ip route add default via 10.213.251.1
        """
        try:
            subprocess.run(["sh", "-ec", script], check=True)
            assert eventually(lambda: answers(BRIDGED_IP, NEIGHBOUR_PORT))
            yield
        finally:
            container.stdin.close()
            subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def metadata() -> Iterator[None]:
    """Let something answer at the metadata address, if this machine's cloud does not."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((METADATA, 80)) == 0:
            yield
            return
    address = [f"{METADATA}/32", "dev", "lo"]
    subprocess.run(["ip", "address", "add", *address], check=True)
    try:
        with listening(socket.AF_INET, (METADATA, 80)):
            yield
    finally:
        subprocess.run(["ip", "address", "delete", *address], check=True)


@contextmanager
def shared_memory() -> Iterator[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    key = random.randrange(1 << 20, 1 << 30)
    segment = libc.shmget(key, 4096, IPC_CREAT | 0o666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    try:
        yield key
    finally:
        libc.shmctl(segment, IPC_RMID, None)


@contextmanager
def message_queue(name: str) -> Iterator[None]:
    library = ctypes.CDLL("librt.so.1", use_errno=True)
    queue = library.mq_open(f"/{name}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        library.mq_close(queue)
        library.mq_unlink(f"/{name}".encode())


@contextmanager
def sleeper(secret: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has the secret in its argv."""
    line = [sys.executable, "-c", "input()", secret]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process


def ends_of(run: RunPython, facts: dict[str, object]) -> Ends:
    """Make all attempts; those that may end their container get one each."""
    text = json.dumps(facts)
    told, status = run(SEEN, text)
    assert status == 0, told
    lines = told.splitlines()
    alone, _ = run(SEEN)
    for title in json.loads(alone):
        told, status = run(SEEN, text, title)
        killed = [json.dumps([title, "refused", "its container was killed"])]
        lines += killed if status == KILLED else told.splitlines()
    return {title: (outcome, seen) for title, outcome, seen in map(json.loads, lines)}


def ends_in_hsup(hsup: Hsup, harness: Path, host: dict[str, object], secret: str) -> Ends:
    words = [*knowing(secret, harness), "run", "--", "python3"]
    everybodys = hsup.directory / "input"
    everybodys.touch()
    everybodys.chmod(0o666)
    prefix = ["sh", "-c", 'exec "$@" < "$0"', str(everybodys)]

    def run(*arguments: str) -> tuple[str, int]:
        done = hsup.call(*words, *arguments, prefix=prefix, timeout=120)
        return done.text, done.status

    neighbour = neighbour_line(host, secret)
    running = hsup.begin(*words, *neighbour)
    known = json.loads(running.wait_for(r"^\{.*\}$")[0])
    return ends_of(run, host | facts_of(known))


def ends_in_docker(image: str, harness: Path, host: dict[str, object], secret: str) -> Ends:
    words = ["docker", "run", "--rm", "--interactive", "--volume", f"{harness}:{SEEN}:ro", image]

    def run(*arguments: str) -> tuple[str, int]:
        line = [*words, "python3", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout, done.returncode

    line = [*words, "python3", *neighbour_line(host, secret)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        known = json.loads(neighbour.stdout.readline())
        ends = ends_of(run, host | facts_of(known))
        neighbour.communicate()
    return ends


def knowing(secret: str, harness: Path) -> list[str]:
    """Return options of hsup: a secret in one of them shows whether dynos see its command line."""
    return ["--app", secret, "--bind", f"{harness}:{SEEN}:ro"]


def neighbour_line(host: dict[str, Any], secret: str) -> list[str]:
    return [f"{SEEN}/neighbour.py", str(NEIGHBOUR_PORT), f"{int(host['host_shm_key']) + 1}", secret]


def facts_of(neighbour: dict[str, object]) -> dict[str, object]:
    return {
        "neighbour_ip": neighbour["ip"],
        "neighbour_uid": neighbour["uid"],
        "neighbour_port": NEIGHBOUR_PORT,
    }


@contextmanager
def docker_image(root: Path) -> Iterator[str]:
    """Make an image from the root directory of the stack; skip where there is no Docker Engine."""
    unneeded = [f"--exclude=./{one}" for one in ("var/cache", "var/lib/apt", "usr/share/*")]
    pack = ["tar", "-C", str(root), *unneeded, "-c", "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        load = ["docker", "import", "-", IMAGE]
        subprocess.run(load, stdin=packing.stdout, stdout=subprocess.DEVNULL, check=True)
    try:
        yield IMAGE
    finally:
        subprocess.run(["docker", "rmi", IMAGE], stdout=subprocess.DEVNULL, check=True)


def why_no_docker() -> str | None:
    if shutil.which("docker") is None:
        return "the column of Docker is left out: docker is not installed"
    asked = subprocess.run(["docker", "version"], capture_output=True, check=False)
    return (
        "the column of Docker is left out: no Docker Engine answers" if asked.returncode else None
    )


def table_of(columns: dict[str, Ends]) -> str:
    titles = list(dict.fromkeys(title for ends in columns.values() for title in ends))
    rows = [["attempt", *columns]]
    rows += [[title, *(told(ends, title) for ends in columns.values())] for title in titles]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def told(ends: Ends, title: str) -> str:
    outcome, seen = ends.get(title, ("not made", ""))
    return f"{outcome}: {seen.splitlines()[0][:48]}" if seen else outcome


def is_refused(end: tuple[str, str]) -> bool:
    """Tell whether an attempt was refused, and not for lack of what it is about."""
    outcome, seen = end
    return outcome == "refused" and "ENOENT" not in seen


def test_every_attempt_to_get_out_or_to_harm_is_refused(
    hsup: Hsup, request: pytest.FixtureRequest, harness: Path, host: dict[str, object], secret: str
) -> None:
    columns = {"hsup": ends_in_hsup(hsup, harness, host, secret)}
    if reason := why_no_docker():
        print(reason)
    else:
        with docker_image(request.config.getoption("--stack")) as image:
            columns["docker"] = ends_in_docker(image, harness, host, secret)
    table = table_of(columns)
    print(table)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table)
    ends = columns["hsup"]
    assert len(ends) >= LEAST_ATTEMPTS
    holes = {title: end for title, end in ends.items() if end[0] == "allowed"}
    if hsup.driver == "docker":  # it allows nothing that an engine does not allow anyhow
        holes = {title: end for title, end in holes.items() if is_refused(columns["docker"][title])}
    assert not holes, "\n".join(f"{title}: {seen}" for title, (_, seen) in holes.items())
    assert all(set(ends) == set(others) for others in columns.values())


@pytest.fixture
def core_files_of_set_id_programs() -> Iterator[None]:
    """Let programs dump core that have changed their user, as some administrators do."""
    setting = Path("/proc/sys/fs/suid_dumpable")
    before = setting.read_text()
    setting.write_text("1")
    yield
    setting.write_text(before)


@pytest.mark.not_with("docker", "process 1 is an init of the engine's, which knows nothing")
@pytest.mark.usefixtures("core_files_of_set_id_programs")
def test_pid_1_keeps_its_memory_even_where_it_may_dump_core(
    hsup: Hsup, harness: Path, host: dict[str, object], secret: str
) -> None:
    facts = host | facts_of({"ip": "127.0.0.1", "uid": 0})
    words = [*knowing(secret, harness), "run", "--", "python3", SEEN, json.dumps(facts)]
    done = hsup.call(*words, *ATTEMPTS_ON_INIT)
    ends = [json.loads(line) for line in done.text.splitlines()]
    assert len(ends) == len(ATTEMPTS_ON_INIT), done.message
    assert not [end for end in ends if end[1] != "refused"]


def test_a_fork_bomb_ends_with_its_dyno_and_nothing_else_feels_it(
    hsup: Hsup, harness: Path
) -> None:
    hsup.environ["HSUP_GRACE"] = "1"
    words = ["--bind", f"{harness}:{SEEN}:ro", "run", "--", "python3", f"{SEEN}/bomb.py"]
    bomb = hsup.begin(*words)
    bomb.wait_for("gone off")
    beside = hsup.call("run", "--", "echo", "at ease")
    assert (beside.status, beside.text) == (0, "at ease\n")
    assert bomb.stop() == KILLED


def test_a_memory_bomb_ends_its_dyno_and_nothing_else_feels_it(hsup: Hsup) -> None:
    beside = hsup.begin("run", "--", "bash", "-c", "echo here; read; echo still here")
    beside.wait_for("^here$")
    greedy = "x = [bytearray(1 << 20) for _ in range(4096)]"
    bomb = hsup.call("run", "--", "python3", "-c", greedy)
    assert bomb.status == KILLED
    beside.stdin.write(b"\n")
    beside.stdin.flush()
    beside.wait_for("^still here$")
    assert beside.ended() == 0


def test_descriptors_of_hsup_are_closed(hsup: Hsup) -> None:
    """Those that a careless program starts hsup with, too."""
    with open("/dev/null") as left:
        os.set_inheritable(left.fileno(), True)
        line = [*hsup.words("run", "--", "ls", "/proc/self/fd")]
        done = subprocess.run(
            line,
            cwd=hsup.directory,
            env=hsup.environ,
            capture_output=True,
            pass_fds=[left.fileno()],
            check=True,
        )
    assert done.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the listing itself
