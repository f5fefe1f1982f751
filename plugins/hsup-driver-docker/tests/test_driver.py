"""The driver with the engine of this machine, beyond what every driver has to do."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from hsup.cancellation import GivenUp, until
from hsup.errors import DriverError, DynoStartError, TooManyProcesses, UsageError
from hsup.launch import dyno_spec
from hsup.model import Bind, Command, DynoName, ExitStatus, Release, Slug
from hsup.sizes import SIZES
from hsup.terminal import write_all
from hsup.testing import Recorder
from hsup_driver_docker import container
from hsup_driver_docker.connection import EngineAway, EngineError
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.handle import Handle
from hsup_driver_docker.position import PositionFile
from hsup_driver_docker.sdk import Sdk

NUMBERS = count(1)


def run(check):
    async def limited():
        async with asyncio.timeout(60):
            await check

    asyncio.run(limited())


@pytest.fixture
def release(stack) -> Release:
    return Release(app=f"test-{next(NUMBERS)}", version=3, stack=stack.partition(":")[0])


@pytest.fixture
def driver(settings, release):
    with closing(DockerDriver(settings)) as driver:
        driver.build(release)
        yield driver


def spec(release, *words, number=1, port=None, **fields):
    name = DynoName("web", number)
    return dyno_spec(release, name, Command(words), port=port)._replace(**fields)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def started(driver, wanted) -> AsyncIterator:
    async with Recorder() as recorder:
        dyno = await driver.start(wanted, recorder)
        recorder.close_writing_ends()
        try:
            yield dyno, recorder
        finally:
            await dyno.destroy()


async def output_of(driver, wanted):
    async with started(driver, wanted) as (dyno, recorder):
        await dyno.wait()
        await dyno.destroy()
        return await recorder.all()


def test_the_environment_is_what_the_release_and_hsup_say_and_nothing_else(driver, release):
    async def check():
        config = {"GREETING": "hello", "LANG": "C.UTF-8"}
        wanted = spec(release, "printenv", "-0", port=5000, config=config)
        out, _ = await output_of(driver, wanted)
        found = dict(line.split("=", 1) for line in out.decode().split("\0") if line)
        found.pop("_", None)
        found.pop("SHLVL")
        assert found.pop("PS1")
        assert found == {
            **config,
            "HOME": "/app",
            "PWD": "/app",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PORT": "5000",
            "DYNO": "web.1",
        }

    run(check())


def test_a_dyno_is_the_user_dyno_with_a_number_that_the_stack_has_given_to_nobody(driver, release):
    async def check():
        line = "id -u; whoami; pwd; stat -c '%U %a' /app; touch /app/x && echo mine"
        out, _ = await output_of(driver, spec(release, line))
        assert out == b"3001\ndyno\n/app\ndyno 755\nmine\n"

    run(check())


def test_a_dyno_has_no_privileges_and_the_limits_of_its_size(driver, release, sdk):
    async def check():
        line = "grep -E 'Cap(Eff|Bnd|Prm)|NoNewPrivs' /proc/self/status; ulimit -n; sleep 60"
        async with started(driver, spec(release, line, size="performance-m")) as (dyno, recorder):
            await recorder.until(b"10000\n")
            assert recorder.so_far.count(b"\t0000000000000000\n") == 3
            assert b"NoNewPrivs:\t1\n" in recorder.so_far
            host = sdk.inspect_container(dyno.handle.id)["HostConfig"]
            size = SIZES["performance-m"]
            assert (host["Memory"], host["PidsLimit"]) == (size.memory, size.pids)
            assert host["CpuShares"] == 1024 * size.weight
            assert len(host["CpusetCpus"].split(",")) == min(2, os.cpu_count() or 1)

    run(check())


def test_the_port_is_published_on_the_loopback_interface(driver, release):
    async def check():
        port = free_port()
        async with started(driver, spec(release, "sleep 60", port=port)) as (dyno, _):
            assert dyno.address == ("127.0.0.1", port)

    run(check())


def test_a_port_that_is_taken_is_published_as_another_one(driver, release, caplog):
    async def check():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with started(driver, spec(release, "sleep 60", port=port)) as (dyno, _):
                assert dyno.address.ip == "127.0.0.1"
                assert dyno.address.port not in {port, 0}
                assert f"port {port} is taken, web.1 is at 127.0.0.1:" in caplog.text

    run(check())


def test_a_dyno_is_in_the_network_that_was_chosen(settings, release, sdk):
    name = f"{release.stack}-network"
    sdk.create_network(name)
    environ = {**settings.environ, "DOCKER_NETWORK": name}

    async def check():
        with closing(DockerDriver(settings._replace(environ=environ))) as driver:
            await asyncio.to_thread(driver.build, release)
            async with started(driver, spec(release, "sleep 60")) as (dyno, _):
                found = sdk.inspect_container(dyno.handle.id)["NetworkSettings"]["Networks"]
                assert list(found) == [name]

    try:
        run(check())
    finally:
        sdk.remove_network(name)


def test_a_path_of_the_host_is_bound(driver, release, tmp_path):
    async def check():
        (tmp_path / "data").mkdir(mode=0o777)
        (tmp_path / "data").chmod(0o777)
        (tmp_path / "data/note").write_text("from outside")
        binds = (
            Bind(tmp_path / "data", Path("/app/data")),
            Bind(tmp_path / "data", Path("/only"), read_only=True),
        )
        line = "cat /app/data/note; echo inside >/app/data/answer; touch /only/x 2>&1"
        out, _ = await output_of(driver, spec(release, line, binds=binds))
        assert out.startswith(b"from outside")
        assert b"Read-only file system" in out
        assert (tmp_path / "data/answer").read_text() == "inside\n"

    run(check())


def test_a_path_that_there_is_not_cannot_be_bound(driver, release, tmp_path):
    async def check():
        binds = (Bind(tmp_path / "nosuch", Path("/x")),)
        with pytest.raises(DynoStartError, match="nosuch"):
            await driver.start(spec(release, "true", binds=binds), Pipes())

    run(check())


def test_a_dyno_whose_output_cannot_be_read_leaves_nothing(driver, release, monkeypatch):
    made = []
    monkeypatch.setattr(
        "hsup_driver_docker.position.PositionFile",
        lambda path: made.append(Path(path)) or PositionFile(path),
    )

    async def check():
        class NoPipes:
            stdout = stderr = -1

        with pytest.raises(DynoStartError, match="cannot read what the dyno writes: Bad file"):
            await driver.start(spec(release, "sleep 60"), NoPipes())
        (file,) = made
        assert not file.exists()

    run(check())


class Pipes:
    """Outputs that nobody reads."""

    def __init__(self):
        self._file = open(os.devnull, "wb")  # noqa: SIM115 - closed with the object
        self.stdout = self.stderr = self._file.fileno()

    def __del__(self):
        self._file.close()


def test_names_that_clash_are_no_failure(driver, release, monkeypatch):
    tokens = iter(["same", "same", "other"])
    monkeypatch.setattr(container, "new_token", lambda: next(tokens))

    async def check():
        async with (
            started(driver, spec(release, "sleep 60")) as (one, _),
            started(driver, spec(release, "sleep 60")) as (other, _),
        ):
            assert one.handle.name.endswith("-same")
            assert other.handle.name.endswith("-other")

    run(check())


def test_names_that_always_clash_are(driver, release, monkeypatch):
    monkeypatch.setattr(container, "new_token", lambda: "same")

    async def check():
        async with started(driver, spec(release, "sleep 60")):
            with pytest.raises(DynoStartError, match="already in use by container"):
                await driver.start(spec(release, "sleep 60"), Pipes())

    run(check())


def test_a_container_that_somebody_removes_has_ended(driver, release, sdk):
    async def check():
        async with started(driver, spec(release, "sleep 60")) as (dyno, _):
            sdk.remove_container(dyno.handle.id, force=True)
            assert (await dyno.wait()).status == 137

    run(check())


def test_an_image_that_somebody_removes_is_built_again(driver, release, sdk):
    async def check():
        async with started(driver, spec(release, "sleep 60")) as (dyno, _):
            image = dyno.handle.image.id
        sdk.remove_image(image, force=True)
        assert await output_of(driver, spec(release, "echo again")) == (b"again\n", b"")

    run(check())


def test_a_dyno_that_closes_its_outputs_runs_on(driver, release):
    async def check():
        line = "exec >&- 2>&-; sleep 0.5; exit 7"
        async with started(driver, spec(release, line)) as (dyno, recorder):
            assert await recorder.all() == (b"", b"")
            assert await dyno.wait() == ExitStatus(code=7)

    run(check())


def test_processes_that_outlive_the_program_have_the_grace_too(driver, release):
    async def check():
        child = (
            "(trap 'sleep 0.5; echo tidied; exit' TERM; echo ready; while :; do sleep 0.1; done)"
        )
        async with started(driver, spec(release, f"{child} & sleep 60")) as (dyno, recorder):
            await recorder.until(b"ready")
            await dyno.signal(15)
            assert not await dyno.destroy(30)
            assert (await dyno.wait()).status == 143
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


def test_a_dyno_has_its_grace_where_no_more_threads_may_be_had(driver, release, monkeypatch):
    """The kernel refuses them at the limit of processes."""

    async def check():
        line = "trap 'echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        async with started(driver, spec(release, "/bin/sh", "-c", line)) as (dyno, recorder):
            await recorder.until(b"ready")
            begin = threading.Thread.start

            def refuse_all_but_the_first(thread):
                if threading.current_thread() is not threading.main_thread():
                    raise RuntimeError("can't start new thread")
                begin(thread)

            monkeypatch.setattr(threading.Thread, "start", refuse_all_but_the_first)
            await dyno.signal(15)
            monkeypatch.undo()
            assert await dyno.destroy(30) is False
            assert await dyno.wait() == ExitStatus(3)
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


@pytest.fixture
def refuse_threads(monkeypatch):
    """Give what has no more threads started, as at the limit of processes."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_dyno_is_stopped_where_no_thread_may_be_had_at_all(driver, release, refuse_threads):
    async def check():
        line = "trap 'echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        async with started(driver, spec(release, "/bin/sh", "-c", line)) as (dyno, recorder):
            await recorder.until(b"ready")
            refuse_threads()
            await dyno.signal(15)
            assert await dyno.destroy(30) is False
            assert await dyno.wait() == ExitStatus(3)
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


