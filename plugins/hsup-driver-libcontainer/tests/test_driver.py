from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyseccomp  # type: ignore[import-untyped]
import pytest

from hsup.api import Settings
from hsup.errors import DriverError, DynoStartError
from hsup.model import Bind, Command, DynoName, ExitStatus, Release, Slug
from hsup.testing import Recorder, dyno_spec
from hsup_driver_libcontainer import lookout, uids, warm_pool, zygote_client
from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.processes import children_of, is_stopped
from hsup_driver_libcontainer.driver import LibcontainerDriver
from hsup_driver_libcontainer.dyno import ContainerDyno

NAME = DynoName("web", 1)

MS_SHARED = 1 << 20  # linux/mount.h


def release(**given: Any) -> Release:
    return Release(app="app", version=1, **given)


async def output_of(driver: LibcontainerDriver, one: Release, line: str, **given: Any) -> str:
    """Return what a dyno wrote to both streams."""
    spec = dyno_spec(one, NAME, Command((line,)), port=5000)._replace(**given)
    async with Recorder() as recorder:
        dyno = await driver.start(spec, recorder)
        recorder.close_writing_ends()
        await dyno.wait()
        await dyno.destroy()
        return b"".join(await recorder.all()).decode()


@asynccontextmanager
async def built(settings: Settings, one: Release) -> AsyncIterator[LibcontainerDriver]:
    driver = LibcontainerDriver(settings)
    try:
        await asyncio.to_thread(driver.build, one)
        yield driver
    finally:
        driver.close()


def ran(settings: Settings, one: Release, line: str, **given: Any) -> str:
    async def run() -> str:
        async with asyncio.timeout(60), built(settings, one) as driver:
            return await output_of(driver, one, line, **given)

    return asyncio.run(run())


@pytest.fixture
def app(tmp_path: Path) -> Path:
    directory = tmp_path / "the app"
    (directory / "sub").mkdir(parents=True)
    (directory / "sub/file").write_text("from the slug\n")
    os.chown(directory / "sub/file", 1234, 1234)
    return directory


def test_the_app_is_the_dynos_own_to_write(settings: Settings, app: Path) -> None:
    one = release(slug=Slug(str(app)))
    line = "cat sub/file; echo mine > new; mkdir sub/more; stat -c '%U %n' . sub sub/more new"
    expected = "from the slug\ndyno .\ndyno sub\ndyno sub/more\ndyno new\n"
    assert ran(settings, one, line) == expected
    assert sorted(os.listdir(app)) == ["sub"]
    assert ran(settings, one, "ls") == "sub\n"


def test_a_file_of_another_owner_is_read_and_can_be_replaced(settings: Settings, app: Path) -> None:
    line = "stat -c %u sub/file; echo x > sub/other && ln -f sub/other sub/file && cat sub/file"
    assert ran(settings, release(slug=Slug(str(app))), line) == "1234\nx\n"


def test_without_idmapped_mounts_the_dyno_is_given_what_is_the_directories_owners(
    settings: Settings, app: Path
) -> None:
    """An overlay cannot be idmapped, and is the lower layer here; other users keep their files."""

    def run() -> str:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        layers = ("upper", "work", "merged")
        for layer in layers:
            (app.parent / layer).mkdir()
        upper, work, merged = (app.parent / layer for layer in layers)
        os.chmod(merged, 0o755)
        options = f"lowerdir={str(app).replace(' ', chr(92) + ' ')},upperdir={upper},workdir={work}"
        kernel.mount("overlay", str(merged), "overlay", 0, options)
        return ran(settings, release(slug=Slug(str(merged))), "stat -c %U . sub sub/file")

    assert in_child(run) == "dyno\ndyno\nUNKNOWN\n"


