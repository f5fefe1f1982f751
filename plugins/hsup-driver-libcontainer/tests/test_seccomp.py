"""The system call filter refuses harmful calls, and lets applications run."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import prctl  # type: ignore[import-untyped]
import pyseccomp  # type: ignore[import-untyped]
import pytest

from hsup.errors import DriverError
from hsup_driver_libcontainer import seccomp
from hsup_driver_libcontainer.child import kernel

MACHINE = platform.machine()
LIBC = ctypes.CDLL(None, use_errno=True)
NOBODY = 65534

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
REFUSED, UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
I386 = 0x40000003

REFUSED_CALLS = {
    "mounts": """mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount
        fspick mount_setattr""",
    "namespaces": "unshare setns sethostname setdomainname",
    "the kernel itself": """kexec_load kexec_file_load init_module finit_module delete_module
        reboot syslog acct bpf perf_event_open lookup_dcookie""",
    "keyrings": "keyctl add_key request_key",
    "asynchronous calls that no filter sees": "io_uring_setup io_uring_enter io_uring_register",
    "page faults in user space": "userfaultfd",
    "memory of other processes": """process_madvise kcmp pidfd_getfd move_pages
        migrate_pages mbind set_mempolicy get_mempolicy""",
    "files by handle": "open_by_handle_at fanotify_init",
    "clocks": "settimeofday clock_settime",
    "swap and quota": "swapon swapoff quotactl",
    "terminals": "vhangup",
}
X86_CALLS = "iopl ioperm modify_ldt uselib sysfs ustat"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
needs_x86 = pytest.mark.skipif(MACHINE != "x86_64", reason="only x86_64 has these calls")


@pytest.fixture(scope="module")
def program() -> bytes:
    return seccomp.build(MACHINE)


@pytest.fixture
def website() -> Iterator[str]:
    line = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        found = re.search(r"http://\S+/", server.stdout.readline())
        assert found
        yield found[0]
        server.terminate()


def confine(program: bytes) -> None:
    prctl.set_no_new_privs(1)
    kernel.install_seccomp(program)


def in_child(act: Callable[[], int], program: bytes | None = None) -> int:
    """Return the status of a child that installs the filter and exits with the result of act()."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if program is not None:
                confine(program)
            os._exit(act())
        finally:  # whatever is raised, this is no test any more
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def call(name: str, *arguments: int) -> Callable[[], int]:
    """Return a function that makes a system call and returns its errno."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    assert number >= 0
    values = [ctypes.c_long(one) for one in arguments]
    return lambda: ctypes.get_errno() if LIBC.syscall(ctypes.c_long(number), *values) < 0 else 0


def nonsense(name: str) -> Callable[[], int]:
    """Return a call with arguments that the kernel never accepts."""
    return call(name, -1, -1, -1, -1, -1, -1)


@needs_root
@pytest.mark.parametrize("names", REFUSED_CALLS.values(), ids=REFUSED_CALLS)
def test_what_reaches_beyond_a_dyno_is_refused(program: bytes, names: str) -> None:
    free = {name: in_child(nonsense(name)) for name in names.split()}
    confined = {name: in_child(nonsense(name), program) for name in names.split()}
    assert errno.EPERM not in free.values(), free
    assert set(confined.values()) == {errno.EPERM}, confined


@needs_x86
def test_what_only_old_programs_need_is_refused(program: bytes) -> None:
    confined = {name: in_child(nonsense(name), program) for name in X86_CALLS.split()}
    assert set(confined.values()) == {errno.EPERM}, confined


@pytest.mark.parametrize("flag", ["NEWNS", "NEWCGROUP", "NEWUTS", "NEWIPC", "NEWUSER", "NEWPID"])
def test_clone_makes_no_namespace(program: bytes, flag: str) -> None:
    clone = call("clone", getattr(kernel, f"CLONE_{flag}") | signal.SIGCHLD, 0, 0, 0, 0)
    assert in_child(clone, program) == errno.EPERM


def test_clone3_is_not_there_so_that_libc_uses_clone(program: bytes) -> None:
    assert in_child(nonsense("clone3"), program) == errno.ENOSYS


def test_a_call_newer_than_libseccomp_is_not_there(program: bytes) -> None:
    newer = lambda: ctypes.get_errno() if LIBC.syscall(ctypes.c_long(1000)) < 0 else 0  # noqa: E731
    assert in_child(newer, program) == errno.ENOSYS


@pytest.mark.parametrize("family", ["AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_CAN", "AF_TIPC"])
def test_sockets_of_other_families_are_refused(program: bytes, family: str) -> None:
    number = getattr(socket, family)
    assert in_child(call("socket", number, socket.SOCK_DGRAM, 0), program) == errno.EPERM
    beyond_32_bits = call("socket", number | 1 << 32, socket.SOCK_DGRAM, 0)
    assert in_child(beyond_32_bits, program) == errno.EPERM


@pytest.mark.parametrize("family", ["AF_INET", "AF_TIPC", "AF_RDS", "AF_VSOCK", "AF_NETLINK"])
def test_pairs_of_sockets_of_other_families_than_unix_are_refused(
    program: bytes, family: str
) -> None:
    pair = call("socketpair", getattr(socket, family), socket.SOCK_STREAM, 0, 0)
    assert in_child(pair, program) == errno.EPERM
    beyond_32_bits = call("socketpair", socket.AF_UNIX | 1 << 32, socket.SOCK_STREAM, 0, 0)
    assert in_child(beyond_32_bits, program) == errno.EPERM


def test_a_pair_of_unix_sockets_can_be_made(program: bytes) -> None:
    assert in_child(lambda: len(socket.socketpair()) - 2, program) == 0


@pytest.mark.parametrize("protocol", [9, 12, 15], ids=["audit", "netfilter", "uevent"])
def test_netlink_is_for_routes_and_sockets_only(program: bytes, protocol: int) -> None:
    netlink = call("socket", socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    assert in_child(netlink, program) == errno.EPERM


@pytest.mark.parametrize(
    ("family", "protocol"),
    [("AF_UNIX", 0), ("AF_INET", 0), ("AF_INET6", 0), ("AF_NETLINK", 0), ("AF_NETLINK", 4)],
)
def test_sockets_that_applications_use_are_allowed(
    program: bytes, family: str, protocol: int
) -> None:
    opening = call("socket", getattr(socket, family), socket.SOCK_DGRAM, protocol)
    assert in_child(opening, program) == 0


@pytest.mark.parametrize("high_bits", [0, 1 << 32, -1 << 32])
def test_nothing_can_be_typed_into_a_terminal(program: bytes, high_bits: int) -> None:
    typing = call("ioctl", -1, high_bits | 0x5412, 0)
    assert in_child(typing) == errno.EBADF
    assert in_child(typing, program) == errno.EPERM


@pytest.mark.parametrize("request_number", [0x5411, 0x5413, 0x5401, 0x541B, 0x80045430])
def test_other_requests_reach_a_terminal(program: bytes, request_number: int) -> None:
    assert in_child(call("ioctl", -1, request_number, 0), program) == errno.EBADF


def test_only_usual_personalities_are_allowed(program: bytes) -> None:
    address_without_random = 0x40000
    assert in_child(call("personality", address_without_random), program) == errno.EPERM
    assert in_child(call("personality", 0), program) == 0


@needs_x86
def test_a_32_bit_call_kills(program: bytes) -> None:
    def call_getpid_of_i386() -> int:
        code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
        with mmap.mmap(-1, len(code), prot=mmap.PROT_WRITE | mmap.PROT_EXEC) as memory:
            memory.write(code)
            held = ctypes.c_char.from_buffer(memory)
            ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(held))()
            os._exit(0)  # what is held cannot be closed

    if in_child(call_getpid_of_i386) != 0:
        pytest.skip("this kernel has no 32-bit calls")
    assert in_child(call_getpid_of_i386, program) == -signal.SIGSYS


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_exactly_the_listed_calls_are_allowed_on_every_machine(machine: str) -> None:
    built = seccomp.build(machine)
    architecture = getattr(pyseccomp.Arch, machine.upper())
    listed = {pyseccomp.resolve_syscall(architecture, name) for name in seccomp.allowed_names()}
    some = {pyseccomp.resolve_syscall(architecture, one) for one in ("clone", "personality")}
    some.add(pyseccomp.resolve_syscall(architecture, "ioctl"))
    allowed = {number for number in range(1100) if answer(built, architecture, number) == ALLOWED}
    assert allowed == {number for number in listed | some if number >= 0}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_answers_are_the_same_on_every_machine(machine: str) -> None:
    built = seccomp.build(machine)
    architecture = getattr(pyseccomp.Arch, machine.upper())

    def answer_to(name: str) -> int:
        number = pyseccomp.resolve_syscall(architecture, name)
        return answer(built, architecture, number)

    assert {name: answer_to(name) for name in ("mount", "bpf", "keyctl", "socket")} == {
        "mount": REFUSED,
        "bpf": REFUSED,
        "keyctl": REFUSED,
        "socket": REFUSED,
    }
    assert answer_to("clone3") == UNKNOWN
    assert answer(built, architecture, 1000) == UNKNOWN
    assert answer(built, I386, 20) == KILLED


def answer(program: bytes, architecture: int, number: int) -> int:
    """Return the answer of a filter to a call whose arguments are 0."""
    data = struct.pack("=II7Q", number, architecture, *[0] * 7)
    at = accumulator = 0
    while True:
        code, yes, no, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        match code:
            case 0x06:  # return
                return value
            case 0x20:  # load
                accumulator = struct.unpack_from("=I", data, value)[0]
            case 0x54:  # and
                accumulator &= value
            case 0x05:  # jump
                at += value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x25:
                at += yes if accumulator > value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case _:
                raise AssertionError(f"instruction {code:#x}")


PROGRAMS = {
    "a pipeline": ["bash", "-c", "echo a b | tr ' ' '\\n' | sort -r | (read x; test $x = b)"],
    "job control": ["bash", "-c", "sleep 30 & kill %1; wait %1; test $? = 143"],
    "threads": ["python3", "-c", "import threading as t; t.Thread(target=print).start()"],
    "asyncio": [
        "python3",
        "-c",
        "import asyncio as a; a.run(a.wait_for(a.create_subprocess_exec('true'), 9))",
    ],
    "multiprocessing": [
        "python3",
        "-c",
        "import multiprocessing as m; p = m.Pool(2); assert p.map(abs, [-1]) == [1]",
    ],
    "a name lookup": ["python3", "-c", "import socket; socket.getaddrinfo('localhost', 80)"],
    "node": ["node", "-e", "require('fs').promises.readdir('/').then(() => process.exit(0))"],
    "an archive": ["tar", "-cf", "/dev/null", "/etc/passwd"],
    "packages": ["dpkg", "--list", "dpkg"],
    "perl": ["perl", "-e", "exit(fork ? (wait, $? >> 8)[1] : 0)"],
    "interfaces": ["ip", "address"],
    "open sockets": ["ss", "-ltn"],
    "strace": ["strace", "-f", "-o", "/dev/null", "true"],
    "gdb": ["gdb", "-batch", "-ex", "set startup-with-shell off", "-ex", "run", "/bin/true"],
}


@needs_root
@pytest.mark.parametrize("argv", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_run(program: bytes, argv: list[str]) -> None:
    run(program, argv)


@needs_root
def test_git_commits(program: bytes) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, NOBODY, NOBODY)
        run(program, ["git", "init", "-q", "."], directory)
        run(program, ["git", *settings, "commit", "-q", "--allow-empty", "-m", "one"], directory)


@needs_root
def test_curl_fetches(program: bytes, website: str) -> None:
    run(program, ["curl", "-sSf", website])


def run(program: bytes, argv: Sequence[str], directory: str = "/") -> None:
    """Run a program as in a dyno: as an ordinary user without a home directory."""
    path = shutil.which(argv[0], path=os.defpath)
    if path is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(
        [path, *argv[1:]],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=directory,
        env={"PATH": os.defpath, "HOME": directory},
        preexec_fn=lambda: confine(program),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_is_kept_for_root_alone(tmp_path: Path, program: bytes) -> None:
    directory = tmp_path / "run"
    assert seccomp.filter_program(str(directory)) == program
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [one.stat().st_mode & 0o777 for one in directory.iterdir()] == [0o600]
    assert seccomp.filter_program(str(directory)) == program


def kept_with(directory: Path, change: Callable[[Path], object]) -> bytes:
    """Return the result of filter_program after the cached file was changed."""
    seccomp.filter_program(str(directory))
    change(next(directory.iterdir()))
    return seccomp.filter_program(str(directory))


def test_what_is_kept_is_used(tmp_path: Path) -> None:
    def shorten(file: Path) -> None:
        file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n" + bytes(8))

    assert kept_with(tmp_path / "run", shorten) == bytes(8)


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_what_others_may_read_or_write_is_not_used(
    tmp_path: Path, program: bytes, mode: int
) -> None:
    def spoil(file: Path) -> None:
        file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n" + bytes(8))
        file.chmod(mode)

    assert kept_with(tmp_path / "run", spoil) == program


@needs_root
def test_what_belongs_to_another_user_is_not_used(tmp_path: Path, program: bytes) -> None:
    def give_away(file: Path) -> None:
        file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n" + bytes(8))
        os.chown(file, NOBODY, NOBODY)

    assert kept_with(tmp_path / "run", give_away) == program


def test_a_link_is_not_followed(tmp_path: Path, program: bytes) -> None:
    def replace(file: Path) -> None:
        elsewhere = file.rename(tmp_path / "elsewhere")
        elsewhere.write_bytes(elsewhere.read_bytes().partition(b"\n")[0] + b"\n" + bytes(8))
        file.symlink_to(elsewhere)

    assert kept_with(tmp_path / "run", replace) == program


@pytest.mark.parametrize("origin", [b"", b"no library", b"00000000 x86_64 1 1 /usr/lib/libc.so"])
def test_what_was_made_from_something_else_is_made_anew(
    tmp_path: Path, program: bytes, origin: bytes
) -> None:
    def change(file: Path) -> None:
        file.write_bytes(origin + b"\n" + bytes(8))

    assert kept_with(tmp_path / "run", change) == program


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        DriverError, match=r"cannot store .* in .*/file/run: .*LIBCONTAINER_RUN_DIR"
    ):
        seccomp.filter_program(str(file / "run"))


def test_another_kind_of_machine_is_refused() -> None:
    with pytest.raises(DriverError, match=r"machines of type riscv64; .* x86_64 or aarch64"):
        seccomp.build("riscv64")


def test_the_doctor_finds_the_kernel_and_the_library() -> None:
    findings = seccomp.examine()
    assert [one.subject for one in findings] == ["system call filter of the kernel", "libseccomp"]
    assert all(one.is_good for one in findings)