def test_a_start_without_a_thread_is_told_and_leaves_nothing(driver, release, refuse_threads):
    async def check():
        refuse_threads()
        with pytest.raises(TooManyProcesses, match="ulimit -u"):
            async with Recorder() as recorder:
                await driver.start(spec(release, "sleep 60"), recorder)

    run(check())


def test_a_command_without_a_thread_is_told_and_never_run(driver, release, refuse_threads):
    async def check():
        async with started(driver, spec(release, "sleep 60")) as (dyno, _), Recorder() as recorder:
            streams = (recorder.stdout, recorder.stdout, recorder.stderr)
            before = set(os.listdir("/proc/self/fd"))
            refuse_threads()
            with pytest.raises(TooManyProcesses, match="ulimit -u"):
                await dyno.execute(Command(("touch", "/tmp/executed")), streams)
            assert set(os.listdir("/proc/self/fd")) == before
            assert dyno.handle.engine.count(dyno.handle.id) <= 2  # its init and its program

    run(check())


def test_a_dyno_that_takes_too_much_memory_is_killed_as_a_whole(driver, release):
    async def check():
        line = "tail /dev/zero; echo survived; sleep 60"
        async with started(driver, spec(release, line)) as (dyno, _):
            status = await dyno.wait()
            assert (status.status, status.out_of_memory) == (137, True)

    run(check())


