"""Load plugins, and call their hooks; the only user of pluggy's manager."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pluggy

from hsup import hookspecs
from hsup.errors import HsupError, PluginError
from hsup.plugins import catalogue
from hsup.plugins.calls import Calls, Part, shortened
from hsup.plugins.entry_points import EntryPoint, entry_points

if TYPE_CHECKING:
    import click

    from hsup import events
    from hsup.api import DriverFactory, LogSinkFactory, ServiceFactory, SourceFactory

_Value = TypeVar("_Value")


class Plugin(NamedTuple):
    """An entry point of the group, with the hooks that it has, or why it has none."""

    entry_point: EntryPoint
    hooks: tuple[str, ...] = ()
    fault: str | None = None

    def part(self, kind: str, name: str) -> Part:
        """Return something that the plugin has registered."""
        point = self.entry_point
        return Part(kind, name, point.distribution, point.version)

    def __str__(self) -> str:
        return str(self.part("plugin", self.entry_point.name))


class PluginManager:
    """The plugins that are installed, and what they register.

    A broken one does not keep the others from working: it is listed with its
    fault in `plugins`, and told by `faults`.
    """

    def __init__(
        self, points: Iterable[EntryPoint] | None = None, calls: Calls | None = None
    ) -> None:
        self._calls = calls or Calls()
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._faults: list[str] = []
        self._clashes: dict[tuple[str, str], str] = {}
        self._parts: dict[tuple[str, str], Part] = {}
        self._by_name: dict[str, Plugin] = {}
        found = entry_points(hookspecs.PROJECT) if points is None else points
        self.plugins = tuple(self._load(point) for point in found)
        self.drivers: Mapping[str, DriverFactory] = self._collect("driver", callable, "callable")
        self.sources: Mapping[str, SourceFactory] = self._collect(
            "source", _is_source_factory, "a SourceFactory"
        )
        self.log_sinks: Mapping[str, LogSinkFactory] = self._collect(
            "log sink", callable, "callable"
        )
        self.services: Mapping[str, ServiceFactory] = self._collect("service", callable, "callable")

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with plugins, a sentence each."""
        broken = [f"{one} is not loaded: {one.fault}" for one in self.plugins if one.fault]
        return (*broken, *self._faults, *self._clashes.values())

    def commands(self, own: Collection[str] = ()) -> Mapping[str, click.Command]:
        """Return the commands by name; of two with the same one, the first.

        `own` are the names of hsup's own commands, which no plugin can have.
        """
        import click

        found: dict[str, click.Command] = {}
        for plugin, given in self._answers("hsup_register_commands"):
            commands = given if isinstance(given, list) else [given]
            for command in commands:
                if not isinstance(command, click.Command):
                    text = f"{plugin}: its command is not a click.Command"
                    self._faults.append(f"{text}: {shortened(command)}")
                elif (name := str(command.name)) in own:
                    self._faults.append(f'{plugin}: the command "{name}" is hsup\'s own')
                elif name in found:
                    first = self._parts["command", name]
                    self._faults.append(f'{plugin}: the command "{name}" is already {first}')
                else:
                    self._parts["command", name] = plugin.part("command", name)
                    found[name] = command
        return found

    def choose(self, kind: str, name: str, found: Mapping[str, _Value]) -> _Value:
        """Return what was registered under a name.

        Raises PluginError that says which package to install, or which two clash.
        """
        if (kind, name) in self._clashes:
            raise PluginError(self._clashes[kind, name], hint="uninstall one of them")
        if name not in found:
            raise catalogue.missing(kind, name, found)
        return found[name]

    def part(self, kind: str, name: str) -> Part:
        """Return whose a part is that was registered under a name."""
        return self._parts[kind, name]

    def observe(self, event: events.Event) -> None:
        """Tell every observer of an event; one that raises is told, and no more."""
        for impl in self._implementations(event.hook):
            plugin = self._by_name[impl.plugin_name]
            part = plugin.part("plugin", plugin.entry_point.name)
            tell = partial(impl.function, *(event for _ in impl.argnames))
            try:
                self._calls.run(part, f"observe {event.hook}", tell, failure=PluginError)
            except HsupError as error:
                self._calls.warn(str(error))

    def _load(self, point: EntryPoint) -> Plugin:
        name = f"{point.distribution}:{point.name}"
        part = Plugin(entry_point=point).part("plugin", point.name)

        def load() -> object:
            module = point.load()
            self._manager.register(module, name)
            return module

        try:
            module = self._calls.run(part, "be loaded", load, failure=PluginError)
        except HsupError as error:
            # Whatever a stranger's module does at import, hsup starts with the rest.
            cause = error.__cause__ or error
            text = " ".join(str(cause).split())  # pluggy's are of several lines
            return self._broken(name, point, f"{type(cause).__name__}: {text}")
        hooks = tuple(sorted(one.name for one in self._manager.get_hookcallers(module) or ()))
        if fault := _unknown_hook(hooks) or _async_hook(module, hooks):
            return self._broken(name, point, fault)
        self._by_name[name] = Plugin(entry_point=point, hooks=hooks)
        return self._by_name[name]

    def _broken(self, name: str, point: EntryPoint, fault: str) -> Plugin:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        return Plugin(entry_point=point, fault=fault)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _answers(self, hook: str) -> Iterable[tuple[Plugin, object]]:
        """Yield what each plugin answers; of one that raises, note that."""
        for impl in self._implementations(hook):
            plugin = self._by_name[impl.plugin_name]
            part = plugin.part("plugin", plugin.entry_point.name)
            answer = partial(_answer, impl.function)
            try:
                yield plugin, self._calls.run(part, f"answer {hook}", answer, failure=PluginError)
            except HsupError as error:
                # As for a plugin that cannot be imported.
                cause = error.__cause__
                text = f"{plugin} failed in {hook}: {cause!r}" if cause else str(error)
                self._faults.append(text)

    def _collect(self, kind: str, is_right: Callable[[object], bool], right: str) -> dict[str, Any]:
        """Return what all plugins have of a kind, by name."""
        hook = f"hsup_register_{kind.replace(' ', '_')}s"
        found: dict[str, Any] = {}
        givers: dict[str, Plugin] = {}
        for plugin, given in self._answers(hook):
            if not isinstance(given, dict):
                text = f"{plugin} did not return a mapping from {hook}"
                self._faults.append(f"{text}: {shortened(given)}")
                continue
            for name, value in given.items():
                if not isinstance(name, str):
                    text = f"{plugin}: the name of a {kind} is not a text"
                    self._faults.append(f"{text}: {shortened(name)}")
                elif not is_right(value):
                    text = f'{plugin}: {kind} "{name}" is not {right}'
                    self._faults.append(f"{text}: {shortened(value)}")
                elif name in givers:
                    text = f'{givers[name]} and {plugin} both have a {kind} "{name}"'
                    self._clashes.setdefault((kind, name), text)
                    found.pop(name, None)
                else:
                    givers[name] = plugin
                    self._parts[kind, name] = plugin.part(kind, name)
                    found[name] = value
        return found


