"""The cgroups of the machine that this runs on, whichever version it has."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hsup.api import Finding
from hsup.errors import DriverError
from hsup.sizes import SIZES
from hsup_driver_libcontainer.cgroups.cgroups import Cgroups, Group, examine
from hsup_driver_libcontainer.cgroups.layout import Layout, survey
from hsup_driver_libcontainer.cgroups.v2 import Version2, vacate

MIB = 1024**2
SMALL = SIZES["standard-1x"]._replace(memory=32 * MIB, hard_limit=32 * MIB, pids=12)

#: Joins the cgroups that it is given, and says so.
JOIN = """
import os, sys
for path in sys.argv[1:]:
    with open(path, "w") as file:
        file.write("0")
print("joined", flush=True)
"""
STAY = "import signal; signal.pause()"
FORK_ONCE = """
import signal
if child := os.fork():
    print(child, flush=True)
signal.pause()
"""
HOLD = """
import signal
held = bytearray(16 * 1024**2)
held[::4096] = b"x" * 4096
print("held", flush=True)
signal.pause()
"""
SPIN = """
print("spins", flush=True)
while True:
    pass
"""
EAT = "held = bytearray(b'x' * 64 * 1024**2); print('eaten')"
FORK = """
children = 0
try:
    while True:
        if os.fork() == 0:
            import signal; signal.pause()
        children += 1
except BlockingIOError:
    print(children, flush=True)
    import signal; signal.pause()
"""
BOMB = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except BlockingIOError:
        pass
"""


def _machine() -> tuple[Layout, Sequence[Finding]]:
    mountinfo = Path("/proc/self/mountinfo").read_text()
    return survey(mountinfo, Path("/proc/self/cgroup").read_text())


LAYOUT, FINDINGS = _machine()
FAULTS = [finding.text for finding in FINDINGS if finding.remedy]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are made by root"),
    pytest.mark.skipif(bool(FAULTS), reason="; ".join(FAULTS) or "nothing is missing"),
]
only_v1 = pytest.mark.skipif(LAYOUT.version != 1, reason="this machine has cgroups version 2")