def in_child(function: Callable[[], str]) -> str:
    """Return what a function returns in a process of its own, which may leave namespaces."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(tell, function().encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def test_a_disk_image_is_a_stack(
    settings: Settings, environ: dict[str, str], stack: Path, tmp_path: Path
) -> None:
    if shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip("mkfs.ext4 is not installed (apt-get install e2fsprogs)")
    image = tmp_path / "stack.img"
    size = "96M"
    command = ["mkfs.ext4", "-q", "-d", str(stack), str(image), size]
    subprocess.run(command, check=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    manifest = f"- name: disk\n  version: '1'\n  url: {image}\n  primary: true\n"
    (stacks / "manifest.yml").write_text(manifest)
    settings = settings._replace(environ={**environ, "HSUP_STACKS_DIR": str(stacks)})
    assert ran(settings, release(), "echo from a disk") == "from a disk\n"
    assert str(stacks) not in Path("/proc/mounts").read_text()
    deadline = time.monotonic() + 10
    while str(stacks) in output_of_losetup():
        assert time.monotonic() < deadline, "the loop device is left"


def output_of_losetup() -> str:
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout


def test_a_path_of_the_host_is_seen_in_a_dyno(settings: Settings, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(shared, 0o777)
    (shared / "file").write_text("of the host\n")
    binds = (
        Bind(shared, Path("/mnt/deep/shared")),
        Bind(shared / "file", Path("/etc/resolv.conf"), read_only=True),
        Bind(shared, Path("/app/shared")),
    )
    line = """
        cat /mnt/deep/shared/file /etc/resolv.conf
        echo new > /app/shared/new
        (echo x > /etc/resolv.conf) 2> /dev/null || echo read-only
    """
    assert ran(settings, release(), line, binds=binds) == "of the host\n" * 2 + "read-only\n"
    assert (shared / "new").read_text() == "new\n"


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("kernel_lacks", ["nothing", "mount_setattr"])
def test_what_is_mounted_below_a_bind_later_stays_outside(
    settings: Settings, tmp_path: Path, read_only: bool, kernel_lacks: str
) -> None:
    """The host shares its mounts, as with systemd: without care they would appear in dynos.

    Without mount_setattr the kernel is as before Linux 5.12.
    """
    shared = tmp_path / "shared"
    (shared / "late").mkdir(parents=True)
    os.mkfifo(shared / "mounted")
    os.chmod(shared / "mounted", 0o666)
    binds = (Bind(shared, Path("/mnt/shared"), read_only=read_only),)
    line = "echo ready; read < /mnt/shared/mounted; ls /mnt/shared/late; grep -c /mnt /proc/mounts"

    async def run() -> str:
        one = release()
        spec = dyno_spec(one, NAME, Command((line,)), port=None)._replace(binds=binds)
        async with asyncio.timeout(60), built(settings, one) as driver, Recorder() as recorder:
            dyno = await driver.start(spec, recorder)
            recorder.close_writing_ends()
            kernel.mount("none", str(shared / "late"), "tmpfs")
            (shared / "late/file").write_text("late\n")
            await asyncio.to_thread((shared / "mounted").write_text, "\n")
            await dyno.wait()
            await dyno.destroy()
            return b"".join(await recorder.all()).decode()

    def apart() -> str:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount("none", "/", flags=kernel.MS_REC | MS_SHARED)
        lack(kernel_lacks)
        return asyncio.run(run())

    assert in_child(apart) == "ready\n1\n"


@pytest.mark.parametrize(("kernel_lacks", "seen"), [("nothing", "early\n"), ("mount_setattr", "")])
def test_what_was_mounted_below_a_bind_before_can_be_read_at_most_where_that_can(
    settings: Settings, tmp_path: Path, kernel_lacks: str, seen: str
) -> None:
    shared = tmp_path / "shared"
    (shared / "early").mkdir(parents=True)
    binds = (Bind(shared, Path("/mnt/shared"), read_only=True),)
    line = "cd /mnt/shared/early; cat file 2> /dev/null; (echo x > new) 2>&1 | grep -o Read-only"

    def apart() -> str:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount("none", str(shared / "early"), "tmpfs")
        os.chmod(shared / "early", 0o777)
        (shared / "early/file").write_text("early\n")
        lack(kernel_lacks)
        return ran(settings, release(), line, binds=binds)

    assert in_child(apart) == f"{seen}Read-only\n"


def test_a_dyno_starts_in_the_directory_that_its_release_was_read_from_wherever_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "name").write_text("old\n")
    one = release(slug=Slug(location=str(directory), inode=directory.stat().st_ino))

    async def run() -> list[str]:
        async with asyncio.timeout(60), built(settings, one) as driver:
            written = [await output_of(driver, one, "cat name")]
            directory.rename(tmp_path / "aside")
            directory.mkdir()
            (directory / "name").write_text("new\n")
            written.append(await output_of(driver, one, "cat name"))
            shutil.rmtree(tmp_path / "aside")
            with pytest.raises(DynoStartError):
                await output_of(driver, one, "cat name")
            return written

    assert asyncio.run(run()) == ["old\n", "old\n"]


def test_every_process_that_hsup_forks_for_a_dyno_is_sealed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on it imports nothing: the files that it would find belong to the dyno."""
    sealed = tmp_path / "sealed"
    record = f"""
import os, sys
from hsup_driver_libcontainer.child import builder, child_setup, reaper
file = os.open({str(sealed)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def noted(function):
    def call(*given, **named):
        caller = sys._getframe(1).f_globals["__name__"].rpartition(".")[2]
        is_sealed = not sys.meta_path and not sys.path and sys.excepthook is sys.unraisablehook
        try:
            os.write(file, f"{{caller}} {{is_sealed}}\\n".encode())
        except OSError:
            pass  # this process has closed it: it was noted before
        return function(*given, **named)
    return call
for module, name in (reaper, "serve"), (child_setup, "execute"), (child_setup, "close_all_but"):
    setattr(module, name, noted(getattr(module, name)))
"""
    escaped = record.replace("{", "{{").replace("}", "}}")  # it is a template
    program = zygote_client.MAIN.replace("z.main()", f"{escaped}z.main()")
    monkeypatch.setattr(zygote_client, "MAIN", program)

    async def run() -> None:
        one = release()
        spec = dyno_spec(one, NAME, Command(("sleep 600",)), port=None)
        async with asyncio.timeout(60), built(settings, one) as driver, Recorder() as recorder:
            dyno = await driver.start(spec, recorder)
            nothing = os.open(os.devnull, os.O_RDWR)
            command = await dyno.execute(Command(("true",)), (nothing,) * 3)
            os.close(nothing)
            assert await command.wait() == ExitStatus(code=0)
            await dyno.destroy()

    asyncio.run(run())
    noted = set(sealed.read_text().splitlines())
    assert noted == {"init True", "builder True", "exec_command True"}