#: Starts a dyno as an hsup does, and is killed when it has read a text.
KILLED_HSUP = """
import asyncio, json, os, sys
from pathlib import Path
from hsup.api import Settings
from hsup.launch import dyno_spec
from hsup.model import Command, DynoName, Release
from hsup.terminal import write_all
from hsup.testing import Recorder
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.handle import Handle

environ, app, stack, line, port, until = json.loads(sys.argv[1])

async def main():
    driver = DockerDriver(Settings(folder="/", environ=environ))
    release = Release(app=app, version=3, stack=stack)
    driver.build(release)
    async with Recorder() as recorder:
        spec = dyno_spec(release, DynoName("web", 1), Command((line,)), port=port)
        dyno = await driver.start(spec, recorder)
        if until:
            await recorder.until(until.encode())
        else:
            await dyno.wait()
        last = recorder.so_far.decode().split()[-1:]
        print(dyno.handle.name, dyno.address and dyno.address.port, *last, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def test_a_reader_that_is_stuck_does_not_keep_a_dyno_from_ending(driver, release):
    async def check():
        reading, writing = os.pipe()
        other = os.open(os.devnull, os.O_WRONLY)

        class Stuck:
            stdout, stderr = writing, other

        dyno = await driver.start(spec(release, "yes"), Stuck())
        os.close(writing)
        os.close(other)
        await asyncio.sleep(1)  # so that pipe and socket are full
        await dyno.signal(15)
        await dyno.destroy(1.0)
        os.close(reading)

    run(check())


def test_a_lot_is_passed_through_a_command_beside_the_program(driver, release):
    async def check():
        async with started(driver, spec(release, "sleep 60")) as (dyno, _), Recorder() as recorder:
            reading, writing = os.pipe()
            streams = (reading, recorder.stdout, recorder.stderr)
            execution = await dyno.execute(Command(("cat",)), streams)
            os.close(reading)
            recorder.close_writing_ends()
            data = os.urandom(3_000_000)
            await asyncio.to_thread(write_all, writing, data)
            os.close(writing)
            assert await execution.wait() == ExitStatus()
            assert (await recorder.all())[0] == data

    run(check())


def test_a_build_that_is_under_way_at_the_end_leaves_no_container(
    settings, release, engine, monkeypatch
):
    begun, may_go_on = threading.Event(), threading.Event()

    def wait(*_):
        begun.set()
        may_go_on.wait()
        raise OSError

    monkeypatch.setattr("hsup_driver_docker.sdk.Sdk._fill", wait)
    driver = DockerDriver(settings)

    def build():
        with suppress(OSError):
            driver.build(release)

    before = build_containers(engine)
    building = threading.Thread(target=build, daemon=True)
    building.start()
    try:
        assert begun.wait(60)
        driver.close()
        assert build_containers(engine) <= before
    finally:
        may_go_on.set()
        building.join()


def build_containers(engine):
    found = engine.containers("hsup.owner")
    return {one["Id"] for one in found if "hsup-build-" in "".join(one["Names"])}


def test_an_upload_that_is_under_way_at_the_end_is_broken_off(
    settings, release, engine, tmp_path, monkeypatch
):
    """An engine removes a container when it has read what is put into it."""
    begun, closed = threading.Event(), threading.Event()
    slug = tmp_path / "slug"
    slug.mkdir()
    for number in range(64):
        (slug / str(number)).write_bytes(os.urandom(1 << 20))
    before = build_containers(engine)
    driver = DockerDriver(settings)
    closes = Sdk.close

    def close(sdk):
        closed.set()
        closes(sdk)

    def wait(size):
        written.append(size)
        begun.set()
        closed.wait(60)

    @contextmanager
    def slow_bar(*_):
        yield wait

    monkeypatch.setattr("hsup_driver_docker.sdk.bar", slow_bar)
    monkeypatch.setattr(Sdk, "close", close)
    failed, written = [], []

    def build():
        try:
            driver.build(release._replace(slug=Slug(str(slug))))
        except DriverError as error:
            failed.append(error)

    building = threading.Thread(target=build, daemon=True)
    building.start()
    assert begun.wait(60)
    driver.close()
    building.join()
    assert failed
    assert sum(written) < 32 << 20  # of 64
    assert build_containers(engine) <= before


class TestAdoption:
    """Of what an hsup that was killed has left."""

    @pytest.fixture
    def killed(self, settings, release):
        """Have an hsup run a line and be killed; return the container, and its port."""

        def run_killed(line, until, port=None):
            told = [dict(settings.environ), release.app, release.stack, line, port, until]
            words = [sys.executable, "-c", KILLED_HSUP, json.dumps(told)]
            return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout

        return run_killed

    def test_a_running_dyno_is_taken_over_with_what_it_wrote_meanwhile(
        self, killed, driver, release
    ):
        line = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
        port = free_port()
        _, published, last = killed(line, "\n20\n", port).split()
        wanted = spec(release, line, port=port)

        async def check():
            await asyncio.sleep(0.5)
            assert driver.sweep() == []
            assert driver.keep_only([wanted]) == []
            async with Recorder() as recorder:
                dyno = await driver.adopt(wanted, recorder)
                recorder.close_writing_ends()
                assert dyno.address == ("127.0.0.1", int(published))
                await recorder.until(b"\n100\n")
                assert await driver.adopt(wanted, Pipes()) is None
                await dyno.signal(15)
                assert not await dyno.destroy(10)
                assert (await dyno.wait()).status == 143
                out, _ = await recorder.all()
            numbers = [int(one) for one in out.split()]
            assert numbers[0] <= int(last) + 1
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

        run(check())

    @pytest.mark.parametrize("error", [EngineAway("gone"), EngineError("down", status=503)])
    def test_an_engine_that_fails_at_it_is_asked_again(
        self, killed, driver, release, monkeypatch, error
    ):
        line = "echo ready; sleep 60"
        name = killed(line, "ready").split()[0]
        wanted = spec(release, line)

        def fail(*_):
            monkeypatch.undo()
            raise error

        async def check():
            driver.sweep()
            driver.keep_only([wanted])
            monkeypatch.setattr("hsup_driver_docker.handle.Handle.resume", fail)
            async with Recorder() as recorder:
                with pytest.raises(type(error)):
                    await driver.adopt(wanted, recorder)
                dyno = await driver.adopt(wanted, recorder)
                recorder.close_writing_ends()
                assert dyno.handle.name == name
                await dyno.destroy()

        run(check())

    def test_what_was_kept_is_kept_when_that_is_asked_for_again(self, killed, driver, release):
        line = "echo ready; sleep 60"
        name = killed(line, "ready").split()[0]
        wanted = spec(release, line)
        driver.sweep()
        assert driver.keep_only([wanted]) == []
        assert driver.keep_only([wanted]) == []
        assert driver.keep_only([spec(release, "true")]) == [f"the container {name}"]

    def test_what_would_run_differently_is_removed(self, killed, driver, release):
        line = "echo ready; sleep 60"
        name = killed(line, "ready").split()[0]
        changed = spec(release, line, config={"A": "1"})

        async def check():
            assert driver.sweep() == []
            assert driver.keep_only([changed]) == [f"the container {name}"]
            assert await driver.adopt(changed, Pipes()) is None

        run(check())

    def test_what_has_ended_is_removed_at_once(self, killed, driver):
        name = killed("exit 3", None).split()[0]
        assert driver.sweep() == [f"the container {name}"]

    def test_what_an_hsup_that_has_left_could_not_remove_is_removed_without_a_word(
        self, killed, driver, engine, tmp_path
    ):
        name = killed("exit 3", None).split()[0]
        for folder in tmp_path.glob("docker/*/instances/*"):
            shutil.rmtree(folder)
        assert driver.sweep() == []
        assert all(f"/{name}" not in one["Names"] for one in engine.containers("hsup.owner"))

    def test_a_running_dyno_is_taken_over_also_where_its_owners_folder_is_lost(
        self, killed, driver, release, tmp_path
    ):
        line = "echo ready; sleep 60"
        killed(line, "ready")
        for folder in tmp_path.glob("docker/*/instances/*"):
            shutil.rmtree(folder)
        wanted = spec(release, line)

        async def check():
            assert driver.sweep() == []
            assert driver.keep_only([wanted]) == []
            async with Recorder() as recorder:
                dyno = await driver.adopt(wanted, recorder)
                recorder.close_writing_ends()
                await dyno.destroy()

        run(check())

    def test_what_nobody_has_taken_over_is_there_for_the_next(self, killed, settings, driver):
        line = "echo ready; sleep 60"
        name = killed(line, "ready").split()[0]
        with closing(DockerDriver(settings)) as other:
            assert other.sweep() == []
        assert driver.sweep() == []
        assert driver.keep_only([]) == [f"the container {name}"]

    def test_what_a_living_hsup_has_is_left_alone(self, settings, driver, release):
        async def check():
            with closing(DockerDriver(settings)) as other:
                other.build(release)
                wanted = spec(release, "sleep 60")
                async with started(other, wanted) as (dyno, _):
                    assert driver.sweep() == []
                    assert driver.keep_only([]) == []
                    assert await driver.adopt(wanted, Pipes()) is None
                    assert dyno.handle.state().is_running

        run(check())

    @staticmethod
    async def image_of(driver, wanted):
        """Return the image that a dyno gets."""
        async with started(driver, wanted) as (dyno, _):
            return dyno.handle.image.id

    def test_nothing_that_is_not_hsups_is_touched(self, killed, driver, release, sdk):
        """Not even containers of its images and of those made of a dyno, which have its labels."""
        line = "echo ready; sleep 60"
        dyno = killed(line, "ready").split()[0]
        copy = sdk.commit(dyno, "copy", release.app)["Id"]
        image = sdk.inspect_container(dyno)["Image"]
        others = [sdk.create_container(one, ["sleep", "60"])["Id"] for one in (image, copy)]
        try:
            for other in others:
                sdk.start(other)
            assert driver.sweep() == []
            assert driver.keep_only([spec(release, "true")]) == [f"the container {dyno}"]
            assert all(sdk.inspect_container(one)["State"]["Running"] for one in others)
            built = asyncio.run(self.image_of(driver, spec(release, "true")))
            assert built == image
        finally:
            for other in others:
                sdk.remove_container(other, force=True)
            sdk.remove_image(copy)

    def test_dynos_of_another_application_are_left_to_its_hsup(
        self, killed, settings, driver, release
    ):
        line = "echo ready; sleep 60"
        name = killed(line, "ready").split()[0]
        other = release._replace(app="another")
        with closing(DockerDriver(settings)) as another:
            another.build(other)
            assert another.sweep() == []
            assert another.keep_only([spec(other, line)]) == []
            assert driver.sweep() == []
            assert driver.keep_only([]) == [f"the container {name}"]

    def test_a_dyno_that_was_ending_has_ended_when_it_is_taken_over(
        self, killed, driver, release, engine
    ):
        """Its hsup was killed between SIGTERM and the end of all processes."""
        line = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        name = killed(line, "ready").split()[0]
        handle = Handle(engine, name, name, spec(release, line), None)
        finish = handle.end(15)
        wanted = spec(release, line)

        async def check():
            driver.sweep()
            driver.keep_only([wanted])
            async with Recorder() as recorder:
                dyno = await driver.adopt(wanted, recorder)
                if dyno is not None:
                    assert (await dyno.wait()).status == 3
                    await dyno.destroy()

        run(check())
        finish()


class TestImages:
    @pytest.fixture
    def slug(self, tmp_path):
        """A slug with a file that says its number."""

        def make(number):
            folder = tmp_path / f"slug-{number}"
            (folder / "app").mkdir(parents=True)
            (folder / "app/number").write_text(str(number))
            archive = tmp_path / f"{number}.tgz"
            with tarfile.open(archive, "w:gz") as packed:
                packed.add(folder / "app", "./app", filter=lambda one: one)
            return Slug(str(archive))

        return make

    @staticmethod
    def images(sdk, app):
        found = sdk.images(filters={"label": f"hsup.image.app={app}"})
        return sorted(one["Id"] for one in found)

    def test_a_release_is_built_once(self, settings, driver, release, sdk):
        driver.build(release)
        before = self.images(sdk, release.app)
        with closing(DockerDriver(settings)) as another:
            another.build(release)
            another.build(release._replace(version=4, config={"A": "1"}))
        assert len(before) == 1
        assert self.images(sdk, release.app) == before

    def test_it_is_built_each_time_where_images_are_not_to_be_reused(
        self, settings, driver, release, sdk
    ):
        driver.build(release)
        before = self.images(sdk, release.app)
        environ = {**settings.environ, "DOCKER_IMAGE_CACHE": "0"}
        with closing(DockerDriver(settings._replace(environ=environ))) as another:
            another.build(release)
        assert len(self.images(sdk, release.app)) == len(before) == 1
        assert self.images(sdk, release.app) != before

    def test_a_changed_file_of_a_folder_makes_another_image(self, driver, release, tmp_path, sdk):
        (tmp_path / "code").mkdir()
        (tmp_path / "code/one").write_text("1")
        folder = release._replace(slug=Slug(str(tmp_path / "code")))
        driver.build(folder)
        first = set(self.images(sdk, release.app))
        driver.build(folder)
        assert set(self.images(sdk, release.app)) == first
        (tmp_path / "code/one").write_text("2")
        driver.build(folder)
        assert set(self.images(sdk, release.app)) > first

    def test_an_application_keeps_its_newest_images(self, settings, release, slug, sdk):
        environ = {**settings.environ, "DOCKER_IMAGES_KEEP": "2"}
        with closing(DockerDriver(settings._replace(environ=environ))) as driver:
            built = []
            for number in range(4):
                driver.build(release._replace(version=number, slug=slug(number)))
                built.append(set(self.images(sdk, release.app)))
            assert [len(one) for one in built] == [1, 2, 2, 2]
            assert built[3] - built[2]

            async def check():
                last = release._replace(version=3, slug=slug_of_last)
                assert (await output_of(driver, spec(last, "cat number")))[0] == b"3"

            slug_of_last = Slug(str(Path(settings.folder) / "3.tgz"))
            run(check())

    def test_an_image_in_use_is_not_collected(self, settings, release, slug, sdk):
        environ = {**settings.environ, "DOCKER_IMAGES_KEEP": "1"}

        async def check():
            with closing(DockerDriver(settings._replace(environ=environ))) as driver:
                first = release._replace(slug=slug(0))
                await asyncio.to_thread(driver.build, first)
                async with started(driver, spec(first, "sleep 60")) as (dyno, _):
                    await asyncio.to_thread(driver.build, release._replace(slug=slug(1)))
                    assert dyno.handle.image.id in self.images(sdk, release.app)
                await asyncio.to_thread(driver.build, release._replace(slug=slug(2)))
                assert len(self.images(sdk, release.app)) == 1

        run(check())

    def test_the_files_of_a_folder_are_the_dynos_and_have_no_set_id_bits(
        self, driver, release, tmp_path
    ):
        folder = tmp_path / "code"
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\necho run\n")
        (folder / "tool").chmod(0o4755)
        (folder / "others").touch(mode=0o644)
        os.chown(folder / "others", 4711, 4712)
        (folder / "link").symlink_to("tool")
        (tmp_path / "current").symlink_to("code")

        async def check():
            code = release._replace(slug=Slug(str(tmp_path / "current")))
            line = "stat -c '%U %a' tool; stat -c '%u %g' others; ./link"
            assert (await output_of(driver, spec(code, line)))[0] == b"dyno 755\n4711 4712\nrun\n"

        run(check())

    def test_a_stack_that_has_changed_makes_another_image(
        self, settings, driver, release, sdk, root_archive
    ):
        name = f"{release.stack}-other"
        sdk.import_image_from_data(root_archive(), repository=name, tag="1")
        before = self.images(sdk, release.app)
        environ = {**settings.environ, "DOCKER_STACKS": f"{release.stack}={name}:1"}
        try:
            driver.build(release)
            with closing(DockerDriver(settings._replace(environ=environ))) as another:
                another.build(release)
            assert self.images(sdk, release.app) != before
            assert len(self.images(sdk, release.app)) == 1
        finally:
            for image in self.images(sdk, release.app):
                sdk.remove_image(image, force=True)
            sdk.remove_image(f"{name}:1")

    def test_users_that_are_a_link_in_the_stack_are_found(self, settings, release, sdk):
        name = f"{release.stack}-linked"
        made = sdk.create_container(settings.environ["DOCKER_STACKS"].partition("=")[2], "true")
        links = io.BytesIO()
        with tarfile.open(fileobj=links, mode="w") as archive:
            link = tarfile.TarInfo("etc/passwd")
            link.type, link.linkname = tarfile.SYMTYPE, "../usr/users"
            archive.addfile(link)
            users = b"root:x:0:0::/:/bin/sh\n"
            member = tarfile.TarInfo("usr/users")
            member.size = len(users)
            archive.addfile(member, io.BytesIO(users))
        sdk.put_archive(made, "/", links.getvalue())
        sdk.commit(made, name, "1")
        sdk.remove_container(made)
        environ = {**settings.environ, "DOCKER_STACKS": f"linked={name}:1"}
        linked = release._replace(stack="linked")

        async def check():
            with closing(DockerDriver(settings._replace(environ=environ))) as another:
                await asyncio.to_thread(another.build, linked)
                wanted = spec(linked, "whoami; tail -n 2 /usr/users | head -n 1")
                out, _ = await output_of(another, wanted)
                assert out == b"dyno\nroot:x:0:0::/:/bin/sh\n"

        try:
            run(check())
        finally:
            for image in self.images(sdk, release.app):
                sdk.remove_image(image, force=True)
            sdk.remove_image(f"{name}:1")

    def test_a_stack_without_bash_is_refused(self, settings, release, sdk, root_archive):
        name = f"{release.stack}-bare"
        sdk.import_image_from_data(root_archive("true"), repository=name, tag="1")
        environ = {**settings.environ, "DOCKER_STACKS": f"bare={name}:1"}
        try:
            with (
                closing(DockerDriver(settings._replace(environ=environ))) as driver,
                pytest.raises(DriverError, match=f"the image {name}:1 has no /bin/bash"),
            ):
                driver.build(release._replace(stack="bare"))
        finally:
            sdk.remove_image(f"{name}:1")

    def test_a_stack_with_a_volume_for_the_slug_is_refused(
        self, settings, release, sdk, root_archive
    ):
        name = f"{release.stack}-volume"
        change = ["VOLUME /app/"]
        sdk.import_image_from_data(root_archive(), repository=name, tag="1", changes=change)
        environ = {**settings.environ, "DOCKER_STACKS": f"kept={name}:1"}
        try:
            with (
                closing(DockerDriver(settings._replace(environ=environ))) as driver,
                pytest.raises(DriverError, match=r"has a volume at /app/?, where no slug"),
            ):
                driver.build(release._replace(stack="kept"))
        finally:
            sdk.remove_image(f"{name}:1")

    def test_an_image_that_cannot_be_pulled_is_an_error_that_names_it(self, settings, release):
        environ = {**settings.environ, "DOCKER_STACKS": "gone=127.0.0.1:1/no/such:1"}
        with (
            closing(DockerDriver(settings._replace(environ=environ))) as driver,
            pytest.raises(DriverError, match=r"cannot pull the image 127\.0\.0\.1:1/no/such:1: "),
        ):
            driver.build(release._replace(stack="gone"))

    def test_a_pull_from_a_registry_that_says_nothing_is_given_up(self, settings, release):
        given_up, is_over = threading.Event(), threading.Event()

        def be_silent():
            with registry.accept()[0] as connection:
                connection.recv(1)
                given_up.set()
                is_over.wait(60)

        with (
            socket.create_server(("127.0.0.1", 0)) as registry,
            closing(DockerDriver(settings)) as driver,
            until(given_up),
        ):
            registry.settimeout(60)
            silent = threading.Thread(target=be_silent)
            silent.start()
            image = f"docker://127.0.0.1:{registry.getsockname()[1]}/silent:1"
            with pytest.raises(GivenUp):
                driver.build(release._replace(slug=Slug(image)))
            is_over.set()
            silent.join()

    def test_a_release_that_is_an_image_runs_as_it_is(self, driver, release, sdk, root_archive):
        name = f"{release.stack}-own"
        change = [
            "USER 12:34",
            "WORKDIR /tmp",
            "ENV FROM=image",
            'CMD ["printenv", "FROM", "DYNO"]',
        ]
        sdk.import_image_from_data(root_archive(), repository=name, tag="1", changes=change)
        own = release._replace(slug=Slug(f"docker://{name}:1"))

        async def check():
            line = "echo $FROM $A $PORT; pwd; id -u; id -g"
            wanted = spec(own, line, port=5000, config={"A": "b"})
            assert (await output_of(driver, wanted))[0] == b"image b 5000\n/tmp\n12\n34\n"
            assert (await output_of(driver, spec(own)))[0] == b"image\nweb.1\n"

        try:
            driver.build(own)
            run(check())
        finally:
            sdk.remove_image(f"{name}:1")

    @pytest.mark.parametrize("value", ["x", "0", "-1"])
    def test_a_rule_that_makes_no_sense_is_bad_usage(self, settings, value):
        environ = {**settings.environ, "DOCKER_IMAGES_KEEP": value}
        with pytest.raises(UsageError, match=f'DOCKER_IMAGES_KEEP is "{value}"'):
            DockerDriver(settings._replace(environ=environ))


def test_where_there_is_no_engine_the_error_says_what_to_do(settings, tmp_path, release):
    environ = {**settings.environ, "DOCKER_HOST": f"unix://{tmp_path}/nosuch.sock"}
    text = r"cannot reach the Docker Engine at unix://.*/nosuch\.sock: No such file or directory; "
    with (
        closing(DockerDriver(settings._replace(environ=environ))) as driver,
        pytest.raises(DriverError, match=f"{text}start it"),
    ):
        driver.build(release)


def test_doctor_finds_the_engine(driver):
    findings = {one.subject: one for one in driver.examine()}
    assert findings["engine"].is_good
    assert findings["init"].is_good
    assert json.dumps([one._asdict() for one in findings.values()])


def test_doctor_tells_what_to_do_without_an_engine(settings, tmp_path):
    environ = {**settings.environ, "DOCKER_HOST": f"unix://{tmp_path}/nosuch.sock"}
    (finding,) = DockerDriver(settings._replace(environ=environ)).examine()
    assert not finding.is_good
    assert "start it" in finding.remedy
