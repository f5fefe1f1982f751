"""A plugin that goes wrong: it is named, and nobody else's dynos, or hsup's end, suffer from it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from ftest.program import Finished, Hsup

pytestmark = pytest.mark.simple_only("the plugin of these tests is a driver itself")

#: Each fault is chosen by BUG; without one, all works.
PLUGIN = '''
import asyncio, os, signal, subprocess, time
import click
from hsup import hookimpl
from hsup.api import Claim
from hsup.model import ExitStatus

BUG = os.environ.get("BUG", "")


def fault(name, result=None):
    """Raise, hang, block or answer as BUG says for a part."""
    if BUG == f"{name}_raises":
        raise ZeroDivisionError(f"oops in {name}")
    if BUG == f"{name}_blocks":
        time.sleep(1000)
    return "wrong" if BUG == f"{name}_wrong" else result


async def fault_or_hang(name):
    fault(name)
    if BUG == f"{name}_hangs":
        await asyncio.sleep(1000)


class Dyno:
    address = None

    def __init__(self, process):
        self.process = process

    async def wait(self):
        await fault_or_hang("wait")
        code = await self.process.wait()
        status = ExitStatus(signal=-code) if code < 0 else ExitStatus(code=code)
        return fault("wait", status)

    async def signal(self, number):
        await fault_or_hang("signal")
        self.kill(number)

    def kill(self, number):
        fault("kill")
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    async def destroy(self, grace_seconds=0.0):
        await fault_or_hang("destroy")
        try:
            await asyncio.wait_for(self.process.wait(), grace_seconds)
        except TimeoutError:
            self.kill(signal.SIGKILL)
            await self.process.wait()
            return True
        return False


class Driver:
    binds_paths = False

    def build(self, release):
        fault("build")

    async def start(self, spec, output):
        await fault_or_hang("start")
        if BUG == "start_wrong":
            return "wrong"
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", *spec.command.words, stdout=output.stdout, stderr=output.stderr,
            start_new_session=True,
        )
        return Dyno(process)

    def run(self, spec, grace_seconds):
        subprocess.Popen(["sh", "-c", *spec.command.words])
        return fault("run", ExitStatus(code=0))

    def sweep(self):
        return fault("sweep", ())

    def close(self):
        fault("close")

    def examine(self):
        return fault("examine", ())


def create(settings):
    return fault("factory", Driver())


class Factory:
    remedy = "set BUG"

    def applies(self, settings):
        return fault("applies", Claim.NONE)

    def create(self, settings):
        return None

    def check(self, path, settings):
        return fault("check", None)


class Sink:
    is_full = False

    def write(self, batch):
        fault("sink")

    async def drained(self):
        pass

    async def close(self):
        fault("sink_close")


class Service:
    async def run(self, supervisor):
        fault("service")


@click.command("oops")
def oops():
    fault("command")


@hookimpl
def hsup_register_drivers():
    return {"bug": create}


@hookimpl
def hsup_register_sources():
    return {"buggy": Factory()}


@hookimpl
def hsup_register_log_sinks():
    return {"bug": lambda settings: fault("sink_factory", Sink() if "sink" in BUG else None)}


@hookimpl
def hsup_register_services():
    return {"bug": lambda settings: fault("service_factory", Service())}


@hookimpl
def hsup_register_commands():
    return [oops]


@hookimpl
def hsup_dyno_exited(event):
    fault("observer")
'''

NAME = "hsup-bug 1.2.3"


@pytest.fixture(autouse=True)
def bug(hsup: Hsup, install: Callable[..., None]) -> Callable[[str], None]:
    """Install the plugin, and use its driver."""
    install("hsup-bug", PLUGIN)
    hsup.driver = "bug"
    hsup.procfile(web=hsup.born)

    def choose(name: str) -> None:
        hsup.environ["BUG"] = name

    return choose


def assert_named(done: Finished, name: str = NAME) -> None:
    said = done.text + done.message
    assert name in said, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("factory_raises", ("run", "true")),
        ("factory_wrong", ("run", "true")),
        ("factory_raises", ("start", "--oneshot")),
        ("build_raises", ("run", "true")),
        ("build_raises", ("build",)),
        ("build_raises", ("start", "--oneshot")),
        ("run_raises", ("run", "true")),
        ("run_wrong", ("run", "true")),
        ("command_raises", ("oops",)),
        ("examine_raises", ("doctor",)),
        ("examine_wrong", ("doctor",)),
    ],
)
def test_what_cannot_be_done_without_it_is_an_error_that_names_it(
    hsup: Hsup, bug: Callable[[str], None], fault: str, words: tuple[str, ...]
) -> None:
    bug(fault)
    done = hsup.call(*words)
    assert done.status == 1, done
    assert_named(done)


@pytest.mark.parametrize(
    "fault",
    ["sweep_raises", "sweep_wrong", "close_raises", "applies_raises"],
)
@pytest.mark.parametrize("words", [("run", "true"), ("start", "--oneshot")])
def test_what_can_be_done_without_it_is_done_and_the_fault_is_told(
    hsup: Hsup, bug: Callable[[str], None], fault: str, words: tuple[str, str]
) -> None:
    hsup.procfile(web="true")
    bug(fault)
    done = hsup.call(*words)
    assert done.status == 0, done
    assert_named(done)


@pytest.mark.parametrize(
    "fault",
    [
        "sink_factory_raises",
        "sink_factory_wrong",
        "sink_raises",
        "sink_close_raises",
        "service_factory_raises",
        "service_raises",
        "observer_raises",
        "applies_raises",
    ],
)
def test_dynos_of_others_run_beside_it(hsup: Hsup, bug: Callable[[str], None], fault: str) -> None:
    hsup.driver = "simple"
    hsup.procfile(web="echo hello; exit 3")
    bug(fault)
    done = hsup.call("start", "--oneshot")
    assert done.status == 3, done
    assert "app[web.1]: hello\n" in done.text
    assert_named(done)


@pytest.mark.parametrize("fault", ["start_raises", "start_wrong"])
def test_a_start_that_fails_is_told_and_tried_again(
    hsup: Hsup, bug: Callable[[str], None], fault: str
) -> None:
    bug(fault)
    running = hsup.start()
    running.wait_for(f"failed to start web.1(.|\n)*{NAME}|{NAME} failed to start web.1")
    running.wait_for("State changed from crashed to starting|Starting process", count=2)
    assert running.stop() == 0
    assert "Traceback" not in running.said


@pytest.mark.parametrize("fault", ["signal_raises", "wait_raises", "kill_raises", "destroy_raises"])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_dyno_whose_methods_fail_leaves_no_process(
    hsup: Hsup, bug: Callable[[str], None], fault: str, signals: int
) -> None:
    bug(fault)
    hsup.procfile(web=f"echo born; trap '' TERM; {hsup.sleep} & wait; wait")
    running = hsup.start("--grace", "1.5")
    running.wait_for("born$")
    for _ in range(signals):
        running.send(signal.SIGTERM)
        time.sleep(0.6)  # twice within 0.5 s counts once
    running.ended()
    assert NAME in running.said
    assert "Traceback" not in running.said
    assert hsup.processes() == {}


def test_a_command_whose_driver_fails_leaves_no_process(
    hsup: Hsup, bug: Callable[[str], None]
) -> None:
    bug("run_raises")
    done = hsup.call("run", hsup.sleep)
    assert done.status == 1
    assert_named(done)
    assert hsup.processes() == {}


def test_a_plugin_that_blocks_hsup_is_named_after_some_seconds(
    hsup: Hsup, bug: Callable[[str], None]
) -> None:
    bug("start_blocks")
    running = hsup.start()
    text = r'hsup is blocked: driver "bug" has been trying to start web\.1 for 1. s'
    running.wait_for(text)
    for _ in range(3):
        running.send(signal.SIGTERM)
        time.sleep(0.5)
    assert running.ended() == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "fault", ["start_hangs", "start_blocks", "destroy_hangs", "destroy_blocks"]
)
def test_the_second_signal_ends_hsup_whatever_a_plugin_waits_for(
    hsup: Hsup, bug: Callable[[str], None], fault: str
) -> None:
    bug(fault)
    running = hsup.start("--grace", "0.5")
    running.wait_for("Starting process" if "start" in fault else "born$")
    for _ in range(2):
        running.send(signal.SIGTERM)
        time.sleep(1.5)  # twice within 0.5 s counts once; and a call blocks when it lasts for 1 s
    assert running.ended() == 128 + signal.SIGTERM
    assert NAME in running.said or 'driver "bug"' in running.said
    assert "Traceback" not in running.said


@pytest.mark.parametrize("fault", ["destroy_hangs", "destroy_blocks"])
def test_the_third_signal_ends_hsup_at_once_and_tells_what_it_killed(
    hsup: Hsup, bug: Callable[[str], None], fault: str
) -> None:
    bug(fault)
    hsup.procfile(web=f"trap '' TERM; echo born; {hsup.sleep} & wait; wait")
    running = hsup.start("--grace", "0.5")
    running.wait_for("born$")
    for _ in range(3):
        running.send(signal.SIGTERM)
        time.sleep(1.2)
    assert running.ended() == 128 + signal.SIGTERM
    assert "killed remaining processes: " in running.said
    assert "start hsup again" not in running.said
    assert hsup.processes() == {}