#: Starts a Python script inside a cgroup, and waits until it is there.
StartInside = Callable[[Group, str], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def cgroups() -> Cgroups:
    return Cgroups.detect()


@pytest.fixture
def instance(cgroups: Cgroups) -> Iterator[str]:
    name = f"test{os.getpid()}"
    yield name
    cgroups.sweep(name)


@pytest.fixture
def group(cgroups: Cgroups, instance: str) -> Group:
    return cgroups.create(instance, "web.1", SMALL)


@pytest.fixture
def start() -> Iterator[StartInside]:
    """Start Python code in a group; it has joined when this returns."""
    started = []

    def start(group: Group, code: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", JOIN + code, *group.join_files]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
        started.append(process)
        assert process.stdout.readline() == b"joined\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def directories_of(instance: str) -> list[Path]:
    return [
        one for parent in LAYOUT.directories for one in Path(parent).glob(f"hsup-{instance}/*/")
    ]


def content(group: Group, controller: str, name: str) -> str:
    directory = next(
        path for path in group.join_files if path.startswith(LAYOUT.parents[controller])
    )
    return Path(directory).with_name(name).read_text().strip()


def test_the_machine_has_what_is_needed() -> None:
    assert {finding.subject for finding in examine()} == {"cgroups", "swap limit"}


@only_v1
def test_limits_of_version_1_are_those_of_the_size(group: Group) -> None:
    assert content(group, "memory", "memory.limit_in_bytes") == str(32 * MIB)
    assert content(group, "pids", "pids.max") == "12"
    assert content(group, "cpu", "cpu.shares") == "1024"
    assert content(group, "cpu", "cpu.cfs_quota_us") == "-1"


@only_v1
def test_a_dedicated_size_of_version_1_has_a_quota_of_cpu(cgroups: Cgroups, instance: str) -> None:
    group = cgroups.create(instance, "web.1", SIZES["performance-2xl"])
    assert content(group, "cpu", "cpu.shares") == "102400"
    assert content(group, "cpu", "cpu.cfs_quota_us") == "1600000"


@pytest.mark.skipif(LAYOUT.version != 2, reason="this machine has cgroups version 1")
def test_limits_of_version_2_are_those_of_the_size(group: Group) -> None:
    assert content(group, "memory", "memory.max") == str(32 * MIB)
    assert content(group, "memory", "memory.oom.group") == "1"
    assert content(group, "pids", "pids.max") == "12"
    assert content(group, "cpu", "cpu.weight") == "100"


def test_a_dyno_finds_its_memory_where_buildpacks_look(group: Group) -> None:
    places = dict(group.view.files)
    for directory, place in group.view.binds:
        for path in Path(directory).glob("memory.limit_in_bytes"):
            places[f"{place}/{path.name}"] = path.read_text()
    assert int(places["memory/memory.limit_in_bytes"]) == 32 * MIB


@only_v1
@pytest.mark.skipif("cpuset" not in LAYOUT.shown, reason="this machine mounts no cpuset")
def test_a_dyno_of_version_1_has_all_processors_of_the_machine(group: Group) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        (directory,) = (one for one, place in group.view.binds if place == "cpuset")
        machine = Path(LAYOUT.shown["cpuset"], name).read_text()
        assert Path(directory, name).read_text() == machine != "\n"


def test_a_process_joins_by_itself_and_its_children_are_in_there_too(
    group: Group, start: StartInside
) -> None:
    process = start(group, FORK_ONCE)
    child = int(process.stdout.readline())
    for pid in (process.pid, child):
        cgroups_of = Path(f"/proc/{pid}/cgroup").read_text()
        assert cgroups_of.count("/web.1\n") == len(LAYOUT.directories)


def test_the_memory_of_a_dyno_is_told(group: Group, start: StartInside) -> None:
    process = start(group, HOLD)
    assert process.stdout.readline() == b"held\n"
    measured = group.measured()
    assert measured is not None
    assert 15 * MIB <= (measured.memory_rss or 0) < 32 * MIB
    assert measured.memory_quota == SMALL.memory
    assert (measured.cpu_seconds or 0) > 0


def test_threads_that_run_are_counted(group: Group, start: StartInside) -> None:
    process = start(group, SPIN)
    assert process.stdout.readline() == b"spins\n"
    measured = group.measured()
    assert measured is not None
    assert (measured.runnable or 0) >= 1


def test_a_cgroup_that_was_removed_is_not_measured(group: Group) -> None:
    group.remove()
    assert group.measured() is None


def test_who_uses_up_the_memory_is_killed_and_counted(group: Group, start: StartInside) -> None:
    process = start(group, EAT)
    assert process.wait() == -signal.SIGKILL
    assert process.stdout.read() == b""
    assert group.out_of_memory_kills() >= 1


def test_who_stays_below_the_limit_is_neither(
    cgroups: Cgroups, instance: str, start: StartInside
) -> None:
    group = cgroups.create(
        instance, "web.2", SMALL._replace(memory=256 * MIB, hard_limit=256 * MIB)
    )
    process = start(group, EAT)
    assert process.wait() == 0
    assert group.out_of_memory_kills() == 0


@only_v1
@pytest.mark.parametrize("left", [1, 2])
def test_where_too_many_files_are_open_that_leaves_none(
    group: Group, descriptors_left: Callable[[int], AbstractContextManager[None]], left: int
) -> None:
    with descriptors_left(left):
        with pytest.raises(OSError, match="Too many open files"):
            group.out_of_memory_event()
        for one in [os.open("/", os.O_PATH) for _ in range(left)]:
            os.close(one)


@only_v1
def test_that_memory_is_used_up_can_be_waited_for(group: Group, start: StartInside) -> None:
    event = group.out_of_memory_event()
    assert event is not None
    try:
        assert not select.select([event], [], [], 0)[0]
        start(group, EAT).wait()
        assert select.select([event], [], [], 10)[0]
    finally:
        os.close(event)


def test_a_dyno_has_no_more_processes_than_its_size(group: Group, start: StartInside) -> None:
    process = start(group, FORK)
    assert int(process.stdout.readline()) == SMALL.pids - 1


@pytest.mark.parametrize("code", [STAY, FORK, BOMB], ids=["sleeper", "forks", "bomb"])
def test_whoever_is_left_is_killed_and_the_directories_are_gone(
    group: Group, start: StartInside, instance: str, code: str
) -> None:
    process = start(group, code)
    group.remove()
    assert process.wait() == -signal.SIGKILL
    assert directories_of(instance) == []


def test_to_remove_again_does_nothing(group: Group, instance: str) -> None:
    group.remove()
    group.remove()
    assert directories_of(instance) == []


def test_a_dyno_that_is_there_already_is_not_touched_by_another(
    group: Group, cgroups: Cgroups, instance: str
) -> None:
    with pytest.raises(DriverError, match=r"cannot create a cgroup for web.1: .*File exists"):
        cgroups.create(instance, "web.1", SIZES["performance-m"])
    assert content(group, "pids", "pids.max") == "12"


def test_a_dyno_whose_limits_cannot_be_set_leaves_nothing(cgroups: Cgroups, instance: str) -> None:
    with pytest.raises(DriverError, match=r"pids.max: Invalid argument; run hsup doctor"):
        cgroups.create(instance, "web.1", SMALL._replace(pids=-1))
    assert directories_of(instance) == []


def test_a_sweep_kills_and_removes_all_of_one_hsup_and_nothing_of_others(
    cgroups: Cgroups,
    instance: str,
    group: Group,
    start: StartInside,
) -> None:
    other = f"{instance}x"
    cgroups.create(instance, "worker.1", SMALL)
    process = start(group, FORK)
    cgroups.create(other, "web.1", SMALL)
    assert cgroups.instances() >= {instance, other}
    assert cgroups.sweep(instance) == ["web.1", "worker.1"]
    assert process.wait() == -signal.SIGKILL
    assert other in cgroups.instances()
    assert instance not in cgroups.instances()
    assert cgroups.sweep(other) == ["web.1"]


def test_a_sweep_of_what_is_not_there_does_nothing(cgroups: Cgroups) -> None:
    assert cgroups.sweep("nobody") == []


def test_directories_of_other_programs_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "hsup-0a1b2c3d").mkdir()
    assert Cgroups(Layout(1, {"memory": str(tmp_path)})).instances() == {"0a1b2c3d"}


@pytest.fixture
def unified(tmp_path: Path) -> Iterator[Path]:
    """Mount the hierarchy of version 2, with or without controllers; make a cgroup there."""
    point = tmp_path / "unified"
    point.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", point], check=True)
    made = point / f"hsup-test{os.getpid()}"
    made.mkdir()
    yield made
    for directory in (*made.glob("*/"), made):
        directory.rmdir()
    subprocess.run(["umount", point], check=True)


def test_processes_of_a_cgroup_that_is_to_be_divided_move_to_a_leaf(unified: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        (unified / "cgroup.procs").write_text(str(process.pid))
        vacate(str(unified))
        vacate(str(unified))
        assert (unified / "cgroup.procs").read_text() == ""
        assert (unified / "init/cgroup.procs").read_text() == f"{process.pid}\n"
        process.kill()


def test_the_root_of_all_cgroups_keeps_its_processes(unified: Path) -> None:
    root = unified.parent
    vacate(str(root))
    assert str(os.getpid()) in (root / "cgroup.procs").read_text() or LAYOUT.version == 2
    assert not (root / "init").is_dir() or LAYOUT.version == 2


def test_a_dyno_of_version_2_can_have_a_file_of_version_1(unified: Path) -> None:
    """It is mounted on a cgroup: nothing else can be made in that file system."""
    Version2().complete({"memory": str(unified)})
    place, text = Version2().view({"memory": str(unified)}, SMALL).files[0]
    script = (
        'mount --bind "$1" /mnt && mount -t tmpfs none "/mnt/$(dirname "$2")" '
        '&& printf %s "$3" > "/mnt/$2" && cat "/mnt/$2"'
    )
    words = ["unshare", "-m", "sh", "-ec", script, "sh", str(unified), place, text]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert told == f"{32 * MIB}\n"
    with subprocess.Popen(["sleep", "60"]) as process:
        (unified / "cgroup.procs").write_text(str(process.pid))
        process.kill()
    assert Counter(path.name for path in unified.glob("*/")) == {"memory": 1}


def test_cgroups_of_an_hsup_that_nobody_knows_are_removed_when_nobody_is_there(
    cgroups: Cgroups, start: StartInside
) -> None:
    one = "0badcafe"

    def removed(known: Collection[str]) -> int | None:
        return cgroups.sweep_deserted(known).get(one)  # others may run tests beside this one

    group = cgroups.create(one, "web.1", SMALL)
    directories = [
        path for path in Path("/sys/fs/cgroup").glob(f"**/*hsup-{one}/**/") if path.is_dir()
    ]
    assert removed(()) is None  # it is new
    for path in directories:
        os.utime(path, (0, 0))
    assert removed([one]) is None
    process = start(group, HOLD)
    process.stdout.readline()
    assert removed(()) is None
    process.kill()
    process.wait()
    assert removed(()) == 1
    assert one not in cgroups.instances()
