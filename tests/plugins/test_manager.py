from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from hsup.api import Settings
from hsup.errors import PluginError
from hsup.events import (
    HOOKS,
    DynoExited,
    DynoStateChanged,
    ReleaseReceived,
    ReleaseRejected,
    SourceFailed,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.lifecycle import State
from hsup.model import DynoName, ExitStatus
from hsup.plugins.calls import Calls
from hsup.plugins.entry_points import EntryPoint
from hsup.plugins.manager import Plugin, PluginManager, Registered
from hsup.testing import make_release
from tests.conftest import Installer

DRIVER = """
from hsup import hookimpl

def create(settings):
    return {name!r}

@hookimpl
def hsup_register_drivers():
    return {{{name!r}: create}}
"""

GOOD = DRIVER.format(name="frob")


def plugin_of(manager: PluginManager, distribution: str) -> Plugin:
    """Return the one plugin of a distribution."""
    (found,) = (one for one in manager.plugins if one.entry_point.distribution == distribution)
    return found


def fault_of(manager: PluginManager, distribution: str) -> str:
    """Return the one fault of a distribution, however often it was found."""
    (fault,) = {fault for fault in manager.faults() if distribution in fault}
    return fault


def assert_the_rest_works(manager: PluginManager) -> None:
    assert "simple" in manager.drivers
    assert {"directory", "procfile"} <= manager.sources.keys()


def test_a_plugin_is_loaded_and_listed(install: Installer, settings: Settings) -> None:
    install("hsup-driver-frob", GOOD, version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    plugin = plugin_of(manager, "hsup-driver-frob")
    assert str(plugin) == 'plugin "driver-frob" of hsup-driver-frob 4.5'
    assert plugin.hooks == ("hsup_register_drivers",)
    assert plugin.fault is None
    made: object = manager.drivers["frob"](settings)
    assert made == "frob"
    assert manager.faults() == ()


@pytest.mark.parametrize(
    ("code", "causes"),
    [
        ("import hsup_driver_nowhere", ["ModuleNotFoundError", "hsup_driver_nowhere"]),
        ("1 / 0", ["ZeroDivisionError", "division by zero"]),
        ("def broken(:", ["SyntaxError"]),
        ("raise SystemExit('I am leaving')", ["SystemExit", "I am leaving"]),
        ("raise GeneratorExit('I am leaving')", ["GeneratorExit", "I am leaving"]),
        (
            GOOD.replace("hsup_register_drivers", "hsup_register_driver"),
            ["no hook hsup_register_driver", "did you mean hsup_register_drivers?"],
        ),
        (GOOD.replace("hsup_register_drivers", "frobnicate"), ["no hook frobnicate"]),
        (
            GOOD.replace("hsup_register_drivers()", "hsup_register_drivers(settings)"),
            ["hsup_register_drivers", "settings"],
        ),
        (
            "from hsup import hookimpl\n@hookimpl\ndef hsup_dyno_exited(evnt): pass",
            ["hsup_dyno_exited", "evnt"],
        ),
    ],
    ids=[
        "import error",
        "exception",
        "syntax error",
        "exit",
        "neither an exception nor an exit",
        "misspelt hook",
        "unknown hook",
        "wrong argument of a registering hook",
        "wrong argument of an observer",
    ],
)
def test_a_broken_plugin_is_reported_and_the_rest_works(
    install: Installer, code: str, causes: list[str]
) -> None:
    install("hsup-driver-frob", code + "\n", version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    assert_the_rest_works(manager)
    assert "frob" not in manager.drivers
    assert plugin_of(manager, "hsup-driver-frob").hooks == ()
    fault = fault_of(manager, "hsup-driver-frob")
    assert fault.startswith('plugin "driver-frob" of hsup-driver-frob 4.5 is not loaded: ')
    for cause in causes:
        assert cause in fault
    assert "\n" not in fault


def test_what_a_broken_plugin_registered_before_is_gone(install: Installer) -> None:
    code = GOOD + "\n@hookimpl\ndef hsup_dyno_exits(event):\n    pass\n"
    install("hsup-driver-frob", code)
    manager = PluginManager()
    assert "did you mean hsup_dyno_exited?" in fault_of(manager, "hsup-driver-frob")
    assert "frob" not in manager.drivers


def test_an_interrupt_while_plugins_are_imported_is_no_fault_of_theirs(install: Installer) -> None:
    install("hsup-driver-frob", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        PluginManager()


REGISTERING = {
    "hsup_register_drivers": lambda manager: manager.drivers,
    "hsup_register_sources": lambda manager: manager.sources,
    "hsup_register_log_sinks": lambda manager: manager.log_sinks,
    "hsup_register_log_drains": lambda manager: manager.log_drains,
    "hsup_register_services": lambda manager: manager.services,
    "hsup_register_commands": lambda manager: manager.commands(),
}


def registering(hook: str, body: str) -> str:
    return f"from hsup import hookimpl\n@hookimpl\ndef {hook}():\n    {body}\n"


@pytest.mark.parametrize("hook", REGISTERING)
def test_a_hook_that_raises_is_reported_and_the_others_count(install: Installer, hook: str) -> None:
    code = registering(hook, "raise ValueError('a slip')")
    install("hsup-driver-frob", code, version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    REGISTERING[hook](manager)
    assert_the_rest_works(manager)
    fault = fault_of(manager, "hsup-driver-frob")
    assert 'plugin "driver-frob" of hsup-driver-frob 4.5' in fault
    assert hook in fault
    assert "ValueError('a slip')" in fault


@pytest.mark.parametrize("hook", REGISTERING)
def test_a_hook_that_raises_no_exception_is_reported_and_the_others_count(
    install: Installer, hook: str
) -> None:
    code = registering(hook, "raise GeneratorExit('a slip')")
    install("hsup-driver-frob", code, version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    REGISTERING[hook](manager)
    assert_the_rest_works(manager)
    fault = fault_of(manager, "hsup-driver-frob")
    assert fault == (
        f"plugin \"driver-frob\" of hsup-driver-frob 4.5 failed in {hook}: GeneratorExit('a slip')"
    )


IMPORTING = "import time\ntime.sleep(0.3)\n"
ANSWERING = registering("hsup_register_drivers", "import time; time.sleep(0.3); return {}")


@pytest.mark.parametrize(
    ("code", "what"),
    [(IMPORTING, "be loaded"), (ANSWERING, "answer hsup_register_drivers")],
    ids=["import", "hook"],
)
def test_after_some_seconds_hsup_says_which_plugin_it_waits_for(
    install: Installer, monkeypatch: pytest.MonkeyPatch, code: str, what: str
) -> None:
    install("hsup-driver-frob", code, entry_point="driver-frob")
    monkeypatch.setattr("hsup.plugins.calls.NOTICE_SECONDS", 0.1)
    said: list[str] = []
    PluginManager(calls=Calls(say=said.append, has_alarm=True))
    assert any(one.startswith(f'Waiting for plugin "driver-frob" to {what} (') for one in said)


MAPPINGS = """
from collections.abc import Mapping

class Sly(Mapping):
    def __getitem__(self, name): raise ValueError('a slip')
    def __iter__(self): raise ValueError('a slip')
    def __len__(self): return 1
"""


@pytest.mark.parametrize("returned", ["{3: print}", "{None: print}", "Sly()"])
@pytest.mark.parametrize("hook", list(REGISTERING)[:-1])
def test_a_mapping_of_other_names_is_reported_and_the_rest_works(
    install: Installer, hook: str, returned: str
) -> None:
    code = MAPPINGS + registering(hook, f"return {returned}")
    install("hsup-driver-frob", code, version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    assert all(isinstance(name, str) for name in REGISTERING[hook](manager))
    assert_the_rest_works(manager)
    fault = fault_of(manager, "hsup-driver-frob")
    assert fault.startswith('plugin "driver-frob" of hsup-driver-frob 4.5')
    assert re.search(r"the name of a .* is not a string: (3|None)$|ValueError\('a slip'\)", fault)


@pytest.mark.parametrize("name", ["remedy", "applies", "follows_formation", "follows_drains"])
def test_a_source_factory_that_raises_is_reported(install: Installer, name: str) -> None:
    factory = (
        "class Factory:\n"
        "    remedy = ''\n"
        "    applies = create = check = lambda *_: None\n"
        "    @property\n"
        f"    def {name}(self): raise KeyError('x')\n"
    )
    install(
        "hsup-source-git",
        factory + registering("hsup_register_sources", "return {'git': Factory()}"),
    )
    manager = PluginManager()
    assert "git" not in manager.sources
    assert 'source "git" is not a SourceFactory' in fault_of(manager, "hsup-source-git")


def test_a_hook_that_returns_no_mapping_is_told_what_it_must_return(install: Installer) -> None:
    install("hsup-driver-frob", registering("hsup_register_drivers", "return ['frob']"))
    fault = fault_of(PluginManager(), "hsup-driver-frob")
    assert fault.endswith(": hook hsup_register_drivers must return a mapping, got a list")


@pytest.mark.parametrize("returned", ["42", "['frob']", "{'frob': 42}"])
@pytest.mark.parametrize("hook", REGISTERING)
def test_a_hook_that_returns_a_wrong_type_is_reported_and_the_rest_works(
    install: Installer, hook: str, returned: str
) -> None:
    code = registering(hook, f"return {returned}")
    install("hsup-driver-frob", code, version="4.5", entry_point="driver-frob")
    manager = PluginManager()
    found = REGISTERING[hook](manager)
    assert "frob" not in found
    assert_the_rest_works(manager)
    assert 'plugin "driver-frob" of hsup-driver-frob 4.5' in fault_of(manager, "hsup-driver-frob")


def test_a_source_factory_that_lacks_something_is_reported(install: Installer) -> None:
    code = registering(
        "hsup_register_sources", "return {'git': type('Factory', (), {'remedy': 'x'})}"
    )
    install("hsup-source-git", code)
    manager = PluginManager()
    assert "git" not in manager.sources
    assert 'source "git" is not a SourceFactory' in fault_of(manager, "hsup-source-git")


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("hook", ["hsup_register_drivers()", "hsup_dyno_exited(event)"])
def test_an_async_hook_is_reported_because_nobody_would_await_it(
    install: Installer, hook: str
) -> None:
    code = f"from hsup import hookimpl\n@hookimpl\nasync def {hook}:\n    return {{}}\n"
    install("hsup-driver-frob", code)
    manager = PluginManager()
    assert_the_rest_works(manager)
    assert re.search("async|coroutine", fault_of(manager, "hsup-driver-frob"))


def test_a_command_is_registered(install: Installer) -> None:
    install(
        "hsup-releases",
        "import click\n" + registering("hsup_register_commands", "return [releases]") + "\n"
        "@click.command()\ndef releases():\n    click.echo('v1')\n",
    )
    assert isinstance(PluginManager().commands()["releases"], click.Command)


@pytest.mark.parametrize(
    "hook",
    [
        "hsup_register_log_drains",
        "hsup_register_log_sinks",
        "hsup_register_services",
        "hsup_register_sources",
    ],
)
def test_what_a_hook_registers_is_found_by_its_name(install: Installer, hook: str) -> None:
    body = "return {'frob': Factory()}"
    factory = (
        "class Factory:\n"
        "    remedy = ''\n"
        "    applies = create = check = __call__ = lambda *_: None\n"
    )
    install("hsup-frob", factory + registering(hook, body))
    manager = PluginManager()
    assert "frob" in REGISTERING[hook](manager)
    assert manager.faults() == ()


def test_two_drivers_of_one_name_are_an_error_that_names_both(install: Installer) -> None:
    install("hsup-driver-frob", GOOD, version="4.5", entry_point="one")
    install("hsup-driver-brof", GOOD, version="6.7", entry_point="two")
    manager = PluginManager()
    drivers = manager.drivers
    assert "frob" not in drivers
    assert_the_rest_works(manager)
    with pytest.raises(PluginError) as caught:
        drivers.choose("frob")
    for text in (*manager.faults(), str(caught.value)):
        assert 'plugin "one" of hsup-driver-frob 4.5' in text
        assert 'plugin "two" of hsup-driver-brof 6.7' in text
        assert 'driver "frob"' in text
    assert str(caught.value).endswith("; uninstall one of them")


def test_three_drivers_of_one_name_leave_none_of_them(install: Installer) -> None:
    for distribution in ("hsup-a", "hsup-b", "hsup-c"):
        install(distribution, GOOD)
    assert "frob" not in PluginManager().drivers


def test_a_clash_is_reported_once(install: Installer) -> None:
    install("hsup-driver-frob", GOOD)
    install("hsup-driver-brof", GOOD)
    assert len(PluginManager().faults()) == 1


def test_what_was_registered_is_chosen_by_name(install: Installer) -> None:
    install("hsup-driver-frob", GOOD)
    manager = PluginManager()
    drivers = manager.drivers
    assert drivers.choose("frob") is drivers["frob"]


def test_what_nobody_registered_is_an_error_that_lists_what_there_is() -> None:
    drivers: Registered[Any] = Registered("driver")
    plugin = Plugin(EntryPoint("frob", "hsup_frob.hooks", "hsup_frob-1.dist-info"))
    drivers.add("b", print, plugin)
    drivers.add("a", print, plugin)
    with pytest.raises(
        PluginError, match='there is no driver "frob"; choose from a, b, or install'
    ):
        drivers.choose("frob")


def test_without_plugins_nothing_is_installed() -> None:
    with pytest.raises(PluginError, match='there is no driver "frob"; install a plugin'):
        PluginManager([]).drivers.choose("frob")


OBSERVING = """
from hsup import hookimpl
seen = []

@hookimpl
def {hook}(event):
    {body}
"""


@pytest.mark.parametrize(
    "make",
    [
        lambda release: ReleaseReceived(release=release),
        lambda _: ReleaseRejected(error=PluginError("no"), running=1),
        lambda _: SourceFailed(error=PluginError("away"), running=1),
        lambda _: DynoStateChanged(dyno=DynoName("web", 1), before=State.NEW, after=State.UP),
        lambda _: DynoExited(dyno=DynoName("web", 1), status=ExitStatus(code=1)),
        lambda _: SupervisorStarted(source="memory", driver="fake"),
        lambda _: SupervisorStopping(reason="SIGTERM received"),
    ],
    ids=[
        "hsup_release_received",
        "hsup_release_rejected",
        "hsup_source_failed",
        "hsup_dyno_state_changed",
        "hsup_dyno_exited",
        "hsup_supervisor_started",
        "hsup_supervisor_stopping",
    ],
)
def test_an_observer_that_raises_is_told_and_the_others_are_told(
    install: Installer, make: Callable[..., Any]
) -> None:
    event = make(make_release(web=1))
    hook = HOOKS[type(event)]
    failing = OBSERVING.format(hook=hook, body="raise ValueError('a slip')")
    telling = OBSERVING.format(hook=hook, body="seen.append(event)")
    before = install("hsup-before", telling)
    install("hsup-frob", failing, version="4.5", entry_point="observer")
    after = install("hsup-then", telling)
    warned: list[str] = []
    noted: list[BaseException | None] = []
    calls = Calls(warn=warned.append, note=lambda *note: noted.append(note[1]))
    manager = PluginManager(calls=calls)
    manager.observe(event)
    assert sys.modules[before].seen == sys.modules[after].seen == [event]
    assert warned == [
        f'plugin "observer" of hsup-frob 4.5 failed to observe {hook}: ValueError: a slip'
    ]
    assert any(isinstance(one, ValueError) for one in noted)
    assert_the_rest_works(manager)


def test_an_observer_need_not_look_at_the_event(install: Installer) -> None:
    code = OBSERVING.format(hook="hsup_supervisor_stopping", body="seen.append('stopping')")
    module = install("hsup-frob", code.replace("(event):", "():"))
    PluginManager().observe(SupervisorStopping(reason="SIGTERM received"))
    assert sys.modules[module].seen == ["stopping"]


def test_without_plugins_there_is_nothing() -> None:
    manager = PluginManager([])
    manager.observe(ReleaseReceived(release=make_release()))
    assert (manager.plugins, manager.faults(), dict(manager.drivers)) == ((), (), {})
