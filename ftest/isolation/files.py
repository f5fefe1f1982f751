"""Attempts to read or write files that a container has no business with."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from attempt import ABSENT, FORBIDDEN, Facts, Inapplicable, Refused, attempt

HARNESS = Path(__file__).parent
SECRET = re.compile(rb"HSUPSECRET[0-9a-f]{16}")

#: Files that a process of root may write to, to act on the machine.
DANGEROUS = {
    "set what handles core files": "/proc/sys/kernel/core_pattern",
    "set what loads modules": "/proc/sys/kernel/modprobe",
    "set what handles device events": "/sys/kernel/uevent_helper",
    "change the host's name through /proc": "/proc/sys/kernel/hostname",
    "change overcommitting of memory": "/proc/sys/vm/overcommit_memory",
    "route between the host's networks": "/proc/sys/net/ipv4/ip_forward",
    "press a system request key": "/proc/sysrq-trigger",
    "move an interrupt": "/proc/irq/default_smp_affinity",
    "register a binary format": "/proc/sys/fs/binfmt_misc/register",
    "suspend the machine": "/sys/power/state",
    "offline a processor": "/sys/devices/system/cpu/cpu0/online",
    "rescan the PCI bus": "/sys/bus/pci/rescan",
    "change huge pages": "/sys/kernel/mm/transparent_hugepage/enabled",
    "call the kernel from a cgroup": "/sys/fs/cgroup/*/release_agent",
    "be told of an empty cgroup": "/sys/fs/cgroup/*/notify_on_release",
    "raise the memory limit": "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "raise the memory limit of version 2": "/sys/fs/cgroup/memory.max",
    "raise the limit of processes": "/sys/fs/cgroup/pids/pids.max",
    "raise the limit of processes of version 2": "/sys/fs/cgroup/pids.max",
    "leave the cgroups": "/sys/fs/cgroup/*/cgroup.procs",
    "leave the cgroup of version 2": "/sys/fs/cgroup/cgroup.procs",
    "allow devices": "/sys/fs/cgroup/devices/devices.allow",
    "write memory": "/dev/mem",
    "write to ports": "/dev/port",
    "write to the kernel's log": "/dev/kmsg",
    "use the virtual machine's device": "/dev/kvm",
    "mount with FUSE": "/dev/fuse",
    "make a tunnel": "/dev/net/tun",
    "attach a loop device": "/dev/loop-control",
    "map a device": "/dev/mapper/control",
    "write to the first disk": "/dev/vda",
    "write to the host's console": "/dev/console",
    "write to a virtual terminal": "/dev/tty0",
    "change the users": "/etc/passwd",
    "change the passwords": "/etc/shadow",
    "change a program": "/bin/sh",
    "change the dynamic linker's cache": "/etc/ld.so.cache",
}
SECRET_FILES = {
    "read the kernel's memory": "/proc/kcore",
    "read the kernel's log through /proc": "/proc/kmsg",
    "list keys": "/proc/keys",
    "list timers": "/proc/timer_list",
    "list what the scheduler runs": "/proc/sched_debug",
    "list SCSI devices": "/proc/scsi/scsi",
    "read page flags": "/proc/kpageflags",
    "list the kernel's allocations": "/proc/slabinfo",
    "list virtual allocations": "/proc/vmallocinfo",
    "read the passwords": "/etc/shadow",
}
DIRECTORIES = (
    "/",
    "/etc",
    "/usr",
    "/bin",
    "/lib",
    "/opt",
    "/root",
    "/home",
    "/var",
    "/dev",
    "/run",
)
DEVICES = {
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
    "stdin", "stdout", "tty", "urandom", "zero",
}  # fmt: skip


def _matching(pattern: str) -> list[Path]:
    return [*Path("/").glob(pattern.lstrip("/"))]


def _open_for_writing(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_NOCTTY))


def _each_refused(paths: Iterable[Path]) -> str:
    """Open all for writing; return the answers, if each is a refusal."""
    answers = {}
    for path in paths:
        try:
            _open_for_writing(path)
        except OSError as error:
            if error.errno is None or error.errno not in FORBIDDEN | ABSENT | {errno.EIO}:
                raise
            answers[path] = errno.errorcode[error.errno]
        else:
            return f"opened {path}"
    raise Refused(", ".join(sorted(set(answers.values()))) or "not there")


for _title, _pattern in DANGEROUS.items():

    @attempt(_title)
    def write_dangerous(_: Facts, pattern: str = _pattern) -> object:
        return _each_refused(_matching(pattern))


for _title, _path in SECRET_FILES.items():

    @attempt(_title, ABSENT)
    def read_secret(_: Facts, path: str = _path) -> object:
        with open(path, "rb") as file:
            data = file.read(64)
        if not data:
            raise Refused("empty")
        return data


for _directory in DIRECTORIES:

    @attempt(f"write into {_directory}", ABSENT)
    def write_into(_: Facts, directory: str = _directory) -> object:
        path = f"{directory}/written-by-an-attempt"
        Path(path).touch()
        os.unlink(path)
        return path


@attempt("write where nobody needs to, anywhere")
def write_anywhere(_: Facts) -> object:
    writable = ("/app", "/tmp", "/var/tmp", "/dev/shm", "/dev/pts", "/dev/mqueue", "/proc")
    found = [
        here
        for here, directories, _files in os.walk("/")
        if not _prune(here, directories, writable) and os.access(here, os.W_OK)
    ]
    if not found:
        raise Refused("no other directory is writable")
    return f"{len(found)} directories, {found[:5]}"


def _prune(here: str, directories: list[str], places: tuple[str, ...]) -> bool:
    if here in places:
        directories.clear()
        return True
    return False


@attempt("write to any file of /sys or /proc/sys")
def write_settings(_: Facts) -> object:
    found = [
        f"{here}/{name}"
        for top in ("/sys", "/proc/sys")
        for here, _directories, names in os.walk(top)
        for name in names
        if os.access(f"{here}/{name}", os.W_OK)
    ]
    if not found:
        raise Refused("none is writable")
    return f"{len(found)} files, {found[:5]}"


@attempt("find the directories and sockets of hsup or of Docker")
def find_engines(_: Facts) -> object:
    names = ("hsup", "docker.sock", "docker", "containerd", "runc", "systemd")
    paths = [f"/run/{name}" for name in names] + ["/var/lib/hsup", "/var/lib/docker"]
    if found := [path for path in paths if os.path.exists(path)]:
        return found
    raise Refused("there is none")


@attempt("find addresses of the kernel")
def find_addresses(_: Facts) -> object:
    with open("/proc/kallsyms") as file:
        addresses = {line.split()[0] for line in file}
    if {int(one, 16) for one in addresses} <= {0}:
        raise Refused("all are 0")
    return f"{len(addresses)} addresses"


@attempt("look into the firmware", ABSENT)
def look_into_firmware(_: Facts) -> object:
    found = os.listdir("/sys/firmware")
    if not found:
        raise Refused("empty")
    return found


@attempt("look into the kernel's debugging files", ABSENT)
def look_into_debugging(_: Facts) -> object:
    found = [*os.listdir("/sys/kernel/debug"), *os.listdir("/sys/kernel/tracing")]
    if not found:
        raise Refused("empty")
    return found


@attempt("find more devices than are needed")
def find_devices(_: Facts) -> object:
    if more := set(os.listdir("/dev")) - DEVICES:
        return sorted(more)
    raise Refused("there are no others")


@attempt("open a disk of the host", ABSENT)
def open_disk(_: Facts) -> object:
    disks = [one for one in Path("/dev").rglob("*") if stat.S_ISBLK(one.lstat().st_mode)]
    if not disks:
        raise Refused("there is none")
    for one in disks:
        os.close(os.open(one, os.O_RDONLY))
    return disks


@attempt("find a file of the host by its name", ABSENT)
def find_host_file(facts: Facts) -> object:
    return Path(facts.host_file).read_bytes()


@attempt("climb out of the root")
def climb_out(facts: Facts) -> object:
    path = Path("/" + "../" * 40 + facts.host_file)
    if path.exists():
        return path.read_bytes()
    raise Refused("the root is its own parent")


@attempt("climb out through a directory that was opened before")
def climb_out_of_descriptor(facts: Facts) -> object:
    directory = os.open("/", os.O_RDONLY)
    os.chroot("/tmp")
    os.fchdir(directory)
    for _ in range(40):
        os.chdir("..")
    return os.stat(facts.host_file.lstrip("/"))


@attempt("follow a link of the application to the host", ABSENT)
def follow_link(facts: Facts) -> object:
    directory = os.environ.get("HOME", "/tmp")
    link = Path(directory if os.access(directory, os.W_OK) else "/tmp", "link-out")
    for target in ("/" + "../" * 40 + facts.host_file, f"/proc/1/root{facts.host_file}"):
        link.symlink_to(target)
        try:
            return link.read_bytes()
        except OSError as error:
            if error.errno not in ABSENT | FORBIDDEN:
                raise
        finally:
            link.unlink()
    raise Refused("it leads nowhere")


@attempt("reach the host through the root, the directory or the files of any process")
def reach_through_proc(facts: Facts) -> object:
    for process in Path("/proc").glob("[0-9]*"):
        for way in (process / "root", process / "cwd"):
            path = Path(f"{way}/{facts.host_file}")
            try:
                return path.read_bytes()
            except OSError:
                continue
    raise Refused("none leads there")


@attempt("link to a file of root's", [errno.EXDEV])
def link_to_root_file(_: Facts) -> object:
    os.link("/etc/passwd", "/tmp/linked")
    os.unlink("/tmp/linked")
    return "a hard link"


@attempt("write what is bound read-only")
def write_bound(_: Facts) -> object:
    _open_for_writing(Path(__file__))
    return __file__


@attempt("become root with a set-id program that is bound", [errno.ENOENT])
def use_bound_set_id(_: Facts) -> object:
    return _user_of([str(HARNESS / "id"), "-u"])


@attempt("become root with a set-id program of the stack")
def use_set_id_of_stack(_: Facts) -> object:
    program = "/usr/bin/su"
    if not os.path.exists(program) or not os.stat(program).st_mode & stat.S_ISUID:
        raise Inapplicable(f"{program} is not set-id")
    child = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with child:
        assert child.stdout is not None
        select.select([child.stdout], [], [], 2)  # it asks for the password, or failed
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            status = ""
        child.kill()
    users = re.search(r"^Uid:\s+(\d+)\s+(\d+)", status, re.MULTILINE)
    if users is not None and users[2] == "0":
        return "its effective user is root"
    raise Refused(f"its effective user is {users[2] if users else 'unknown, it ended'}")


def _user_of(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.stdout.strip() == "0":
        return "root"
    raise Refused(f"user {done.stdout.strip() or done.stderr.strip()}")


@attempt("make a set-id program where it counts")
def make_set_id(_: Facts) -> object:
    places = [one for one in ("/app", "/tmp", "/var/tmp", "/dev/shm") if os.access(one, os.W_OK)]
    if found := [one for one in places if not os.statvfs(one).f_flag & os.ST_NOSUID]:
        return found
    raise Refused("set-id bits do not count in any writable directory")


@attempt("write to the file that is standard input")
def write_standard_input(_: Facts) -> object:
    if not stat.S_ISREG(os.fstat(0).st_mode):
        raise Refused("it is no file")
    _open_for_writing(Path("/proc/self/fd/0"))
    return os.readlink("/proc/self/fd/0")


@attempt("read what another container left in /tmp or /dev/shm")
def find_left_files(_: Facts) -> object:
    places = [Path(one) for one in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")]
    for path in (file for place in places for file in place.rglob("*") if file.is_file()):
        if SECRET.search(path.read_bytes()):
            return path
    raise Refused("there is nothing of others")