def _answer(hook: Callable[[], object]) -> object:
    """Return what a hook returns, a mapping or a sequence as a copy: theirs may raise."""
    given = hook()
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given)
    return given


def _unknown_hook(hooks: Iterable[str]) -> str | None:
    """Return what pluggy does not say before `check_pending`, and then of one only."""
    known = [name for name in vars(hookspecs) if name.startswith("hsup_")]
    for name in hooks:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            advice = f"; did you mean {near[0]}?" if near else ""
            return f"there is no hook {name}{advice}"
    return None


def _async_hook(module: object, hooks: Iterable[str]) -> str | None:
    """Return what would never run: pluggy calls it, and nobody awaits it."""
    from inspect import iscoroutinefunction

    for name in hooks:
        if iscoroutinefunction(getattr(module, name, None)):
            return f"the hook {name} must be a plain function, not async"
    return None


def _is_source_factory(value: object) -> bool:
    try:
        has_rank = isinstance(getattr(value, "rank", None), int)
        has_remedy = isinstance(getattr(value, "remedy", None), str)
        methods = [getattr(value, one, None) for one in ("applies", "create", "check")]
        getattr(value, "follows_formation", None)
    except (Exception, SystemExit):
        return False
    return has_rank and has_remedy and all(map(callable, methods))