def lack(name: str) -> None:
    """Make a system call fail in this process as if the kernel did not have it."""
    if name != "nothing":
        filtering = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        filtering.add_rule(pyseccomp.ERRNO(errno.ENOSYS), name)
        filtering.load()


def test_a_path_of_the_host_that_is_gone_is_named(settings: Settings, tmp_path: Path) -> None:
    binds = (Bind(tmp_path / "gone", Path("/mnt")),)
    with pytest.raises(DynoStartError, match=r"cannot open /.*/gone: No such file"):
        ran(settings, release(), "true", binds=binds)


def test_an_unexpected_failure_in_a_child_is_the_reason_that_is_told(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    one = release(config={"NUL": "a\0b"})
    with pytest.raises(DynoStartError, match="ValueError: embedded null byte"):
        ran(settings, one, "true")
    assert "Traceback" not in capfd.readouterr().err


def test_a_path_that_is_not_utf_8_can_be_bound(settings: Settings, tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"caf\xe9")
    directory.mkdir()
    (directory / "file").write_text("seen\n")
    binds = (Bind(directory, Path(os.fsdecode(b"/mnt/\xff"))),)
    assert ran(settings, release(), "cat /mnt/*/file", binds=binds) == "seen\n"


def test_a_zygote_that_was_killed_is_started_again(settings: Settings) -> None:
    async def run() -> str:
        one = release()
        async with asyncio.timeout(60), built(settings, one) as driver:
            assert await output_of(driver, one, "echo one") == "one\n"
            (zygote,) = children("-ISB")
            os.kill(zygote, signal.SIGKILL)
            os.waitid(os.P_PID, zygote, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it is dead
            return await output_of(driver, one, "echo two")

    assert asyncio.run(run()) == "two\n"


def children(argument: str) -> list[int]:
    """Return the processes below this one that have an argument."""
    return [
        pid
        for pid in children_of(os.getpid())
        if argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]


def test_a_dyno_that_runs_out_of_memory_is_killed_as_a_whole(settings: Settings) -> None:
    async def run() -> ExitStatus:
        one = release()
        line = 'tail /dev/zero; echo "the shell goes on"; sleep 60'
        async with asyncio.timeout(60), built(settings, one) as driver, Recorder() as recorder:
            dyno = await driver.start(dyno_spec(one, NAME, Command((line,)), port=None), recorder)
            recorder.close_writing_ends()
            status = await dyno.wait()
            await dyno.destroy()
            return status

    status = asyncio.run(run())
    assert status.status == 137
    assert status.out_of_memory


def test_the_start_up_files_are_read_in_order_before_the_command(
    settings: Settings, app: Path
) -> None:
    profiles = app / ".profile.d"
    profiles.mkdir()
    for name in ("b.sh", "B.sh", "a file.sh", "0.sh"):
        (profiles / name).write_text(f'export ORDER="$ORDER {name}"\n')
    (profiles / "ignored").write_text("export ORDER=no\n")
    (app / ".profile").write_text('export ORDER="$ORDER .profile"\n')
    one = release(slug=Slug(str(app)), config={"ORDER": "config"})
    expected = "config 0.sh B.sh a file.sh b.sh .profile\n"
    assert ran(settings, one, "echo $ORDER") == expected


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_umask_of_hsup_is_its_own(settings: Settings, umask: int) -> None:
    before = os.umask(umask)
    try:
        said = ran(settings, release(), "umask; touch new; stat -c %a new /app")
    finally:
        os.umask(before)
    assert said == "0022\n644\n755\n"


def test_a_named_pipe_of_the_host_keeps_its_owner(settings: Settings, tmp_path: Path) -> None:
    async def run() -> None:
        one = release()
        os.mkfifo(tmp_path / "fifo")
        fifo = os.open(tmp_path / "fifo", os.O_RDWR)
        async with asyncio.timeout(60), built(settings, one) as driver:
            spec = dyno_spec(one, NAME, Command(("echo said",)), port=None)
            dyno = await driver.start(spec, Output(fifo, fifo))
            await dyno.wait()
            await dyno.destroy()
        assert os.read(fifo, 100) == b"said\n"
        os.close(fifo)

    asyncio.run(run())
    assert (tmp_path / "fifo").stat().st_uid == os.geteuid()


class Output(NamedTuple):
    stdout: int
    stderr: int


def test_a_spare_that_was_killed_does_no_harm(settings: Settings) -> None:
    async def run() -> None:
        one = release()
        async with asyncio.timeout(60), built(settings, one) as driver:
            assert await output_of(driver, one, "echo one") == "one\n"
            await until(first_processes)
            kill_first_processes()
            assert await output_of(driver, one, "echo two") == "two\n"
            await until(first_processes)
            kill_first_processes()

    asyncio.run(run())


def test_a_command_that_comes_too_late_ends_with_the_dyno(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote_client, "is_stopped", lambda _: False)  # nobody replaces it

    async def run() -> None:
        one = release()
        spec = dyno_spec(one, NAME, Command(("sleep 600",)), port=None)
        nothing = os.open(os.devnull, os.O_RDWR)
        async with asyncio.timeout(60), built(settings, one) as driver, Recorder() as recorder:
            dyno = await driver.start(spec, recorder)
            (zygote,) = children("-ISB")
            os.kill(zygote, signal.SIGSTOP)
            try:
                late = await dyno.execute(Command(("true",)), (nothing,) * 3)
                await dyno.signal(signal.SIGKILL)
                await dyno.wait()
            finally:
                os.kill(zygote, signal.SIGCONT)
            os.close(nothing)
            assert await late.wait() == ExitStatus(signal=signal.SIGKILL)
            await dyno.destroy()

    asyncio.run(run())


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_spare_whose_builder_was_killed_does_no_harm(settings: Settings, is_taken: bool) -> None:
    async def run() -> None:
        one = release()
        async with asyncio.timeout(60), built(settings, one) as driver:
            assert await output_of(driver, one, "echo one") == "one\n"
            await until(lambda: any(map(is_first_of_a_spare, first_processes())))
            first = next(filter(is_first_of_a_spare, first_processes()))
            (builder,) = children_of(first)
            os.kill(first, signal.SIGSTOP)
            await until(lambda: is_stopped(first))  # and does not know of the builder's end
            os.kill(builder, signal.SIGKILL)
            await until(lambda: has_ended(builder))
            if is_taken:
                assert await output_of(driver, one, "echo two") == "two\n"

    asyncio.run(run())


class Accounts:
    """The accounts of a server that answers on command, or after 10 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.were_in_time: list[bool] = []
        monkeypatch.setattr(uids, "_has_account", self._has_account)

    def _has_account(self, _: object) -> bool:
        self.is_asked.set()
        self.were_in_time.append(self.may_answer.wait(10))
        return False


@asynccontextmanager
async def starts(
    settings: Settings,
) -> AsyncIterator[Callable[[], Coroutine[object, object, ContainerDyno]]]:
    """Return a function that starts a dyno that does nothing."""
    one = release()
    spec = dyno_spec(one, NAME, Command(("true",)), port=None)
    async with asyncio.timeout(60), built(settings, one) as driver, Recorder() as recorder:
        yield lambda: driver.start(spec, recorder)


def test_accounts_that_cannot_be_looked_up_keep_nobody_but_the_dyno_that_is_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(monkeypatch)

    async def run() -> None:
        async with starts(settings) as start:
            starting = asyncio.ensure_future(start())
            await until(accounts.is_asked.is_set)
            accounts.may_answer.set()
            dyno = await starting
            accounts.is_asked.clear()
            accounts.may_answer.clear()
            await until(accounts.is_asked.is_set)  # for a spare
            accounts.may_answer.set()
            await dyno.destroy()

    asyncio.run(run())
    assert len(accounts.were_in_time) >= 2
    assert all(accounts.were_in_time)


def test_a_start_that_is_cancelled_while_accounts_are_looked_up_gives_the_uid_back(
    settings: Settings, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(monkeypatch)
    numbers = {"LIBCONTAINER_DYNO_UID_MIN": "3000", "LIBCONTAINER_DYNO_UID_MAX": "3000"}
    settings = settings._replace(environ={**environ, **numbers})

    async def run() -> None:
        async with starts(settings) as start:
            starting = asyncio.ensure_future(start())
            await until(accounts.is_asked.is_set)
            starting.cancel()
            await asyncio.wait([starting])
            assert not accounts.were_in_time  # nobody has waited for them
            accounts.may_answer.set()
            while True:
                with suppress(DriverError):  # until the thread has given it back
                    await (await start()).destroy()
                    return

    asyncio.run(run())


def test_closing_the_driver_closes_each_channel_whatever_runs(settings: Settings) -> None:
    async def run() -> None:
        one = release()
        spec = dyno_spec(one, NAME, Command(("sleep 600",)), port=None)
        nothing = os.open(os.devnull, os.O_RDWR)
        driver = LibcontainerDriver(settings)
        await asyncio.to_thread(driver.build, one)
        async with asyncio.timeout(60), Recorder() as recorder:
            before = sockets()
            try:
                dyno = await driver.start(spec, recorder)
                await dyno.execute(Command(("sleep 600",)), (nothing,) * 3)
                # The dyno, what is beside it, and two spares.
                await until(lambda: len(first_processes()) == 4)
                left = first_processes()
            finally:
                driver.close()
            assert sockets() == before
            await until(lambda: all(map(has_ended, left)))
        os.close(nothing)

    asyncio.run(run())


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    links = (f"/proc/self/fd/{one}" for one in open_files("self"))
    return {link for one in links if (link := read_link(one)).startswith("socket:")}


def read_link(path: str) -> str:
    with suppress(FileNotFoundError):
        return os.readlink(path)
    return ""


#: Stops the next child of a process before it has done much, and prints which it was.
STOP_NEXT = """
import os, signal, sys
path = f"/proc/{sys.argv[1]}/task/{sys.argv[1]}/children"
known = open(path).read().split()
print(flush=True)
while not (new := set(open(path).read().split()) - {*known}):
    pass
pid = int(new.pop())
os.kill(pid, signal.SIGSTOP)
print(pid)
"""


@pytest.mark.parametrize("is_taken", [True, False])
def test_what_is_stopped_before_hsup_knows_it_is_ended_as_soon_as_what_it_knows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    monkeypatch.setattr(lookout, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(warm_pool, "_COUNT", 1)

    async def run() -> None:
        one = release()
        async with asyncio.timeout(60), built(settings, one) as driver:
            assert await output_of(driver, one, "echo one") == "one\n"
            await until(lambda: len(first_processes()) == 1)
            while not await has_stopped_next(driver, one):
                pass
            if is_taken:
                with suppress(DynoStartError):  # where it was launched before that was noticed
                    assert await output_of(driver, one, "echo three") == "three\n"

    asyncio.run(run())
    assert not first_processes()


async def has_stopped_next(driver: LibcontainerDriver, one: Release) -> bool:
    """Make a spare; tell whether its first process was stopped before it had a child."""
    (zygote,) = children("-ISB")
    stopping = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOP_NEXT, str(zygote), stdout=subprocess.PIPE
    )
    await stopping.stdout.readline()
    assert await output_of(driver, one, "echo two") == "two\n"  # by the one that is ready
    first = int(await stopping.stdout.readline())
    await stopping.wait()
    await until(lambda: is_stopped(first) or has_ended(first))
    if not children_of(first):
        return True
    os.kill(first, signal.SIGCONT)  # too late: it would have started its program
    return False


def kill_first_processes() -> None:
    """Kill the first processes and wait for their end, before the driver can notice."""
    while pids := first_processes():  # one may have been forked meanwhile
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def is_first_of_a_spare(pid: int) -> bool:
    """Tell whether a first process and its grandchild have closed the channel to the builder."""
    if Path(f"/proc/{pid}/comm").read_text() != "hsup-init\n":
        return False
    grandchildren = [one for child in children_of(pid) for one in children_of(child)]
    return bool(grandchildren) and all(open_files(one) <= {"0"} for one in grandchildren)


def open_files(pid: object) -> set[str]:
    return {*os.listdir(f"/proc/{pid}/fd")}


def has_ended(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(0.01)


def first_processes() -> list[int]:
    """Return the first processes of a driver's dynos, which are its zygote's children."""
    return [pid for zygote in children("-ISB") for pid in children_of(zygote)]
